"""A station's machine: what a subgroup is, when it ends, what stages do, and what comes late or is corrected."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from schemas.envelope import to_millis
from schemas.evidence import BaselineStampV1
from schemas.spc import LimitsV1, SignalV1, StageBreakV1, SubgroupRuleV1, SubgroupV1
from schemas.verdict import VerdictV1
from streams.fates import Unprocessable
from streams.monitors.spc.bins import bin_of
from tests.helpers.spc import EPOCH, T0_MS, Machine, act, digest_of, plan, reviewed, segmented, values, verdict


def machine(*charts: dict[str, Any], **rule: Any) -> Machine:
    return Machine().tell(plan(*charts, **({"n": 10} if not rule else rule)))


def make(one: Machine, count: int, first: int = 0, bad: int = 0, **changes: Any) -> list[VerdictV1]:
    """Consecutive parts, the first `bad` of them scrap."""
    found = [verdict(first + i, "scrap" if i < bad else "pass", "crack" if i < bad else None, **changes) for i in range(count)]
    one.judge(*found)
    return found


# ---------------------------------------------------------------- subgroups
def test_a_full_subgroup_is_published_once_after_its_time_of_grace() -> None:
    one = machine(n=10)
    make(one, 10, bad=2)
    assert one.of(SubgroupV1) == []
    (found,) = one.finish().of(SubgroupV1)
    assert (found.n, found.nonconforming, found.closed_by, found.revision) == (10, 2, "count", 0)
    assert (found.first_n, found.last_n, found.epoch) == (0, 9, EPOCH)
    assert found.counts == {"pass": 8, "rework": 0, "scrap": 2, "review": 0, "no_verdict": 0}
    assert found.defects == {"crack": 2, "unknown": 0, "unreviewed": 0}
    assert one.finish().of(SubgroupV1) == [found]


def test_only_judged_production_parts_count() -> None:
    one = machine(n=4)
    for n, purpose in enumerate(("production", "challenge", "setup", "rework", "reinspection", "study", "challenge")):
        one.judge(verdict(n, "scrap", "crack", purpose=purpose))
    one.judge(verdict(7, "review", "crack"), verdict(8, "no_verdict"), verdict(9, "rework"))
    assert one.finish().of(SubgroupV1) == []
    make(one, 2, first=10)
    (found,) = one.finish().of(SubgroupV1)
    assert (found.n, found.nonconforming) == (4, 2)
    assert found.excluded == {"challenge": 2, "setup": 1, "rework": 1, "reinspection": 1, "study": 1}
    assert found.counts == {"pass": 2, "rework": 1, "scrap": 1, "review": 1, "no_verdict": 1}
    assert found.defects == {"crack": 1, "unknown": 1, "unreviewed": 1}


def test_subgroups_of_one_part_and_of_none() -> None:
    single = machine(n=1)
    make(single, 8, bad=1)
    assert [one.n for one in single.finish().of(SubgroupV1)] == [1] * 8
    nobody = machine(every_s=60)
    nobody.judge(*(verdict(n, "no_verdict") for n in range(3)))
    (found,) = nobody.finish().of(SubgroupV1)
    assert (found.n, found.nonconforming, found.counts["no_verdict"]) == (0, 0, 3)
    assert nobody.of(LimitsV1) == []


def test_all_defective_gives_no_limits_and_breaks_nothing() -> None:
    one = machine(n=10)
    make(one, 100, bad=100)
    found = one.finish().of(SubgroupV1)
    assert [sub.nonconforming for sub in found] == [10] * 10
    assert one.of(LimitsV1) == []
    make(one, 10, first=100)
    (limits,) = one.finish().of(LimitsV1)
    assert (limits.center, limits.provenance.n) == (100 / 110, 11)


def test_a_lot_ends_a_subgroup_and_names_it() -> None:
    one = machine(lot=True)
    make(one, 5, lot="L-1")
    make(one, 7, first=5, lot="L-2")
    make(one, 1, first=12)
    found = one.finish().of(SubgroupV1)
    assert [(sub.lot, sub.n, sub.closed_by) for sub in found] == [("L-1", 5, "lot"), ("L-2", 7, "lot")]


def test_several_lots_are_no_lot() -> None:
    one = machine(n=4)
    make(one, 2, lot="L-1")
    make(one, 2, first=2, lot="L-2")
    assert one.finish().of(SubgroupV1)[0].lot is None


def test_numbers_that_begin_anew_end_a_subgroup() -> None:
    one = machine(n=10)
    make(one, 5)
    one.judge(*(verdict(n, at_ms=T0_MS + 10_000 + n, epoch=EPOCH + 9) for n in range(10)))
    found = one.finish().of(SubgroupV1)
    assert [(sub.epoch, sub.n, sub.closed_by) for sub in found] == [(EPOCH, 5, "sequence"), (EPOCH + 9, 10, "count")]


def test_products_have_subgroups_of_their_own() -> None:
    one = machine(n=5)
    one.judge(*(verdict(n, product=("disc", "ring")[n % 2]) for n in range(12)))
    (found,) = one.finish().of(SubgroupV1)[:1]
    assert (found.product, found.n, found.first_n, found.last_n) == ("disc", 5, 0, 8)


# ---------------------------------------------------------------- time
def test_an_hour_ends_with_the_next_part_or_by_the_stations_own_time() -> None:
    one = machine(every_s=3600, grace_s=10)
    at = T0_MS + 3_590_000
    one.judge(verdict(0, at_ms=at), verdict(1, at_ms=at + 9_000))
    one.wait(at + 19_000 + 299)
    assert one.of(SubgroupV1) == []
    one.wait(at + 20_000 + 300)  # a part comes 300 ms after its shutter: the hour and ten seconds are over
    (found,) = one.of(SubgroupV1)
    assert (found.n, found.closed_by) == (2, "time")
    one.judge(verdict(2, at_ms=at + 30_000), verdict(3, at_ms=at + 3_620_000)).wait(at + 3_640_000)
    assert [sub.n for sub in one.of(SubgroupV1)] == [2, 1]


def test_a_capture_clock_that_is_wrong_by_hours_closes_nothing_early() -> None:
    one = machine(every_s=3600, grace_s=10)
    for n in range(100):
        shutter = T0_MS - 7_200_000 + n * 10_000  # two hours slow
        one.judge(verdict(n, at_ms=shutter), at_ms=T0_MS + n * 10_000)
    assert one.of(SubgroupV1) == []


FAR = datetime(9999, 12, 31, 12, tzinfo=UTC)


def test_a_shutter_that_cannot_be_believed_is_that_of_the_announcement() -> None:
    one = machine(n=8)
    made = [verdict(n) for n in range(9)]
    made[3] = made[3].model_copy(update={"captured_at": FAR})
    for n in (0, 1, 3, 2, *range(4, 9)):  # 3 waits for 2
        one.judge(made[n], at_ms=T0_MS + 1000 * n)
    (found,) = one.finish().subgroups
    assert (found.n, found.end, one.lost) == (8, made[7].captured_at, [])


def test_a_part_that_waits_and_cannot_be_taken_is_lost_alone_and_said() -> None:
    """Its own record is done by then: if it stayed, no part of the station would ever be taken again."""
    one = machine(every_s=3600)
    made = [verdict(n) for n in range(9)]
    made[3] = made[3].model_copy(update={"captured_at": FAR, "announced_at": FAR})
    for n in (0, 1, 3, 2, *range(4, 9)):
        one.judge(made[n], at_ms=T0_MS + 1000 * n)
    (found,) = one.finish().subgroups
    assert (found.n, found.unplaced) == (8, 1)
    (lost,) = one.lost
    assert "000000000003 revision 1: it cannot be taken: OverflowError" in lost


def test_a_part_that_cannot_be_taken_when_it_comes_is_refused() -> None:
    one = machine(every_s=3600).judge(verdict(0)).wait(T0_MS + 5000)
    with pytest.raises(OverflowError):
        one.judge(verdict(1).model_copy(update={"captured_at": FAR, "announced_at": FAR}), at_ms=T0_MS + 5000)
    one.offset -= 1
    assert one.judge(verdict(2), verdict(3)).finish().subgroups[0].n == 3


def test_a_clock_set_back_a_little_stays_in_the_subgroup_and_by_hours_begins_another() -> None:
    one = machine(every_s=3600)
    hour = T0_MS + 3_600_000
    for n, at in enumerate((hour - 2_000, hour + 100, hour - 400, hour + 900, hour - 30_000, hour + 2_000)):
        one.judge(verdict(n, at_ms=at), at_ms=hour + n * 1_000)
    one.judge(verdict(6, at_ms=hour - 3_000_000), verdict(7, at_ms=hour - 2_990_000), at_ms=hour + 9_000)
    one.judge(verdict(8, at_ms=hour + 10_000), at_ms=hour + 10_000)
    found = one.finish().of(SubgroupV1)
    assert [(sub.first_n, sub.last_n, sub.n) for sub in found] == [(0, 0, 1), (1, 5, 5), (6, 7, 2), (8, 8, 1)]


def test_a_jump_over_a_shift_boundary_and_back_is_three_stretches() -> None:
    one = machine(shifts=("06:00", "14:00", "22:00"), zone="Europe/Berlin")
    before = to_millis(datetime(2026, 1, 5, 13, 59, 50, tzinfo=ZoneInfo("Europe/Berlin")))
    for n, at in enumerate((before, before + 1_000, before + 86_400_000, before + 86_401_000, before + 2_000, before + 3_000)):
        one.judge(verdict(n, at_ms=at), at_ms=before + 1_000 * n)
    one.judge(verdict(6, at_ms=before + 20_000), at_ms=before + 20_000)
    found = one.finish().of(SubgroupV1)
    assert [(sub.first_n, sub.n, sub.closed_by) for sub in found[:3]] == [(0, 2, "time"), (2, 2, "time"), (4, 2, "time")]


@pytest.mark.parametrize(
    ("day", "local", "hours"),
    [
        ((2026, 3, 29), "Europe/Berlin", 23),  # 02:00 leaps to 03:00
        ((2026, 10, 25), "Europe/Berlin", 25),  # 03:00 falls back to 02:00
        ((2026, 3, 8), "America/New_York", 23),
        ((2026, 11, 1), "America/New_York", 25),
        ((2026, 6, 1), "Asia/Kolkata", 24),
    ],
)
def test_hours_are_hours_when_the_clock_changes(day: tuple[int, int, int], local: str, hours: int) -> None:
    zone = ZoneInfo(local)
    start = to_millis(datetime(*day, tzinfo=zone).astimezone(UTC))
    rule, at, found = SubgroupRuleV1(every_s=3600, zone=local), start, []
    while at < start + hours * 3_600_000:
        stretch = bin_of(rule, at)
        assert stretch is not None
        found.append(stretch)
        assert bin_of(rule, stretch[1] - 1) == stretch
        at = stretch[1]
    assert len(found) == hours
    assert {end - begin for begin, end in found} == {3_600_000}
    assert found[-1][1] == start + hours * 3_600_000


def test_shifts_keep_their_local_time_when_the_clock_changes() -> None:
    rule, zone = SubgroupRuleV1(shifts=("06:00", "14:00", "22:00"), zone="Europe/Berlin"), ZoneInfo("Europe/Berlin")
    for day, length_h in (((2026, 3, 29), 7), ((2026, 10, 25), 9)):
        night = bin_of(rule, to_millis(datetime(*day, 1, tzinfo=zone)))
        assert night is not None
        assert (night[1] - night[0]) / 3_600_000 == length_h
        assert [datetime.fromtimestamp(at / 1000, zone).hour for at in night] == [22, 6]


def test_eight_hours_after_midnight_are_eight_hours_of_the_wall_clock() -> None:
    rule, zone = SubgroupRuleV1(every_s=8 * 3600, zone="Europe/Berlin"), ZoneInfo("Europe/Berlin")
    for day in ((2026, 3, 29), (2026, 10, 25), (2026, 7, 1)):
        for hour in (0, 5, 8, 12, 17, 23):
            stretch = bin_of(rule, to_millis(datetime(*day, hour, 30, tzinfo=zone)))
            assert stretch is not None
            assert {datetime.fromtimestamp(at / 1000, zone).hour for at in stretch} <= {0, 8, 16}


# ---------------------------------------------------------------- stages
def test_new_models_break_the_stage_and_signal_nothing() -> None:
    one = machine(n=10)
    for n in range(60):
        one.judge(verdict(n, "scrap" if n % 10 == 0 else "pass"))
    for n in range(60, 125):
        one.judge(verdict(n, "scrap" if n % 2 else "pass", model_set=digest_of("9")))
    one.finish()
    first, second = one.of(StageBreakV1)
    assert (first.previous, first.changed, second.previous, second.changed) == (None, (), first.stage_id, ("model_set",))
    assert second.first.endswith("-000000000060")
    assert [(sub.stage_id == second.stage_id, sub.n) for sub in one.of(SubgroupV1)] == [(False, 10)] * 6 + [(True, 10)] * 6
    assert [(x.status, x.phase, x.stage_id == second.stage_id) for x in one.of(LimitsV1)] == [
        ("trial", "I", False),
        ("carried", "I", False),
        ("trial", "I", True),
    ]
    assert one.of(LimitsV1)[1].limits_id in second.carried
    assert one.of(SignalV1) == []


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("policy", digest_of("9")),
        ("model_set", digest_of("9")),
        ("acquisition", digest_of("9")),
        ("calibration", {"v1": digest_of("9")}),
        ("baselines", {"v1": BaselineStampV1(stream=digest_of("5"), baseline=digest_of("9"), state="active")}),
        ("baselines", {"v1": BaselineStampV1(stream=digest_of("5"), state="active")}),
    ],
)
def test_what_breaks_a_stage(field: str, value: Any) -> None:
    one = machine(n=10)
    make(one, 4)
    make(one, 10, first=4, **{field: value})
    found = one.finish().of(SubgroupV1)
    assert [(sub.n, sub.closed_by) for sub in found] == [(4, "stage"), (10, "count")]
    assert one.of(StageBreakV1)[1].changed == (field.replace("baselines", "baseline"),)
    assert found[1].stage != found[0].stage


def test_what_a_verdict_does_not_know_breaks_nothing() -> None:
    one = machine(n=10)
    make(one, 3)
    lost: dict[str, Any] = {"calibration": {}, "policy": None, "model_set": None, "acquisition": None, "baselines": {}}
    one.judge(verdict(3, "no_verdict", **lost))
    state = BaselineStampV1(stream=digest_of("5"), baseline=digest_of("6"), state="suspect")
    make(one, 7, first=4, baselines={"v1": state})
    (found,) = one.finish().of(SubgroupV1)
    assert (found.n, found.counts["no_verdict"], found.baseline_state) == (10, 1, "suspect")
    assert len(one.of(StageBreakV1)) == 1


def test_stamps_that_interleave_by_arrival_do_not_flap() -> None:
    one = machine(n=10)
    parts = [verdict(n, model_set=digest_of("2" if n < 15 else "9")) for n in range(30)]
    order = [*range(12), 15, 12, 16, 13, 17, 14, *range(18, 30)]
    one.judge(*(parts[n] for n in order))
    found = one.finish().of(SubgroupV1)
    assert [(sub.first_n, sub.last_n, sub.closed_by) for sub in found] == [(0, 9, "count"), (10, 14, "stage"), (15, 24, "count")]
    assert len(one.of(StageBreakV1)) == 2


def test_a_plan_breaks_the_stage_at_the_next_part() -> None:
    one = machine(n=10)
    make(one, 14)
    one.tell(plan(n=5))
    make(one, 6, first=14)
    found = one.finish().of(SubgroupV1)
    assert [(sub.n, sub.closed_by) for sub in found] == [(10, "count"), (4, "stage"), (5, "count")]
    assert [one.changed for one in one.of(StageBreakV1)] == [(), ("plan",)]


def test_rules_begin_anew_with_a_stage() -> None:
    one = machine(n=10)
    for n in range(50):
        one.judge(verdict(n, "scrap" if n % 5 == 0 else "pass"))
    for n in range(50, 130):  # eight subgroups below the centre: one more would be a signal
        one.judge(verdict(n, "scrap" if n % 10 == 0 else "pass"))
    for n in range(130, 140):
        one.judge(verdict(n, "scrap" if n % 10 == 0 else "pass", policy=digest_of("9")))
    assert one.finish().of(SignalV1) == []


# ---------------------------------------------------------------- limits, signals
def steady(one: Machine, subgroups: int, bad: int, first: int = 0) -> None:
    for index in range(subgroups):
        make(one, 20, first=first + 20 * index, bad=bad + (index % 2))


def test_trial_limits_are_made_once_and_stay_until_a_person_acts() -> None:
    one = machine(n=20)
    steady(one, 5, bad=2)
    (trial,) = one.finish().of(LimitsV1)
    assert (trial.status, trial.phase, trial.center, trial.provenance.n) == ("trial", "I", 12 / 100, 5)
    steady(one, 20, bad=1, first=100)
    assert one.finish().of(LimitsV1) == [trial]
    one.tell(act("freeze", who="ben", why="agreed")).finish()
    frozen = one.of(LimitsV1)[1]
    assert (frozen.status, frozen.phase, frozen.center, frozen.limits_id) == ("frozen", "II", trial.center, trial.limits_id)
    assert (frozen.provenance.approved_by, frozen.provenance.why) == ("ben", "agreed")
    make(one, 20, first=500, bad=20)
    last = one.finish().of(SignalV1)[-1]
    assert (last.rule, last.direction, last.phase, last.status, last.value) == ("nelson_1", "high", "II", "open", 1.0)


def test_a_signal_says_rule_pattern_and_drift_state() -> None:
    stale = {"v1": BaselineStampV1(stream=digest_of("5"), baseline=digest_of("6"), state="stale")}
    one = machine(n=20)
    steady(one, 6, bad=2)
    make(one, 20, first=120, bad=18, baselines=stale)
    (found,) = one.finish().of(SignalV1)
    assert (found.rule_set, found.rule, found.direction, found.drift_state) == ("nelson_1_2", "nelson_1", "high", "stale")
    assert found.points == (found.subgroup_id,)
    assert not found.software_change_in_stage
    assert found.z is not None
    assert found.z > 3


def test_a_run_on_one_side_names_its_nine_points_and_the_change_of_software_in_it() -> None:
    one = machine({"name": "nonconforming", "of": "nonconforming", "chart": "laney_p", "trial_n": 18}, n=20)
    make(one, 20, policy=digest_of("9"))
    for index in range(18):
        make(one, 20, first=20 + 20 * index, bad=2 if index < 9 else 4)
    signals = one.finish().of(SignalV1)
    assert [(s.rule, s.direction, len(s.points), s.software_change_in_stage) for s in signals] == [
        ("nelson_2", "low", 9, True),
        ("nelson_2", "high", 9, False),
    ]


def test_a_removed_subgroup_has_its_cause_and_limits_are_made_without_it() -> None:
    one = machine(n=20)
    for index, bad in enumerate((2, 3, 15, 2, 3, 2, 3)):
        make(one, 20, first=20 * index, bad=bad)
    one.finish()
    outlier = one.subgroups[2].subgroup_id
    one.tell(act("remove", outlier)).finish()
    before, after = one.of(LimitsV1)
    assert (before.center, after.center) == (25 / 100, 15 / 120)
    assert [(x.subgroup_id, x.reason) for x in after.provenance.removed] == [(outlier, "broken fixture")]
    assert after.limits_id != before.limits_id
    assert [(s.subgroup_id, s.status) for s in one.of(SignalV1) if s.limits_id == after.limits_id] == [(outlier, "open")]


def test_limits_made_anew_replace_signals_of_the_old_ones() -> None:
    one = machine(n=20)
    steady(one, 5, bad=0)
    make(one, 20, first=100, bad=12)
    for index in range(12):
        make(one, 20, first=120 + 20 * index, bad=10 + index % 3)
    one.finish()
    assert {s.status for s in one.of(SignalV1)} == {"open"}
    before = len(one.said)
    one.tell(act("recompute")).finish()
    said = [x.message for x in one.said[before:]]
    assert [x.status for x in said if isinstance(x, LimitsV1)] == ["trial"]
    assert "superseded" in {x.status for x in said if isinstance(x, SignalV1)}


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        (act("freeze"), "no_limits"),
        (act("recompute"), "no_limits"),
        (act("freeze", characteristic="roundness"), "unknown_characteristic"),
        (act("freeze", series="nightly"), "unknown_series"),
        (act("remove", "no such subgroup"), "unknown_subgroup"),
        (plan(every_s=60, zone="Mars/Olympus"), "unknown_zone"),
    ],
)
def test_words_that_cannot_be_obeyed_are_refused(word: Any, reason: str) -> None:
    one = machine(n=10)
    make(one, 20, bad=1)
    one.finish()
    with pytest.raises(Unprocessable) as refused:
        one.tell(word)
    assert refused.value.reason == reason


def test_frozen_limits_lose_no_subgroup() -> None:
    one = machine(n=20)
    steady(one, 6, bad=2)
    one.finish().tell(act("freeze")).finish()
    with pytest.raises(Unprocessable, match="frozen"):
        one.tell(act("remove", one.subgroups[0].subgroup_id))


# ---------------------------------------------------------------- late, corrected, copied
def test_a_late_part_finds_its_subgroup_by_its_number() -> None:
    one = machine(n=10)
    parts = [verdict(n) for n in range(40)]
    one.judge(*(part for part in parts if part.inspection[-2:] != "04"))
    assert [sub.last_n for sub in one.finish().of(SubgroupV1)] == [10, 20, 30]
    one.judge(verdict(4, "scrap", "crack"), at_ms=T0_MS + 500_000)
    last = one.of(SubgroupV1)[-1]
    assert (last.revision, last.first_n, last.n, last.nonconforming) == (1, 0, 11, 1)
    assert "late part" in last.why
    said = len(one.said)
    one.judge(verdict(4, "scrap", "crack"), at_ms=T0_MS + 500_000)
    assert len(one.said) == said


def test_a_late_part_between_two_hours_belongs_to_the_hour_of_its_shutter() -> None:
    one = machine(every_s=3600)
    hour = T0_MS + 3_600_000
    at = {0: hour - 3_000, 1: hour - 2_000, 2: hour - 1_000, 3: hour + 1_000, 4: hour + 2_000}
    one.judge(*(verdict(n, at_ms=at[n]) for n in (0, 1, 4)))
    one.wait(hour + 60_000)
    one.judge(verdict(2, at_ms=at[2]), verdict(3, at_ms=at[3]), at_ms=hour + 60_000)
    found = one.finish().subgroups
    assert [(sub.first_n, sub.last_n, sub.n) for sub in found] == [(0, 2, 3), (3, 4, 2)]


def test_a_review_becomes_a_verdict_and_a_verdict_is_corrected() -> None:
    one = machine(n=4)
    pending, wrong = verdict(1, "review"), verdict(2, "scrap", "crack")
    one.judge(verdict(0), pending, wrong, verdict(3), verdict(4))
    assert one.finish().subgroups[0].counts["review"] == 1
    one.judge(reviewed(pending, "rework", "dent"), at_ms=T0_MS + 60_000)
    one.judge(reviewed(wrong, "pass"), at_ms=T0_MS + 61_000)
    (found,) = one.finish().subgroups
    assert (found.revision, found.n, found.nonconforming) == (2, 5, 1)
    assert found.defects == {"dent": 1, "unknown": 0, "unreviewed": 0}
    assert sum(found.counts.values()) == 5


def test_a_correction_before_it_is_published_is_no_revision() -> None:
    one = machine(n=3, grace_s=60)
    wrong = verdict(1, "scrap")
    one.judge(verdict(0), wrong, reviewed(wrong, "pass"), verdict(2), reviewed(wrong, "rework", "dent", revision=3))
    (found,) = one.finish().of(SubgroupV1)
    assert (found.revision, found.nonconforming, found.defects["dent"]) == (0, 1, 1)


def test_a_corrected_subgroup_supersedes_its_signal() -> None:
    one = machine(n=20)
    steady(one, 6, bad=2)
    parts = make(one, 20, first=120, bad=18)
    one.finish()
    for n in range(17):
        one.judge(reviewed(parts[n], "pass"), at_ms=T0_MS + 900_000 + n)
    states = [(s.rule, s.status) for s in one.finish().of(SignalV1)]
    assert states == [("nelson_1", "open"), ("nelson_1", "superseded")]
    assert one.of(SignalV1)[0].signal_id == one.of(SignalV1)[1].signal_id


def test_a_signal_that_comes_back_with_a_second_correction_is_an_event_of_its_own() -> None:
    """Nine points above the centre, the last trial one first; one is corrected to below it, and back. The newest is as it was."""
    one = machine(n=20)
    steady(one, 6, bad=2)
    runs = [make(one, 20, first=120 + 20 * index, bad=5) for index in range(8)]
    one.finish()
    good = [reviewed(part, "pass") for part in runs[4][:4]]
    one.judge(*good, at_ms=T0_MS + 900_000)
    one.judge(*(reviewed(part, "scrap", "dent", revision=3) for part in good), at_ms=T0_MS + 900_000)
    found = one.finish().of(SignalV1)
    assert [(s.rule, s.status, s.revision) for s in found] == [
        ("nelson_2", "open", 0),
        ("nelson_2", "superseded", 0),
        ("nelson_2", "open", 0),
    ]
    assert len({s.signal_id for s in found}) == 1
    assert len(values(one.said)) == len(one.said)


def test_what_is_too_old_is_counted_and_said() -> None:
    one = machine(n=2)
    first = make(one, 2)
    make(one, 2 * 60, first=2)
    one.finish().judge(reviewed(first[0], "scrap"), at_ms=T0_MS + 10_000_000)
    assert len(one.lost) == 1
    assert "too old" in one.lost[0]
    make(one, 4, first=122)
    assert [sub.unplaced for sub in one.finish().subgroups][-2:] == [1, 0]
    other = Machine().tell(plan(n=2))
    make(other, 2, first=50)
    other.judge(verdict(3), at_ms=T0_MS + 100_000)
    assert "forgotten" in other.lost[0]


def test_copies_of_any_kind_change_nothing() -> None:
    plain, copied = machine(n=5), machine(n=5)
    parts: list[VerdictV1] = []
    for n in range(40):
        part = verdict(n, "scrap" if n % 7 == 0 else "pass")
        parts += [part, *([reviewed(part, "rework")] if n % 14 == 0 else [])]
    plain.judge(*parts, at_ms=T0_MS + 40_000)
    for part in parts:
        copied.judge(part, at_ms=T0_MS + 40_000)
        copied.judge(part, at_ms=T0_MS + 40_000, offset=copied.offset)  # the record again
        copied.judge(part, at_ms=T0_MS + 40_000)  # the same verdict as another record
    assert values(copied.finish().said) == values(plain.finish().said)
    assert copied.lost == []


# ---------------------------------------------------------------- what is charted without a plan
def test_the_default_plan_charts_shares_classes_and_defects_and_lengths_where_there_are_any() -> None:
    one = Machine()
    for n in range(26 * 30):
        bad = n % 30 in (7, 11, 27)
        evidence: dict[str, Any] = {"evidence": segmented(1.5 + n % 7)} if bad else {}
        one.judge(verdict(n, "scrap" if bad else "pass", "scratch" if bad else None, lot=f"L-{n // 30}", **evidence))
    one.finish()
    limits = {x.characteristic: x for x in one.of(LimitsV1)}
    assert {name: found.chart for name, found in limits.items()} == {
        "nonconforming": "laney_p",
        "defects": "laney_u",
        "class-scratch": "laney_p",
        "length": "i_mr",
    }
    assert {name: found.center for name, found in limits.items() if name != "length"} == {
        "nonconforming": 0.1,
        "defects": 0.1,
        "class-scratch": 0.1,
    }
    (facts,) = {x.name: x for x in one.of(SubgroupV1)[0].characteristics if x.name == "length"}.values()
    assert (facts.unit, facts.n, facts.values) == ("mm", 3, (1.5, 5.5, 7.5))
