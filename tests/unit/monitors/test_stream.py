"""A score stream from evidence to events: the same whatever the order of arrival, repeats, ticks and restarts."""

from __future__ import annotations

import json
import random
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.baseline import BaselineStateV1, BaselineV1, CertificateV1, SampleV1
from schemas.common import Message, digest
from schemas.drift import DriftSummaryV1
from schemas.policy import AnomalyRuleV1, BaselineRuleV1, PolicyV1
from streams.monitors.ordering import Scored
from streams.monitors.references import References
from streams.monitors.stream import Rules, due, expire, step
from streams.monitors.stream_state import StreamState, dump, load
from tests.helpers.streams import END_MS, EVERY_MS, STREAM, Shelf, commissioned, events, models, normal, parts, told

SHELF = Shelf()
MODELS = SHELF.put(models(normal(400, seed=1)))
QUIET, MOVED = normal(300, seed=2), normal(300, seed=3, shift=1.5)
SHIFT = [*QUIET, *MOVED]
STORY, WHOLE = told(SHELF, parts(SHIFT, MODELS, lot="L-1"))


def bytes_of(said: list[Message]) -> list[bytes]:
    return [message.json_bytes() for message in said]


def test_a_shift_becomes_suspect_then_stale_and_every_change_of_state_is_published() -> None:
    first, *found = events(WHOLE)
    assert (first.kind, first.state, first.inspection[-3:]) == ("new_stream", "provisional", "000")
    assert [event.kind for event in found] == ["baseline_up", "stale"]
    alarm = found[0]
    assert alarm.effect_sd is not None
    assert alarm.effect_sd.value == pytest.approx(1.5, abs=0.5)
    assert alarm.change_point is not None
    assert abs(int(alarm.change_point[-3:]) - 300) <= 5
    assert (alarm.lot, alarm.change_point_lot, alarm.provisional) == ("L-1", "L-1", True)
    assert alarm.counts is not None
    assert sum(alarm.counts.now) == alarm.parts_since
    states = [message for message in WHOLE if isinstance(message, BaselineStateV1)]
    assert [state.state for state in states] == ["provisional", "suspect", "stale"]
    assert [state.inspection for state in states] == [event.inspection for event in events(WHOLE)]
    made = [message for message in WHOLE if isinstance(message, BaselineV1)]
    assert [digest(message) for message in made] == [alarm.baseline]
    assert made[0].sample.scores == SHELF.model_sets[MODELS].models[0].calibration["v1"]


def test_windows_hold_every_score_once_and_show_how_far_the_alarm_is() -> None:
    windows = [message for message in WHOLE if isinstance(message, DriftSummaryV1)]
    assert sum(window.n for window in windows) == len(SHIFT)
    assert [window.n for window in windows] == [100] * 6
    assert windows[0].score_low == min(SHIFT[:100])
    assert windows[0].score_high == max(SHIFT[:100])
    quiet, moved = windows[2], windows[3]
    assert max(quiet.levels.values()) < 1
    assert (quiet.state, moved.state) == ("provisional", "suspect")
    assert set(quiet.levels) > {"up 0.4", "down 1", "shrink 0.6", "tail rate up"}


@settings(max_examples=25, deadline=None)
@given(spread=st.integers(0, 30), copies=st.integers(0, 50), seed=st.integers(0, 2**32))
def test_any_order_of_arrival_and_any_copies_tell_the_same(spread: int, copies: int, seed: int) -> None:
    """The first part comes first: the stream begins with it. Times are the broker's, so they ascend."""
    chance = random.Random(seed)
    there = parts(SHIFT, MODELS, lot="L-1")
    order = [0, *sorted(range(1, len(there)), key=lambda n: n + chance.uniform(0, spread))]
    for _ in range(copies):
        at = chance.randrange(len(order))
        order.insert(chance.randint(at + 1, len(order)), order[at])
    arriving = [there[n]._replace(at_ms=100 * place) for place, n in enumerate(order)]
    said = told(SHELF, arriving)[1]
    assert [(e.kind, e.inspection, e.log_e_value, e.counts) for e in events(said)] == [
        (e.kind, e.inspection, e.log_e_value, e.counts) for e in events(WHOLE)
    ]
    assert sum(window.n for window in said if isinstance(window, DriftSummaryV1)) == len(there)


