"""The size that is found 90 % of the time: against an oracle, on simulated stations, and what is said when it cannot be known."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, stats

from schemas.challenge import ChallengeItemV1, DetectionLimitV1
from schemas.envelope import from_millis
from schemas.evidence import ChallengeStampV1
from streams.monitors import detection_limit, pod
from streams.monitors.detection_limit import CUSUM_LIMIT, graded_parts, judge
from streams.monitors.graded import PLAIN, slot_of
from streams.monitors.pod import Grade, fit, limit

SIZES = (4.0, 6.0, 9.0, 13.0, 20.0)
AT = from_millis(1_767_600_000_000)
NELDER_MEAD: Any = {"method": "Nelder-Mead", "options": {"xatol": 1e-9, "fatol": 1e-12, "maxiter": 4000}}
counts = st.lists(st.integers(0, 12), min_size=5, max_size=5)


def grades(found: Sequence[int], tried: int = 12, sizes: Sequence[float] = SIZES) -> tuple[Grade, ...]:
    return tuple(Grade(size_px=size, tried=tried, found=hits) for size, hits in zip(sizes, found, strict=True))


def shares(a90: float, slope: float, sizes: Sequence[float] = SIZES) -> npt.NDArray[np.float64]:
    return 1 / (1 + 9**-1.0 * (a90 / np.asarray(sizes)) ** slope)


def penalised(found: Sequence[int], tried: int) -> Callable[[npt.NDArray[np.float64]], float]:
    """Minus Firth's log likelihood, written down from its definition."""
    design = np.stack([np.ones(5), np.log(SIZES)], 1)
    hits = np.asarray(found)

    def value(at: npt.NDArray[np.float64]) -> float:
        p = np.clip(1 / (1 + np.exp(-(design @ at))), 1e-15, 1 - 1e-15)
        information = design.T @ (design * (tried * p * (1 - p))[:, None])
        return -float((hits * np.log(p) + (tried - hits) * np.log1p(-p)).sum() + 0.5 * np.linalg.slogdet(information)[1])

    return value


@pytest.mark.parametrize("found", [(1, 4, 7, 11, 12), (0, 0, 12, 12, 12), (0, 1, 0, 5, 3), (2, 2, 6, 6, 12)])
def test_the_curve_is_the_summit_of_firths_likelihood(found: Sequence[int]) -> None:
    curve = fit(grades(found))
    assert curve is not None
    oracle = optimize.minimize(penalised(found, 12), [-4.0, 2.0], **NELDER_MEAD)
    assert curve.slope == pytest.approx(oracle.x[1], rel=1e-4)
    assert curve.midpoint == pytest.approx(-oracle.x[0] / oracle.x[1], rel=1e-4)


@pytest.mark.parametrize("found", [(1, 4, 7, 11, 12), (0, 2, 9, 10, 12), (2, 3, 6, 9, 12)])
def test_the_interval_is_where_the_likelihood_ratio_test_stops_to_refuse(found: Sequence[int]) -> None:
    hits, ln = np.asarray(found), np.log(SIZES)

    def plain(logit: npt.NDArray[np.float64]) -> float:
        return -float((hits * -np.logaddexp(0, -logit) + (12 - hits) * -np.logaddexp(0, logit)).sum())

    def refused(place: float) -> float:
        best = optimize.minimize_scalar(lambda slope: plain(math.log(9) + slope * (ln - place)), bounds=(1e-3, 100))
        return float(2 * (best.fun - top) - stats.t.ppf(0.975, 58) ** 2)

    top = optimize.minimize(lambda at: plain(at[0] + at[1] * ln), [-4.0, 2.0], **NELDER_MEAD).fun
    found_limit = limit(grades(found))
    assert found_limit is not None
    assert found_limit.value is not None
    assert found_limit.low == pytest.approx(
        math.exp(optimize.brentq(refused, math.log(2), math.log(found_limit.value))), rel=0.01
    )
    assert found_limit.high == pytest.approx(math.exp(optimize.brentq(refused, math.log(found_limit.value), 5)), rel=0.01)


def test_95_percent_intervals_hold_the_truth() -> None:
    """1,200 sets of 12 x 5 marks on four kinds of station. Measured in longer runs: 92 to 100 %, 96 % on average."""
    rng = np.random.default_rng(20)
    cached = lru_cache(limit)
    held, low, runs = 0, 0, 300
    for a90, slope in ((9.0, 4.0), (13.0, 8.0), (6.0, 4.0), (18.0, 3.0)):
        for found in rng.binomial(12, shares(a90, slope), size=(runs, 5)):
            seen = cached(grades(found.tolist()))
            assert seen is not None
            low += (seen.low or 0) > a90
            held += (seen.low or 0) <= a90 <= (seen.high or math.inf)
    assert held / (4 * runs) >= 0.93
    assert low / (4 * runs) <= 0.035, "these would be called worse than a limit that the station just keeps"


