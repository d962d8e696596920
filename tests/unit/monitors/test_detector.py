"""What the monitor says of streams with a known change; seeds are fixed, the bench measures delays over many."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import pytest
from numpy.random import Generator
from numpy.typing import NDArray

from streams.monitors import detector, moves
from streams.monitors.baseline import Baseline
from streams.monitors.detector import Score, init, step
from streams.monitors.evidence import DriftEvent, reject_rates
from streams.monitors.packing import pack, pack_evidence, unpack
from streams.monitors.score import Point
from streams.monitors.segments import apply, numbered
from streams.monitors.state import State

AT = 4000
Values = NDArray[np.float64]


@cache
def baseline(n: int = 2000) -> Baseline:
    return Baseline.fit(np.exp(0.4 * np.random.default_rng(7).normal(size=n)).tolist(), arl0=1e5)


def latent(rng: Generator, parts: int, defects: float = 0.01) -> Values:
    """Good parts, and defects that score far up."""
    z = rng.normal(size=parts)
    z[rng.random(parts) < defects] = 4 + rng.random()
    return z


def stream(seed: int, after: Values, defects: float = 0.01) -> Values:
    """Scores: 4000 parts in control, then `after`."""
    return np.exp(0.4 * np.concatenate([latent(np.random.default_rng(seed), AT, defects), after]))


def said(scores: Values, of: Baseline | None = None) -> list[DriftEvent]:
    use = of or baseline()
    return apply(use, init(use), numbered(use, scores))[1]


def kinds(events: list[DriftEvent]) -> list[str]:
    return [event.kind for event in events]


def test_in_control_it_is_quiet() -> None:
    rng = np.random.default_rng(21)
    assert sum(len(said(np.exp(0.4 * latent(rng, 20_000)))) for _ in range(5)) <= 1


@pytest.mark.parametrize(
    ("shift", "scale", "kind", "within"),
    [
        (0.5, 1.0, "baseline_up", 500),
        (1.0, 1.0, "baseline_up", 120),
        (2.0, 1.0, "baseline_up", 60),
        (5.0, 1.0, "baseline_up", 40),
        (-0.5, 1.0, "baseline_down", 400),
        (-1.0, 1.0, "baseline_down", 90),
        (0.0, 0.6, "baseline_shrink", 300),
        (0.0, 1.6, "baseline_spread", 400),
    ],
)
def test_a_moved_baseline_is_named_then_stale_and_nothing_after(shift: float, scale: float, kind: str, within: int) -> None:
    for seed in range(3):
        events = said(stream(seed, scale * latent(np.random.default_rng(500 + seed), 5000) + shift))
        assert kinds(events) == [kind, "stale"]
        first = events[0]
        assert AT <= first.at.n < AT + within
        assert first.change_point is not None
        assert abs(first.change_point.n - AT) < 200


@pytest.mark.parametrize("rate", [0.05, 0.2])
def test_more_defects_are_never_called_a_moved_baseline(rate: float) -> None:
    for seed in range(5):
        events = said(stream(seed, latent(np.random.default_rng(200 + seed), 8000, rate)))
        assert "defect_rate_up" in kinds(events)
        assert not [event for event in events if event.kind.startswith("baseline")]


def test_fewer_defects_are_said_once() -> None:
    before = latent(np.random.default_rng(1), AT, 0.04)
    after = latent(np.random.default_rng(2), 8000, 0.0)
    assert kinds(said(np.exp(0.4 * np.concatenate([before, after])))) == ["defect_rate_down"]


def test_a_frozen_source_is_stuck_and_nothing_else() -> None:
    for seed in range(5):
        scores = stream(seed, latent(np.random.default_rng(300 + seed), 3000))
        scores[AT : AT + 500] = scores[AT]
        (event,) = said(scores)
        assert (event.kind, event.change_point) == ("stuck", Point(0, AT + 1, AT + 1))
        assert event.at.n <= AT + 5


def test_a_source_that_freezes_again_and_again_is_stuck_each_time_it_was_free() -> None:
    scores = stream(6, latent(np.random.default_rng(16), 3000))
    for start in range(AT, AT + 3000, 600):
        scores[start : start + 300] = scores[start]
    events = said(scores)
    assert kinds(events) == ["stuck"] * 5
    assert [event.change_point.n for event in events if event.change_point] == [AT + 600 * i + 1 for i in range(5)]


def test_what_the_repeats_had_said_is_taken_back() -> None:
    state = init(baseline())
    for n, value in enumerate(stream(3, np.empty(0)).tolist()):
        state, _ = step(baseline(), state, Score(value, 0, n, n))
    before = [value >> 40 for value in state.sums]
    for n in range(5):
        state, events = step(baseline(), state, Score(30.0, 0, AT + n, AT + n))
        if n == 0:
            before = [value >> 40 for value in state.sums]  # the first of them is a part like any other
    assert kinds(events) == ["stuck"]
    assert [value >> 40 for value in state.sums] == before


def test_a_passing_disturbance_recovers_and_a_lasting_one_does_not() -> None:
    rng = np.random.default_rng(5)
    passing = np.concatenate([latent(rng, 80) + 1.2, latent(rng, 6000)])
    assert kinds(said(stream(4, passing)))[:2] == ["baseline_up", "recovered"]
    for seed in range(5):
        lasting = said(stream(seed, 0.75 * latent(np.random.default_rng(400 + seed), 4000)))
        assert "recovered" not in kinds(lasting)


def test_the_third_alarm_within_20000_parts_is_stale() -> None:
    """Waves that mostly are too short for a second crossing, and pass."""
    thrice = 0
    for seed in range(10):
        rng = np.random.default_rng(seed)
        waves = [wave for _ in range(3) for wave in (latent(rng, 75) + 1.2, latent(rng, 4000))]
        told = kinds(said(stream(8, np.concatenate(waves))))
        alarms = [i for i, kind in enumerate(told) if kind.startswith("baseline")]
        thrice += len(alarms) == 3
        assert len(alarms) < 3 or told[alarms[2] :] == [told[alarms[2]], "stale"]
    assert thrice >= 4


def test_a_burst_of_ten_defects_is_no_drift() -> None:
    rng = np.random.default_rng(9)
    z = rng.normal(size=40_000)
    for start in rng.integers(0, 39_990, size=40):
        z[start : start + 10] = 4 + rng.random(10)
    assert not [event for event in said(np.exp(0.4 * z)) if event.kind.startswith("baseline")]


def test_bursts_that_follow_each_other_are_no_drift() -> None:
    """Two of ten with a good part between, or with a defect that hides among good parts: the weights are no evidence yet."""
    rng = np.random.default_rng(16)
    for _ in range(20):
        z = rng.normal(size=3000)
        z[2500:2521] = 4 + rng.random(21)
        z[2500 + int(rng.integers(7, 14))] = rng.normal()
        assert not [event for event in said(np.exp(0.4 * z)) if event.kind.startswith("baseline")]


def test_a_jump_while_the_tail_rate_is_learnt_is_said_and_not_learnt() -> None:
    rng = np.random.default_rng(10)
    scores = np.exp(0.4 * np.concatenate([latent(rng, 300), latent(rng, 5000, 0.25)]))
    events = said(scores)
    assert kinds(events)[0] == "defect_rate_up"
    assert events[0].at.n < 700


def test_the_evidence_says_what_scores_can() -> None:
    events = said(stream(1, latent(np.random.default_rng(12), 5000) + 1.0))
    found = events[0].evidence
    assert found is not None
    assert found.effect is not None
    assert (found.effect.unit, found.provisional, found.reference_n, found.arl0) == ("sd", False, 2000, 1e5)
    assert found.effect.low is not None
    assert found.effect.high is not None
    assert found.effect.low < 1.0 < found.effect.high
    assert sum(found.counts) == found.since == events[0].at.n - events[0].change_point.n + 1  # type: ignore[union-attr]
    assert sum(found.reference_counts) == 2000
    assert found.log_e > 10
    median = next(quantile for quantile in found.quantiles if quantile.q == 0.5)
    assert median.now is not None
    assert median.now > 1.2 * median.reference
    assert found.tail_since.low <= (found.tail_since.value or 0) <= found.tail_since.high
    before, since = reject_rates(baseline(), found, threshold=float(np.exp(0.4 * 2.0)))
    assert before == pytest.approx(0.023, abs=0.01)
    assert since > 0.08


def test_a_small_reference_marks_its_events() -> None:
    events = said(stream(2, latent(np.random.default_rng(13), 3000) + 1.5), baseline(100))
    assert events[0].evidence is not None
    assert events[0].evidence.provisional


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_score_that_is_no_number_is_refused_and_changes_nothing(value: float) -> None:
    state = played(stream(1, np.empty(0))[:50])
    packed = pack(state)
    with pytest.raises(ValueError, match="inspection 0-50 is not finite"):
        step(baseline(), state, Score(value, 0, 50, 50))
    assert pack(state) == packed


def test_a_state_packs_small_and_comes_back_the_same_wherever_it_is_stopped() -> None:
    scores = stream(2, latent(np.random.default_rng(14), 600) + 0.8)
    whole, pieces = init(baseline()), init(baseline())
    events: list[DriftEvent] = []
    again: list[DriftEvent] = []
    for n, value in enumerate(scores.tolist()):
        score = Score(value, 1_700_000_000_000, n, 1_700_000_000_000 + 40 * n)
        whole, one = step(baseline(), whole, score)
        pieces, two = step(baseline(), unpack(pack(pieces), pack_evidence(pieces)), score)
        events, again = events + one, again + two
    assert events == again
    assert len(events) == 2
    assert (pack(whole), pack_evidence(whole)) == (pack(pieces), pack_evidence(pieces))
    assert len(pack(whole)) <= 512
    assert len(pack_evidence(whole)) <= 1024
    with pytest.raises(ValueError, match="no state of version"):
        unpack(pack(whole)[:-1])


def test_the_short_way_is_the_careful_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """Almost every part takes the short way; the rule is the other one."""
    short, careful = init(baseline()), init(baseline())
    taken = 0
    real = moves.careful

    def counting(*given: object) -> tuple[State, list[DriftEvent]]:
        nonlocal taken
        taken += 1
        return real(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(detector, "careful", counting)
    for n, value in enumerate(stream(5, latent(np.random.default_rng(15), 3000) + 0.4).tolist()):
        score = Score(value, 0, n, n)
        short, one = step(baseline(), short, score)
        careful, two = real(baseline(), careful, score, sum(edge < value for edge in baseline().edges))
        assert pack(short) == pack(careful)
        assert one == two
    assert short.mode == "stale"
    assert 2000 < taken < 5500  # while learning, suspect and stale


def played(scores: Values) -> State:
    return apply(baseline(), init(baseline()), numbered(baseline(), scores))[0]