@settings(max_examples=25, deadline=None)
@given(saved_at=st.integers(0, 550), behind=st.integers(0, 100), seed=st.integers(0, 2**32))
def test_a_replay_from_any_point_onto_a_saved_state_repeats_bytes_and_adds_nothing(saved_at: int, behind: int, seed: int) -> None:
    """As after kill -9: the state was saved somewhere, the offset committed somewhere before, ticks came where they liked."""
    chance = random.Random(seed)
    there = [part for part in parts(SHIFT, MODELS, lot="L-1") if chance.random() > 0.02]
    order = sorted(range(len(there)), key=lambda n: n + chance.uniform(0, 8))
    arriving = [there[n]._replace(at_ms=100 * place) for place, n in enumerate(order)]
    plain_state, plain = told(SHELF, arriving)
    rules = Rules(id=digest(STREAM), references=References(SHELF), every_ms=EVERY_MS)
    state = StreamState(STREAM)
    said: list[Message] = []
    for part in arriving[:saved_at]:
        outcome = step(state, part, rules)
        state, said = outcome.state, [*said, *outcome.messages]
        if chance.random() < 0.1:
            outcome = expire(state, part.at_ms, rules)
            state, said = outcome.state, [*said, *outcome.messages]
    state = load(json.loads(json.dumps(dump(state))))
    for part in arriving[max(0, saved_at - behind) :]:
        outcome = step(state, part, rules)
        state, said = outcome.state, [*said, *outcome.messages]
    outcome = expire(state, END_MS, rules)
    assert bytes_of([*said, *outcome.messages]) == bytes_of(plain)
    assert json.dumps(dump(outcome.state)) == json.dumps(dump(plain_state))


def test_saving_and_reading_the_state_at_every_part_changes_nothing() -> None:
    state, said = told(SHELF, parts(SHIFT, MODELS, lot="L-1"), restart=True)
    assert bytes_of(said) == bytes_of(WHOLE)
    assert dump(state) == dump(STORY)


def test_the_state_is_small() -> None:
    data = dump(STORY)
    detector, evidence = data["detector"]
    assert len(detector) * 3 / 4 <= 512
    assert len(evidence) * 3 / 4 <= 1024
    assert len(json.dumps(data)) < 3000


def test_what_waits_is_due_and_expires_by_log_time_alone() -> None:
    rules = Rules(id=digest(STREAM), references=References(SHELF), every_ms=EVERY_MS)
    state = step(StreamState(STREAM), parts([0.0], MODELS)[0], rules).state
    at_ms = due(state, EVERY_MS)
    assert at_ms is not None
    assert expire(state, at_ms - 1, rules).messages == ()
    outcome = expire(state, at_ms, rules)
    assert [event.kind for event in events(outcome.messages)] == ["new_stream"]
    end_ms = due(outcome.state, EVERY_MS)
    assert end_ms is not None
    assert expire(outcome.state, end_ms - 1, rules).messages == ()
    closed = expire(outcome.state, end_ms, rules)
    assert [type(message) for message in closed.messages] == [DriftSummaryV1]
    assert due(closed.state, EVERY_MS) is None


def test_a_clock_that_is_set_back_changes_no_event() -> None:
    """An hour in the middle: windows may be longer, what is judged is not."""
    there = parts(SHIFT, MODELS, lot="L-1")
    arriving = [*(part._replace(at_ms=part.at_ms + 3_600_000) for part in there[:310]), *there[310:]]
    arriving[400], arriving[404] = arriving[404], arriving[400]
    said = told(SHELF, arriving, restart=True)[1]
    assert [(e.kind, e.inspection, e.log_e_value) for e in events(said)] == [
        (e.kind, e.inspection, e.log_e_value) for e in events(WHOLE)
    ]
    assert sum(window.n for window in said if isinstance(window, DriftSummaryV1)) == len(SHIFT)


def test_parts_of_another_purpose_fill_their_number_and_count_nowhere() -> None:
    mixed = [None if n % 7 == 3 else score for n, score in enumerate(SHIFT)]
    rules = Rules(id=digest(STREAM), references=References(SHELF), every_ms=EVERY_MS)
    state = StreamState(STREAM)
    for part in parts(mixed, MODELS):
        outcome = step(state, part, rules)
        state = outcome.state
        assert len(state.order.waiting) == 0 or part.n < 50
    only = told(SHELF, [part for part in parts(mixed, MODELS) if part.score is not None])[1]
    assert bytes_of(told(SHELF, parts(mixed, MODELS))[1])[:4] == bytes_of(only)[:4]
    assert sum(m.n for m in only if isinstance(m, DriftSummaryV1)) == sum(score is not None for score in mixed)