@settings(max_examples=60, deadline=None)
@given(found=counts)
def test_a_limit_lies_in_its_interval_and_between_the_grades(found: list[int]) -> None:
    seen = limit(grades(found))
    assert seen is not None
    if seen.value is not None:
        assert SIZES[0] <= seen.value <= SIZES[-1]
        assert (seen.low or 0) <= seen.value <= (seen.high or math.inf)
        assert seen.curve.probability(seen.value) == pytest.approx(0.9)
    assert (seen.low or 0) < (seen.high or math.inf)
    scaled = limit(grades(found, sizes=[size * 10 for size in SIZES]))
    assert scaled is not None
    if seen.low is not None:
        assert scaled.low == pytest.approx(10 * seen.low, rel=1e-6)


@pytest.mark.parametrize(("tried", "found"), [((12,), (6,)), ((0, 12), (0, 5))])
def test_one_size_gives_no_curve(tried: tuple[int, ...], found: tuple[int, ...]) -> None:
    assert limit([Grade(size_px=4.0 + n, tried=t, found=f) for n, (t, f) in enumerate(zip(tried, found, strict=True))]) is None


def test_students_t() -> None:
    for freedom in (8, 30, 58, 500):
        assert pod._student(freedom) == pytest.approx(stats.t.ppf(0.975, freedom), abs=0.01)


# --- sets of answers -------------------------------------------------------------------------------------------------------


def items(
    found: Sequence[int], *, plain_alarms: int = 0, view: str | None = "v1", mm: float | None = 0.05
) -> list[ChallengeItemV1]:
    """The answers of a whole set of 12 repeats: the first `found` of each size were found."""
    made: list[ChallengeItemV1] = []
    for part in graded_parts(SIZES):
        slot = slot_of(part)
        size = None if slot.grade is None else SIZES[slot.grade]
        caught = slot.repeat < found[slot.grade] if slot.grade is not None else slot.repeat >= plain_alarms
        passed = not caught if size else caught
        stamp: dict[str, Any] = {"set": "auto/limit/1", "part": part, "proof": "digital", "kind": "graded" if size else "golden"}
        if size:
            stamp |= {"label": "scratch", "size_px": size, "size_mm": size * mm if mm else None, "contrast": -0.2, "view": view}
        made.append(
            ChallengeItemV1(
                stamp=ChallengeStampV1.model_validate(stamp),
                inspection=f"plant/line/cam:1-{len(made):012d}",
                disposition="pass" if passed else "review",
                caught=caught,
                scores={"v1": 0.5},
            )
        )
    return made


class Station:
    """Judges set after set; its memory goes through JSON each time, as a processor's does."""

    def __init__(self, declared_px: float | None = None) -> None:
        self.state: dict[str, Any] | None = None
        self.declared_px, self.sets = declared_px, 0

    def set(self, found: Sequence[int], **changes: Any) -> DetectionLimitV1:
        (only,) = self.limits(items(found, **changes))
        return only

    def limits(self, answers: Sequence[ChallengeItemV1]) -> list[DetectionLimitV1]:
        self.sets += 1
        said, state = judge(
            station="plant/line/cam", product="disc", set=f"auto/limit/{self.sets}", at=AT, items=answers, state=self.state,
            declared_px=self.declared_px,
        )  # fmt: skip
        self.state = json.loads(json.dumps(state))
        assert len(json.dumps(state)) < 2000
        return said


GOOD, POORER, BLIND = (0, 3, 10, 12, 12), (0, 0, 6, 11, 12), (0, 0, 0, 0, 1)


def test_a_set_says_the_limit_in_px_and_mm() -> None:
    said = Station().set(GOOD)
    assert [(g.size_px, g.tried, g.found) for g in said.grades] == list(zip(SIZES, [12] * 5, GOOD, strict=True))
    assert said.pod90_px is not None
    assert said.pod90_mm is not None
    assert said.pod90_px.value == pytest.approx(10.0, abs=0.5)
    assert said.pod90_mm.value == pytest.approx(said.pod90_px.value * 0.05)
    assert (said.view, said.defect, said.contrast, said.false_alarms) == ("v1", "scratch", -0.2, 0)
    assert (said.worse, said.why, said.reference_px, said.cusum) == (False, None, None, None)
    assert DetectionLimitV1.read(said.json_bytes()) == said


def test_three_sets_teach_the_reference_and_it_never_moves() -> None:
    station = Station()
    said = [station.set(GOOD) for _ in range(10)]
    assert [one.reference_px for one in said[:3]] == [None] * 3
    (reference,) = {one.reference_px for one in said[3:]}
    pooled = limit(grades([3 * hits for hits in GOOD], 36))
    assert pooled is not None
    assert reference == pooled.high
    assert not any(one.worse for one in said)
    assert said[-1].cusum == 0
    assert said[-1].cusum_limit == CUSUM_LIMIT


