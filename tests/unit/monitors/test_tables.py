"""The worked example of the design, to the digit; and thresholds against a simulation and against each other."""

from __future__ import annotations

import math

import numpy as np
import pytest

from streams.monitors.baseline import Baseline
from streams.monitors.detector import Score, init, step
from streams.monitors.rules import SHIFT
from streams.monitors.symbols import bins_of
from streams.monitors.tables import FAMILY, MOST_DEFECTS, UNIT, Alternative, moved, pay, ratios, table
from streams.monitors.tail import bounds, rule
from streams.monitors.thresholds import octave_of, run_length, table_thresholds, threshold

REFERENCE = (0.81, 0.92, 0.95, 1.02, 1.04, 1.10, 1.16, 1.23, 1.37, 1.80)
IDEAL = [0.95 / 18] * 18 + [0.05]


def test_the_worked_example_of_a_table() -> None:
    bins = bins_of(REFERENCE)
    assert bins.edges == (0.92, 1.02, 1.04, 1.16, 1.23, 1.80)
    assert (bins.counts, bins.body) == ((2, 2, 1, 2, 1, 2, 0), 6)
    assert bins.masses == pytest.approx([0.185185, 0.185185, 0.111111, 0.185185, 0.111111, 0.185185, 0.037037], abs=5e-7)
    after = moved(bins.masses, FAMILY[0])
    assert after == pytest.approx([0.097526, 0.134903, 0.095213, 0.184615, 0.130079, 0.274814, 0.082850], abs=5e-7)
    found = ratios(bins.masses, bins.body, FAMILY[0])
    assert found.share == pytest.approx(0.066623, abs=5e-7)
    assert found.values == pytest.approx([0.552945, 0.764863, 0.899719, 1.046720, 1.229193, 1.558125, 1], abs=5e-7)
    assert found.variance(bins.masses) == pytest.approx(0.112294, abs=5e-7)
    assert pay(found.variance(bins.masses), 1, 10, 1.645) == pytest.approx(0.160688, abs=5e-7)
    expected = (-49361, -28099, -17457, -7539, 2993, 18533, -10531)
    assert table(bins.masses, bins.body, FAMILY[0], n=10, deff=1, conf=1.645) == expected


def test_the_worked_example_of_the_cusums() -> None:
    baseline = Baseline.fit(REFERENCE, arl0=1e5, deff=1)
    state = init(baseline)
    expected = {
        1.05: [0, 0, 0, 0, 0, 14510, 0],
        1.80: [18533, 37380, 30650, 0, 0, 0, 0],
        1.37: [37066, 74760, 61300, 0, 0, 0, 0],
        2.40: [26535, 52065, 75999, 0, 0, 0, 0],
        0.90: [0, 0, 0, 21236, 42969, 0, 24064],
    }
    for n, (score, sums) in enumerate(expected.items()):
        state, events = step(baseline, state, Score(score, 0, n, n))
        assert [value >> SHIFT for value in state.sums] == sums
        assert events == []


@pytest.mark.parametrize("alternative", FAMILY, ids=lambda alternative: alternative.name)
def test_the_design_figures_of_each_table(alternative: Alternative) -> None:
    share, tail, first, last, pay_2000, pay_100, h5, h7 = {
        "up 0.4": (0.0784, 1, 0.439, 1.75, 0.012, 0.054, 10.17, 14.83),
        "up 1": (0.2361, 1, 0.107, 3.30, 0.029, 0.125, 11.19, 15.83),
        "up 2": (0.3, 1.928, 0.004, 3.44, 0.032, 0.136, 12.11, 16.70),
        "down 0.4": (0, 0.801, 2.07, 0.509, 0.014, 0.061, 10.32, 14.97),
        "down 1": (0, 0.480, 4.98, 0.142, 0.040, 0.168, 11.59, 16.18),
        "shrink 0.6": (0, 0.460, 0.065, 0.267, 0.019, 0.080, 11.23, 15.87),
        "spread 1.6": (0.1252, 1, 3.31, 1.33, 0.021, 0.091, 10.35, 15.01),
    }[alternative.name]
    found = ratios(IDEAL, 18, alternative)
    assert found.share == pytest.approx(share, abs=5e-5)
    assert [found.values[i] for i in (18, 0, 17)] == pytest.approx([tail, first, last], abs=6e-3)
    variance = found.variance(IDEAL)
    assert [pay(variance, 1, n, 1.645) for n in (2000, 100)] == pytest.approx([pay_2000, pay_100], abs=6e-4)
    steps = [math.log(value) for value in found.values]
    assert [threshold(steps, found.null, 7 * arl) for arl in (1e5, 1e7)] == pytest.approx([h5, h7], rel=0.005)


def test_no_member_of_the_null_gains() -> None:
    for alternative in FAMILY:
        found = ratios(IDEAL, 18, alternative)
        for share in (0, found.share, MOST_DEFECTS):
            masses = [(1 - share) * p for p in IDEAL[:18]] + [IDEAL[18] + share * (1 - IDEAL[18])]
            mean = math.fsum(p * value for p, value in zip(masses, found.values, strict=True))
            assert mean <= 1 + 1e-12
            if share == found.share:
                assert mean == pytest.approx(1)


def test_a_threshold_keeps_its_run_length_in_a_simulation() -> None:
    """400 CUSUMs side by side, under the least favourable member of the null."""
    rng = np.random.default_rng(5)
    found = ratios(IDEAL, 18, FAMILY[0])
    steps = np.log(found.values)
    h = threshold(steps.tolist(), found.null, 2000)
    sums, lengths = np.zeros(400), list[int]()
    ages = np.zeros(400, dtype=int)
    for _ in range(20_000):
        sums = np.maximum(0, sums + steps[rng.choice(19, size=400, p=found.null)])
        ages += 1
        lengths += ages[sums >= h].tolist()
        ages[sums >= h], sums[sums >= h] = 0, 0
    assert np.mean(lengths) == pytest.approx(run_length(steps.tolist(), found.null, h), rel=0.1)
    assert len(lengths) > 2000


def test_thresholds_grow_with_the_budget_and_are_kept() -> None:
    low, high = (table_thresholds(18, FAMILY, octave_of(arl)) for arl in (1e5, 1e7))
    assert all(4.4 < b - a < 4.9 for a, b in zip(low, high, strict=True))
    assert table_thresholds(18, FAMILY, octave_of(1e5)) is low
    assert low[0] == pytest.approx(10.27, abs=0.03)
    beyond = [threshold((0.7, -0.03), (0.02, 0.98), arl) for arl in (1e10, 1e13, 1e16)]
    assert np.diff(beyond) == pytest.approx(math.log(1000), abs=0.01)


def test_the_tail_rule_against_its_own_run_lengths() -> None:
    """A rate of 1.8 % on 2000 parts: up to 2.3 % is no alarm, and twice that is found in a few thousand parts."""
    found = bounds(0.018, 2000, 1)
    assert found.high == pytest.approx(0.0229, abs=1e-4)
    tail = rule(found, 1e5)
    steps = [tail.up_event / UNIT, tail.up_other / UNIT]
    h = tail.up_h / UNIT
    in_control, doubled = (run_length(steps, (rate, 1 - rate), h) for rate in (found.high, 2 * 0.018))
    assert in_control >= 2e5
    assert doubled < 2500