# ---------------------------------------------------------------- which baseline
def test_a_stamp_is_a_new_baseline_from_that_part_on_and_clears_stale() -> None:
    own = SHELF.put(commissioned(normal(500, seed=4, shift=1.5)))
    said = told(SHELF, [*parts(SHIFT, MODELS), *parts(MOVED, MODELS, first=600, baseline=own)])[1]
    *_, changed = events(said)
    assert (changed.kind, changed.state, changed.baseline, changed.inspection[-3:]) == ("new_baseline", "active", own, "600")
    assert [m.state for m in said if isinstance(m, BaselineStateV1)] == ["provisional", "suspect", "stale", "active"]
    windows = [m for m in said if isinstance(m, DriftSummaryV1)]
    assert {(w.baseline == own, int(w.first[-3:]) >= 600) for w in windows} == {(False, False), (True, True)}


def test_a_retired_baseline_leaves_the_calibration_scores() -> None:
    own = SHELF.put(commissioned(normal(500, seed=4)))
    said = told(SHELF, [*parts(QUIET, MODELS, baseline=own), *parts(QUIET, MODELS, first=300)])[1]
    assert [(event.kind, event.state) for event in events(said)] == [
        ("new_stream", "active"),
        ("new_baseline", "provisional"),
    ]


def test_a_stamp_that_is_missing_for_a_while_does_not_clear_stale() -> None:
    """A gateway without Kafka may not know the stamp: only an act may clear what was found."""
    own = SHELF.put(commissioned(normal(500, seed=4)))
    story = [
        *parts(SHIFT, MODELS, baseline=own),
        *parts(QUIET[:50], MODELS, first=600),
        *parts(QUIET[50:], MODELS, first=650, baseline=own),
    ]
    state, said = told(SHELF, story, restart=True)
    assert [m.state for m in said if isinstance(m, BaselineStateV1)] == ["active", "suspect", "stale", "provisional", "stale"]
    assert (state.said, state.parked) == ("stale", None)
    other = SHELF.put(commissioned(normal(600, seed=5)))
    assert told(SHELF, [*story[:650], *parts(QUIET, MODELS, first=650, baseline=other)])[0].said == "active"


@pytest.mark.parametrize(
    ("stamps", "why"),
    [
        ({"baseline": "ee" * 32}, "is not on baseline.v1"),
        ({"baseline": SHELF.put(commissioned([1.0, 2.0], stream=STREAM.model_copy(update={"view": "v2"})))}, "another"),
        ({"model_set": "ee" * 32}, "is unknown"),
        ({"model_set": SHELF.put(models([]))}, "no calibration scores"),
        ({"model_set": SHELF.put(models([0.5] * 50_001))}, "at most 50000 can be kept"),
    ],
)
def test_without_a_baseline_nothing_is_judged_and_that_is_said_once(stamps: dict[str, Any], why: str) -> None:
    arriving = [part._replace(**stamps) for part in parts(SHIFT, MODELS)]
    state, said = told(SHELF, arriving)
    (event,) = events(said)
    assert event.kind == "no_baseline"
    assert why in event.detail
    assert event.baseline is None
    assert not any(isinstance(message, BaselineStateV1 | BaselineV1) for message in said)
    windows = [message for message in said if isinstance(message, DriftSummaryV1)]
    assert sum(window.n for window in windows) == len(SHIFT)
    assert not any(window.levels for window in windows)
    assert load(dump(state)) == state


def test_a_model_set_that_can_be_judged_by_ends_the_time_without_a_baseline() -> None:
    bare = SHELF.put(models([]))
    said = told(SHELF, [*parts(QUIET, bare), *parts(QUIET, MODELS, first=300)], restart=True)[1]
    assert [(event.kind, event.inspection[-3:]) for event in events(said)] == [("no_baseline", "000"), ("new_baseline", "300")]
    assert [message.state for message in said if isinstance(message, BaselineStateV1)] == ["provisional"]


def test_the_policy_sets_the_false_alarm_budget_and_the_threshold() -> None:
    rule = BaselineRuleV1(false_alarm_every_parts=1e6)
    policy = SHELF.put(PolicyV1(product="disc", title="t", anomaly=AnomalyRuleV1(alpha=0.1), baseline=rule))
    said = told(SHELF, parts(SHIFT, MODELS, policy=policy))[1]
    alarm = events(said)[1]
    assert alarm.arl0 == 1e6
    assert alarm.rejects is not None
    assert alarm.rejects[0] == pytest.approx(0.1, abs=0.01)
    assert alarm.rejects[1] > 0.3
    assert events(WHOLE)[1].arl0 == BaselineRuleV1().false_alarm_every_parts
    assert events(WHOLE)[1].rejects is None