def test_blindness_is_worse_at_once_though_it_has_no_limit() -> None:
    station = Station()
    for _ in range(3):
        station.set(GOOD)
    said = station.set(BLIND)
    assert said.worse
    assert said.pod90_px is None
    assert said.above_px is not None
    assert said.above_px > said.reference_px > 10  # type: ignore[operator]
    assert "above the largest size: 1 of 12 of 20 px were found" in (said.why or "")
    assert "above the reference" in (said.why or "")


def test_a_small_loss_adds_up_and_a_recovery_is_seen() -> None:
    station = Station()
    for _ in range(3):
        station.set(GOOD)
    said = [station.set(POORER) for _ in range(8)]
    assert said[-1].worse
    assert not said[0].worse
    assert "sets together" in (next(one.why for one in said if one.worse) or "")
    better = [station.set(GOOD) for _ in range(8)]
    assert not better[-1].worse


def test_a_declared_limit_holds_from_the_first_set_on() -> None:
    station = Station(declared_px=6.0)
    said = station.set((0, 0, 3, 9, 12))
    assert said.worse
    assert said.reference_px == 6.0


def test_a_station_that_holds_back_everything_says_nothing_of_size() -> None:
    station = Station()
    said = station.set((12, 12, 12, 12, 12), plain_alarms=PLAIN)
    assert (said.pod90_px, said.slope, said.false_alarms, said.worse) == (None, None, 1.0, False)
    assert "6 of 6 unpainted images did not pass either" in (said.why or "")
    assert station.set(GOOD, plain_alarms=1).pod90_px is not None


def test_a_limit_below_the_grades_says_so() -> None:
    said = Station().set((12, 12, 12, 12, 12))
    assert said.pod90_px is None
    assert said.below_px == pytest.approx(4.2, abs=0.2)
    assert "below the smallest size: 12 of 12 of 4 px" in (said.why or "")


def test_each_view_has_a_limit_of_its_own_and_nothing_gives_nothing() -> None:
    station = Station()
    both = station.limits([*items(GOOD, view="front"), *items(BLIND, view="back")])
    assert [(one.view, one.pod90_px is None) for one in both] == [("back", True), ("front", False)]
    assert station.limits([]) == []
    assert set(station.state or {}) == {"front/scratch/-0.2", "back/scratch/-0.2"}


def test_a_new_size_is_learnt_anew_and_one_without_answers_is_not() -> None:
    station = Station()
    for _ in range(4):
        station.set(GOOD)
    fewer = [item for item in items(GOOD) if item.stamp.size_px != 4.0]
    before = station.set(GOOD).reference_px
    assert before is not None
    assert station.limits(fewer)[0].reference_px == before
    assert station.set(BLIND).worse
    assert station.set(BLIND).reference_px == before
    moved = [item.model_copy(update={"stamp": item.stamp.model_copy(update={"size_px": (item.stamp.size_px or 0) + 1})})
             if item.stamp.kind == "graded" else item for item in items(GOOD)]  # fmt: skip
    assert station.limits(moved)[0].reference_px is None


@settings(max_examples=15, deadline=None)
@given(order=st.permutations(range(66)))
def test_the_order_of_the_answers_does_not_matter(order: list[int]) -> None:
    answers = items(GOOD)
    assert Station().limits([answers[n] for n in order]) == Station().limits(answers)


def test_a_steady_station_is_seldom_called_worse_and_a_loss_is_found() -> None:
    """30 stations for 100 sets each, then with a limit 1.6 times as large; 2 % of all defects are missed whatever their size."""
    rng, cached = np.random.default_rng(4), lru_cache(limit)
    alarms, above, delays = 0, 0, []
    for _ in range(30):
        course = detection_limit._Course.load(None, grades((0,) * 5))
        while (learnt := course.reference()) is None:
            course = course.plus(simulated(rng, 9.0))
        cusum = 0.0
        for _ in range(100):
            answers = simulated(rng, 9.0)
            step = detection_limit.loss(answers, *learnt)
            cusum = detection_limit.followed(cusum, step)
            alarms += cusum >= CUSUM_LIMIT
            seen = cached(answers) if step > 0 else None
            above += seen is not None and (seen.low or 0) > learnt[0]
        cusum, delay = 0.0, 0
        while cusum < CUSUM_LIMIT and delay < 50:
            delay += 1
            cusum = detection_limit.followed(cusum, detection_limit.loss(simulated(rng, 9.0 * 1.6), *learnt))
        delays.append(delay)
    assert alarms <= 2, "of 3,000 sets; the rate is one in 60,000"
    assert above <= 15, "of 3,000 sets; the rate is at most one in 500"
    assert np.median(delays) <= 4


def simulated(rng: np.random.Generator, a90: float) -> tuple[Grade, ...]:
    return grades(rng.binomial(12, 0.98 * shares(a90, 5.0)).tolist())
