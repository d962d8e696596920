"""Challenge parts: when a set is due, what its answers prove, which parts are suspect."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from schemas.challenge import DetectionLimitV1, SuspectWindowV1
from schemas.envelope import from_millis, to_millis
from schemas.verdict import VerdictV1
from streams.fates import Unprocessable
from streams.monitors.challenge.answers import caught, margin
from streams.monitors.challenge.memory import StationState, Window
from streams.monitors.challenge.schedule import shift_start_ms, usable
from streams.monitors.challenge.station import GRACE_MS, due_ms, judge, overdue, register
from streams.monitors.challenge.windows import PAGE, belongs, page, pages, turned
from tests.helpers.challenges import PRODUCT, STATION, T0_MS, Station, due, part, schedule, stamp, verdict

MEMORY = TypeAdapter(StationState)


def ready(*names: str, **rules: Any) -> Station:
    """A station with digital parts (`a`, unless others are named) and a schedule."""
    station = Station()
    station.tell(*(part(name) for name in names or ("a",)), schedule(**(rules or {"every_parts": 10})))
    return station


def parts_of(window: Window, made: list[VerdictV1]) -> list[str]:
    """The parts that are read back for this window; offsets are the places in `made`."""
    span = enumerate(made)
    return [v.inspection for offset, v in span if window.after < offset <= window.until and belongs(window, STATION, v)]


# ---------------------------------------------------------------- when
def test_a_new_schedule_asks_with_the_first_part_and_is_not_proven_before() -> None:
    station = ready(every_parts=10)
    assert [(p.proven, p.why) for p in station.proofs] == [(False, "no set has passed yet")]
    station.make(1)
    (first,) = station.dues
    assert (first.trigger, first.parts, first.due_at) == ("start", ("a",), from_millis(station.at_ms))
    assert first.answer_by - first.due_at == timedelta(seconds=60)
    station.answer(first, "a")
    assert station.proven()
    assert station.results[0].passed


def test_every_n_parts_counts_production_parts_since_the_last_set() -> None:
    station = ready(every_parts=10)
    station.make(1)
    station.answer(station.dues[0], "a")
    station.make(9)
    station.make(3, purpose="setup")
    assert len(station.dues) == 1
    station.make(1)
    assert [d.trigger for d in station.dues] == ["start", "parts"]
    assert station.dues[1].set.startswith("auto/digital/parts/")


def test_nothing_is_asked_while_a_set_waits_and_what_was_wanted_comes_after_it() -> None:
    station = ready(every_parts=2)
    station.make(9)
    assert len(station.dues) == 1
    station.answer(station.dues[0], "a")
    station.make(1)
    assert [d.trigger for d in station.dues] == ["start", "parts"]


def test_a_change_of_the_model_set_and_of_the_product_ask() -> None:
    station = ready(after_model_set=True, after_changeover=True)
    station.make(1)
    station.answer(station.dues[0], "a")
    station.make(5)
    station.make(1, model_set="c" * 64)
    station.answer(station.dues[1], "a")
    station.make(2, product="board", model_set="d" * 64)
    station.make(2, model_set="c" * 64)
    assert [d.trigger for d in station.dues] == ["start", "model_set", "changeover"]


def test_a_verdict_that_comes_late_is_no_changeover() -> None:
    station = ready(after_changeover=True)
    station.make(1)
    station.answer(station.dues[0], "a")
    old = station.verdict()
    station.make(1, product="board")
    station.judge(old)
    assert len(station.dues) == 1


def test_a_shift_asks_with_its_first_part_by_the_clock_on_the_wall() -> None:
    station = ready(shifts=("06:00", "14:00", "22:00"), zone="Europe/Berlin")
    station.make(1)
    station.answer(station.dues[0], "a")
    station.at = 4.9 * 3600  # 12:54 UTC, 13:54 in Berlin
    station.make(10)
    assert len(station.dues) == 1
    station.at = 5 * 3600
    station.make(10)
    assert [d.trigger for d in station.dues] == ["start", "shift"]


@pytest.mark.parametrize(
    ("zone", "now", "start"),
    [
        ("UTC", "2026-01-05T13:59:59", "2026-01-05T06:00"),
        ("UTC", "2026-01-05T14:00:00", "2026-01-05T14:00"),
        ("UTC", "2026-01-05T03:00:00", "2026-01-04T22:00"),
        ("Europe/Berlin", "2026-01-05T04:59:59", "2026-01-04T21:00"),
        ("Europe/Berlin", "2026-03-29T12:00:00", "2026-03-29T12:00"),  # summer time since this night
        ("America/New_York", "2026-01-05T11:00:00", "2026-01-05T11:00"),
    ],
)
def test_shift_starts(zone: str, now: str, start: str) -> None:
    rules = schedule(shifts=("06:00", "14:00", "22:00"), zone=zone)
    at, wanted = (to_millis(datetime.fromisoformat(text).replace(tzinfo=UTC)) for text in (now, start))
    assert shift_start_ms(rules, at) == wanted


@pytest.mark.parametrize(("day", "starts"), [("2026-03-29", 1), ("2026-10-25", 1)])
def test_an_hour_that_is_missing_or_comes_twice_begins_one_shift(day: str, starts: int) -> None:
    rules = schedule(shifts=("02:30",), zone="Europe/Berlin")
    noon = datetime.fromisoformat(f"{day}T00:00").replace(tzinfo=UTC)
    found = {shift_start_ms(rules, to_millis(noon + timedelta(minutes=5 * i))) for i in range(12 * 22)}
    assert len(found) == 1 + starts  # the day before's, and this day's


def test_an_unknown_zone_is_refused() -> None:
    with pytest.raises(Unprocessable, match="unknown_zone"):
        register(None, schedule(shifts=("06:00",), zone="Mars/Olympus"), 0, T0_MS)


def test_expired_and_retired_parts_are_not_used_and_without_any_the_reason_is_told() -> None:
    station = Station()
    soon = from_millis(T0_MS + 5000)
    station.tell(part("a", expires_at=soon), part("b"), schedule(every_parts=5))
    station.make(1)
    assert station.dues[0].parts == ("a", "b")
    station.answer(station.dues[0], "a")
    station.answer(station.dues[0], "b")
    station.make(5)
    assert station.dues[1].parts == ("b",)
    station.answer(station.dues[1], "b")
    station.tell(part("b", retired=True))
    station.make(5)
    assert len(station.dues) == 2
    assert not station.proven()
    assert station.proofs[-1].why == "no digital challenge part can be used: a expired 2026-01-05"
    station.tell(part("c"))
    station.make(1)
    assert station.dues[2].parts == ("c",)


def test_parts_of_another_product_and_proof_are_not_used() -> None:
    parts = [part("a"), part("b", product="board"), part("m", "physical")]
    assert usable(parts, PRODUCT, "digital", from_millis(T0_MS)) == (("a",), "")
    names, why = usable([], PRODUCT, "physical", from_millis(T0_MS))
    assert (names, why) == ((), "no physical challenge part can be used: none is registered for disc")


# ---------------------------------------------------------------- answers
@pytest.mark.parametrize(
    ("kind", "disposition", "expected"),
    [
        ("defect", "scrap", True),
        ("defect", "review", True),
        ("defect", "pass", False),
        ("defect", "no_verdict", False),
        ("golden", "pass", True),
        ("golden", "review", False),
        ("golden", "no_verdict", False),
        ("graded", "rework", True),
        ("graded", "pass", False),
    ],
)
def test_caught(kind: str, disposition: Any, expected: bool) -> None:
    assert caught(stamp(due(), "a", kind), disposition) is expected


def test_margin_is_of_the_strangest_view() -> None:
    assert margin({"a": 2.0, "b": 3.0}, {"a": 1.0, "b": 2.0}) == pytest.approx(1.0)
    assert margin({"a": 2.0}, {"b": 1.0}) is None
    assert margin({"a": 2.0}, {"a": 0.0}) is None


def test_the_result_shows_each_part_with_its_score_and_margin() -> None:
    station = ready("a", "b")
    station.make(1)
    station.answer(station.dues[0], "b", score=1.8)
    station.answer(station.dues[0], "a", "review", score=0.9)
    (result,) = station.results
    assert [item.stamp.part for item in result.items] == ["a", "b"]
    assert [item.margin for item in result.items] == pytest.approx([0.0, 1.0])
    assert result.items[1].scores == {"v1": 1.8}


def test_a_miss_tells_at_once_with_all_parts_since_the_last_pass() -> None:
    station = ready("a", "b", every_parts=5)
    made = station.make(1)
    made += [station.answer(station.dues[0], "a"), *station.make(2), station.answer(station.dues[0], "b")]
    made += station.make(5)
    made += [station.answer(station.dues[1], "a", "pass")]
    assert not station.proven()
    assert station.proofs[-1].why == "a passed"
    assert station.proofs[-1].parts_since == 7
    assert len(station.results) == 1  # b has not answered yet
    (window,) = station.state.windows if station.state else ()
    found = parts_of(window, made)
    assert found == [v.inspection for v in made[2:4] + made[5:10]]
    assert window.count == len(found)
    station.answer(station.dues[1], "b")
    assert [(r.passed, r.overdue) for r in station.results] == [(True, False), (False, False)]
    assert station.state
    assert len(station.state.windows) == 1  # told once


def test_a_part_that_is_missed_again_publishes_only_what_came_since_and_a_pass_the_rest() -> None:
    station = ready("a", every_parts=3)
    made = station.make(1)
    for disposition in ("scrap", "pass", "pass", "scrap", "scrap"):
        made += [station.answer(station.dues[-1], "a", disposition), *station.make(3)]
    assert station.state
    windows = [parts_of(window, made) for window in station.state.windows]
    suspect = [v.inspection for v in made[2:13] if v.purpose == "production"]
    assert [one for window in windows for one in window] == suspect
    assert [w.count for w in station.state.windows] == [3, 3, 3]
    assert [w.set for w in station.state.windows] == [d.set for d in station.dues[1:4]]
    assert station.proven()


def test_a_set_that_passes_proves_nothing_before_what_another_set_missed_meanwhile() -> None:
    first, other = due("manual/1", ("a", "b")), due("manual/2", ("a",))
    station = ready("a", "b", every_parts=1000)
    station.tell(first, other)
    made = [station.answer(first, "a"), *station.make(4), station.answer(other, "a", "pass"), *station.make(3)]
    made += [station.answer(first, "b"), *station.make(2)]
    assert station.state
    assert [window.count for window in station.state.windows] == [4, 0]
    assert [len(parts_of(window, made)) for window in station.state.windows] == [4, 0]
    (line,) = station.state.lines.values()
    assert (line.proven, line.window_from, line.unsafe, line.since_pass) == (True, 5, 5, 5)


def test_a_miss_that_is_read_before_its_set_is_told_with_every_part_until_then() -> None:
    own = due("manual/1", ("a",))
    station = ready("a", every_parts=1000)
    made = [*station.make(3), station.answer(own, "a", "pass"), *station.make(2)]
    station.tell(own)
    assert station.state
    (window,) = station.state.windows
    assert window.count == len(parts_of(window, made)) == 5


def test_a_set_that_a_person_asked_for_between_two_milliseconds_is_overdue_too() -> None:
    station = ready("a")
    odd = due("manual/odd")
    station.tell(odd.model_copy(update={"answer_by": odd.answer_by + timedelta(microseconds=300)}))
    station.at += 60 + 2 * GRACE_MS / 1000
    station.tick()
    assert [(one.set, one.overdue, one.unanswered) for one in station.results] == [("manual/odd", True, ("a",))]


def test_an_unanswered_set_is_overdue_at_its_time_by_a_verdict_or_by_a_tick() -> None:
    by_part, by_tick = ready("a", "b"), ready("a", "b")
    for station in (by_part, by_tick):
        station.make(3)
        station.answer(station.dues[0], "a")
        station.make(3)
        station.at += 60
    by_tick.tick()
    assert len(by_tick.results) == 0  # its answers have a moment to arrive
    by_tick.at += GRACE_MS / 1000
    by_tick.tick()
    by_part.make(1, every_s=GRACE_MS / 1000)
    (result,) = by_part.results
    assert (result.passed, result.overdue, result.unanswered) == (False, True, ("b",))
    assert result.at == by_part.dues[0].answer_by
    assert by_part.proofs[-1].why.startswith("b: no answer by 2026-01-05 08:01")
    by_tick.make(1, every_s=0)
    assert by_tick.said == by_part.said
    assert by_tick.state
    assert by_part.state
    assert replace(by_tick.state, latest_ms=0) == replace(by_part.state, latest_ms=0)


def test_no_verdict_proves_nothing() -> None:
    station = ready("a")
    station.make(2)
    station.answer(station.dues[0], "a", "no_verdict")
    (result,) = station.results
    assert (result.passed, result.unanswered, result.overdue) == (False, ("a",), False)
    assert station.proofs[-1].why == "a got no_verdict"
    assert station.state
    assert [w.count for w in station.state.windows] == [2]


def test_a_rejected_golden_part_fails_the_set_but_nothing_escaped() -> None:
    station = Station()
    station.tell(part("g", kind="golden"), part("a"), schedule(every_parts=10))
    station.make(2)
    station.answer(station.dues[0], "a")
    station.answer(station.dues[0], "g", "review", kind="golden")
    assert not station.proven()
    assert station.proofs[-1].why == "g, a good part, got review"
    assert station.state
    assert station.state.windows == ()


def test_the_first_real_answer_counts_and_an_escape_always() -> None:
    station = ready("a", "b")
    station.make(1)
    asked = station.dues[0]
    station.answer(asked, "a", "no_verdict")
    station.answer(asked, "a", "scrap")  # sent again by a gateway that was restarted
    station.answer(asked, "a", "pass")
    assert not station.proven()
    station.answer(asked, "b")
    assert [(i.stamp.part, i.disposition) for i in station.results[0].items] == [("a", "pass"), ("b", "scrap")]


def test_the_two_proofs_are_separate() -> None:
    station = Station()
    station.tell(part("a"), part("m", "physical"), schedule("digital", every_parts=5), schedule("physical", every_parts=5))
    station.make(1)
    digital, physical = station.dues
    station.answer(digital, "a")
    station.answer(physical, "m", "pass")
    assert station.proven("digital")
    assert not station.proven("physical")
    station.answer(physical, "a")  # nothing of the other kind helps
    station.make(5)
    assert station.proven("digital")
    assert {w.proof for w in station.state.windows} == {"physical"} if station.state else False


def test_a_persons_own_set_and_answers_that_come_before_it_is_known() -> None:
    station = ready("a", "b", every_parts=1000)
    station.make(1)
    for name in ("a", "b"):
        station.answer(station.dues[0], name)
    own = due("manual/7", ("a", "b"), at=station.at)
    station.answer(own, "a")
    station.tell(own)
    assert len(station.results) == 1
    station.answer(own, "b")
    assert station.results[1].set == "manual/7"
    assert station.results[1].passed
    station.tell(own)  # known already
    assert len(station.results) == 2


def test_a_set_that_is_read_long_after_its_time_counts_the_answers_that_were_in_time() -> None:
    early, late = due("manual/1", ("a",), within_s=30), due("manual/2", ("a",), within_s=30)
    station = ready("a", every_parts=1000)
    station.make(1)
    station.answer(early, "a")
    station.make(40)
    station.answer(late, "a")
    station.tell(early, late)
    assert [(r.set, r.passed, r.overdue) for r in station.results] == [("manual/1", True, False), ("manual/2", False, True)]


def test_a_master_that_nobody_asked_for_proves_nothing_unless_it_passes() -> None:
    station = Station()
    station.tell(part("m", "physical"), schedule("physical", every_parts=100))
    station.make(3)
    shown = due("unasked/m/1", ("m",), proof="physical")
    station.answer(shown, "m")
    assert not station.proven("physical")
    assert station.results == []
    station.answer(due("unasked/m/2", ("m",), proof="physical"), "m", "pass")
    assert [r.passed for r in station.results] == [False]
    assert station.proofs[-1].why == "m passed"


def test_what_cannot_be_asked_is_refused() -> None:
    station = ready("a")
    with pytest.raises(Unprocessable, match="no_parts"):
        station.tell(due("manual/1", ()))


# ---------------------------------------------------------------- margins, limits
def sets(station: Station, count: int, scores: Any, *names: str) -> None:
    """So many sets, one after every part, answered with these scores."""
    for _ in range(count):
        station.make(1)
        for name in names:
            station.answer(station.dues[-1], name, score=float(next(scores)))


def noise(mean: float, seed: int = 5) -> Any:
    rng = np.random.default_rng(seed)
    while True:
        yield mean + 0.05 * rng.normal()


def test_margins_are_learnt_from_twenty_passes_and_their_fall_alarms() -> None:
    station = ready("a", "b", every_parts=1)
    sets(station, 60, noise(1.8), "a", "b")
    steady = station.results
    assert [r.margin_cusum for r in steady[:20]] == [None] * 20
    assert all(r.margin_limit == 5 and not r.margin_alarm for r in steady[20:])
    sets(station, 10, noise(1.7), "a", "b")
    alarms = [i for i, r in enumerate(station.results[60:]) if r.margin_alarm]
    assert alarms
    assert alarms[0] <= 5
    assert station.proven()  # every part was still found


def test_other_parts_are_learnt_anew_and_a_set_without_margins_says_nothing() -> None:
    station = ready("a", every_parts=1)
    sets(station, 21, noise(1.8), "a")
    assert station.results[-1].margin_cusum is not None
    station.tell(part("b"))
    sets(station, 1, noise(1.8), "a", "b")
    assert station.results[-1].margin_cusum is None
    assert station.state
    assert len(station.state.lines["disc/digital"].course.passes) == 1
    station.make(1)
    for name in ("a", "b"):
        station.judge(station.verdict("scrap", challenge=stamp(station.dues[-1], name), evidence=()))
    assert len(station.state.lines["disc/digital"].course.passes) == 1


def learnt(station: Station) -> int:
    """Sets that margins were learnt from."""
    assert station.state is not None
    return len(station.state.lines["disc/digital"].course.passes)


def test_a_set_without_all_its_answers_takes_nothing_away_of_what_was_learnt() -> None:
    station = Station()
    station.tell(part("a"), part("b"), schedule(every_parts=1))
    for _ in range(21):
        station.make(1)
        for name in station.dues[-1].parts:
            station.answer(station.dues[-1], name, score=1.5)
    assert learnt(station) == 20
    station.make(1)
    station.answer(station.dues[-1], "a", score=1.5)
    station.at += 100
    station.make(1)
    assert station.results[-1].unanswered == ("b",)
    assert learnt(station) == 20
    some = due("manual/x", ("a",), at=station.at)
    station.tell(some)
    station.answer(some, "a", score=1.5)
    assert station.results[-1].set == "manual/x"
    assert learnt(station) == 20


def test_golden_parts_alone_prove_nothing_and_end_no_suspicion() -> None:
    station = Station()
    station.tell(part("g", kind="golden"), part("a", expires_at=from_millis(T0_MS + 50_000)), schedule(every_parts=10))
    station.make(1)
    station.answer(station.dues[-1], "g", "pass", kind="golden")
    station.answer(station.dues[-1], "a", "pass")
    assert not station.proven()
    golden = due("manual/g", ("g",), at=station.at)
    station.tell(golden)
    station.answer(golden, "g", "pass", kind="golden")
    assert station.results[-1].passed
    assert not station.proven()
    station.at = 100
    asked = len(station.dues)
    station.make(20)
    assert len(station.dues) == asked  # its only defect has expired
    assert "golden parts alone (g) prove nothing" in station.proofs[-1].why
    assert "a expired 2026-01-05" in station.proofs[-1].why


def test_a_limit_set_is_asked_for_once_a_shift_and_proves_nothing_of_the_station() -> None:
    station = ready("a", shifts=("06:00", "14:00"), limit_sizes_px=(4, 9, 20), limit_repeats=4)
    station.make(5)
    (own,) = [d for d in station.dues if d.trigger == "start"]
    (painted,) = [d for d in station.dues if d.trigger == "limit"]
    station.answer(own, "a")
    told = len(station.proofs)
    for name in painted.parts:
        kind, grade = ("golden", 0) if name.startswith("plain") else ("graded", int(name.split("-")[1]))
        size = {} if kind == "golden" else {"size_px": (4, 9, 20)[grade], "contrast": -0.2, "label": "scratch", "view": "v1"}
        given = stamp(painted, name, kind).model_copy(update=size)
        station.judge(station.verdict("scrap" if kind == "graded" and grade else "pass", challenge=given))
    (limit,) = station.of(DetectionLimitV1)
    assert [(g.size_px, g.found, g.tried) for g in limit.grades] == [(4, 0, 4), (9, 4, 4), (20, 4, 4)]
    assert station.results[-1].trigger == "limit"
    assert station.results[-1].passed
    assert (len(station.proofs), station.proven()) == (told, True)
    station.make(5)
    station.at = 6 * 3600
    station.make(1)
    assert [d.trigger for d in station.dues[2:]] == ["shift", "limit"]
    station.at += 60
    station.make(1)  # nobody painted anything
    assert not station.results[-1].passed
    assert len(station.of(DetectionLimitV1)) == 1


# ---------------------------------------------------------------- the whole
KINDS = st.sampled_from(["part", "part", "part", "other", "a", "b"])
DISPOSITIONS = st.sampled_from(["scrap", "scrap", "pass", "no_verdict"])


@given(st.lists(st.tuples(KINDS, DISPOSITIONS, st.sampled_from([1.0, 40.0])), max_size=30), st.data())
def test_copies_at_any_place_change_nothing(events: list[tuple[str, Any, float]], data: st.DataObject) -> None:
    """A process that was killed reads again from somewhere before: the same messages with the same ids, the same state."""
    rules = {"every_parts": 4, "after_model_set": True}
    once, twice = ready("a", "b", **rules), ready("a", "b", **rules)
    for kind, disposition, every_s in events:
        if kind in ("a", "b") and once.dues:
            once.at += every_s
            once.answer(once.dues[-1], kind, disposition)
        else:
            once.make(1, every_s=every_s, model_set=("c" if kind == "other" else "d") * 64)
    cut = data.draw(st.integers(0, len(once.events)))
    back = data.draw(st.integers(0, cut))
    for event in [*once.events[:cut], *once.events[back:]]:
        assert twice.state
        state, said = judge(twice.state, event)
        twice.take(MEMORY.validate_python(MEMORY.dump_python(state, mode="json", exclude_defaults=True)), said)
    assert twice.said == once.said
    assert twice.state == once.state
    assert len({one.id for one in once.said}) == len(once.said)


@given(st.lists(st.tuples(st.booleans(), DISPOSITIONS), max_size=40))
def test_a_part_is_suspect_where_the_answer_before_or_after_it_was_wrong(steps: list[tuple[bool, Any]]) -> None:
    """And it is published once, whatever came in between; each window counts what it holds."""
    station = ready("a", every_parts=2)
    made: list[VerdictV1] = []
    for answer, disposition in [*steps, (False, ""), (False, ""), (True, "scrap")]:
        if answer and station.state and station.state.open:
            made.append(station.answer(station.dues[-1], "a", disposition))
        else:
            made += station.make(1, every_s=0.0)
    right = [None if v.challenge is None else v.disposition == "scrap" for v in made]
    wanted = []
    for i, v in enumerate(made):
        before = next((said for said in reversed(right[:i]) if said is not None), True)
        after = next((said for said in right[i:] if said is not None), True)
        wanted += [v.inspection] if right[i] is None and not (before and after) else []
    assert station.state
    found = [parts_of(window, made) for window in station.state.windows]
    assert [len(parts) for parts in found] == [window.count for window in station.state.windows]
    assert [part for parts in found for part in parts] == wanted
    assert station.proven()


def test_time_asks_when_a_set_ends_and_at_once_for_windows() -> None:
    station = ready("a")
    assert station.state
    assert due_ms(station.state) is None
    station.make(2)
    assert due_ms(station.state) == to_millis(station.dues[0].answer_by) + GRACE_MS + 1
    station.answer(station.dues[0], "a", "pass")
    assert due_ms(station.state) == 0
    assert overdue(station.state, station.at_ms) == (station.state, [])


# ---------------------------------------------------------------- windows
def test_windows_come_in_pages() -> None:
    parts = [verdict(n) for n in range(PAGE + 1)]
    window = Window(product=PRODUCT, proof="digital", set="s", after=-1, until=PAGE, count=PAGE + 1, at_ms=T0_MS)
    assert pages(window) == 2
    state = StationState(station=STATION, windows=(window,))
    first = page(STATION, window, parts[:PAGE]).message
    state = turned(state, PAGE - 1)
    second = page(STATION, state.windows[0], parts[PAGE:]).message
    assert turned(state, PAGE).windows == ()
    assert isinstance(first, SuspectWindowV1)
    assert isinstance(second, SuspectWindowV1)
    assert [(m.page, m.pages, m.count, len(m.parts)) for m in (first, second)] == [(1, 2, 2001, 2000), (2, 2, 2001, 1)]
    assert pages(replace(window, count=0)) == 1
    assert pages(replace(window, count=PAGE)) == 1