# ---------------------------------------------------------------- certificate
@pytest.mark.parametrize(
    ("certificate", "at", "why"),
    [
        (CertificateV1(parts=40), 39, "40 parts"),
        (CertificateV1(days=30 / 864_000), 30, "days in force"),  # 30 parts of 100 ms
        (CertificateV1(lots=2), 50, "lot number 3"),
        (CertificateV1(tool_changes=1), 20, "1 tool changes"),
    ],
)
def test_a_certificate_expires_once_and_the_baseline_is_provisional_until_the_next_act(
    certificate: CertificateV1, at: int, why: str
) -> None:
    own = SHELF.put(commissioned(normal(500, seed=4), certificate=certificate))
    arriving = [
        part._replace(lot=f"L-{part.n // 25}", tool=f"T-{part.n // 20}") for part in parts(QUIET[:80], MODELS, baseline=own)
    ]
    state, said = told(SHELF, arriving)
    first, expired = events(said)
    assert (first.state, expired.kind, expired.state) == ("active", "certificate_expired", "provisional")
    assert int(expired.inspection[-3:]) == at
    assert why in expired.detail
    states = [message for message in said if isinstance(message, BaselineStateV1)]
    assert [(one.state, one.certificate_expired) for one in states] == [("active", False), ("provisional", True)]
    again = told(SHELF, [*arriving, *parts(QUIET, MODELS, first=80)])[1]
    assert events(again)[-1].kind == "new_baseline"
    assert load(dump(state)).trust == state.trust


def test_an_expired_certificate_hides_no_alarm() -> None:
    own = SHELF.put(commissioned(normal(500, seed=4), certificate=CertificateV1(parts=10)))
    said = told(SHELF, parts(SHIFT, MODELS, baseline=own))[1]
    states = [(one.state, one.certificate_expired) for one in said if isinstance(one, BaselineStateV1)]
    assert states == [("active", False), ("provisional", True), ("suspect", True), ("stale", True)]


# ---------------------------------------------------------------- odd references
@pytest.mark.parametrize("count", [1, 10])
@pytest.mark.parametrize("kind", ["constant", "discrete", "normal"])
def test_tiny_constant_and_discrete_references_judge_without_fault(count: int, kind: str) -> None:
    reference = {"constant": [0.5] * count, "discrete": [float(n % 2) for n in range(count)], "normal": normal(count, seed=5)}
    own = SHELF.put(models(reference[kind]))
    state, said = told(SHELF, parts(reference[kind] * (600 // count), own), restart=True)
    kinds = Counter(event.kind for event in events(said))
    assert kinds["new_stream"] == 1
    assert events(said)[0].provisional
    assert sum(m.n for m in said if isinstance(m, DriftSummaryV1)) == 600 // count * count
    assert not kinds.keys() & {"baseline_up", "baseline_down", "stale"}
    assert state.detector is not None


def test_a_coarse_score_in_control_raises_nothing() -> None:
    coarse = [round(score, 1) for score in normal(2000, seed=6)]
    own = SHELF.put(models(coarse))
    said = told(SHELF, parts([round(score, 1) for score in normal(3000, seed=7)], own))[1]
    assert [event.kind for event in events(said)] == ["new_stream"]


def test_copies_change_no_state() -> None:
    rules = Rules(id=digest(STREAM), references=References(SHELF), every_ms=EVERY_MS)
    part = Scored(5, 0, 0, 1.0, model_set=MODELS)
    state = step(StreamState(STREAM), part, rules).state
    again = step(state, part, rules)
    assert again.fate == "copy"
    assert again.state == state
    assert not again.messages
    assert replace(again, state=state) == again


def test_samples_with_lots_are_fitted_with_them() -> None:
    sample = SampleV1(scores=tuple(normal(500, seed=8)), in_order=True, lots=(200, 300), arl0=1e6)
    own = SHELF.put(BaselineV1(stream=STREAM, origin="refreshed", sample=sample))
    assert events(told(SHELF, parts(QUIET, MODELS, baseline=own))[1])[0].state == "active"
