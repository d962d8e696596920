"""Capability against the books, and how often the intervals hold what they are of."""

from __future__ import annotations

import math

import numpy as np
import pytest

from streams.monitors.spc.attributes import NoLimits
from streams.monitors.spc.capability import (
    Percentiles,
    Tolerance,
    empirical,
    location_index,
    lognormal,
    overall,
    percentile_index,
    pooled_samples,
    spread_index,
    within,
)
from streams.monitors.spc.variables import Sigma, sample_of
from tests.unit.monitors.spc.oracles import FLOW, RINGS

PISTONS = [sample_of(str(i), ring) for i, ring in enumerate(RINGS, start=1)]
DRAWING = Tolerance(lower=73.95, upper=74.05)


@pytest.mark.parametrize(("method", "cp"), [("sbar", 1.6955), ("rbar", 1.7033 - 0.0001), ("pooled", 1.6898)])
def test_cp_of_piston_rings_by_each_sigma(method: Sigma, cp: float) -> None:
    found = within(DRAWING, PISTONS, method)
    assert found.method == method
    assert found.spread is not None
    assert found.spread.value == pytest.approx(cp, abs=6e-5)
    assert found.spread.low < cp < found.spread.high


def test_cpk_pp_and_ppk_of_piston_rings() -> None:
    assert round(within(DRAWING, PISTONS).location.value, 4) == 1.6556
    whole = overall(DRAWING, pooled_samples(PISTONS))
    assert whole.spread is not None
    assert [round(x, 4) for x in (whole.spread.value, whole.spread.low, whole.spread.high)] == [1.6551, 1.4492, 1.8606]
    assert [round(x, 4) for x in (whole.location.value, whole.location.low, whole.location.high)] == [1.6162, 1.4067, 1.8256]
    assert (whole.n, whole.freedom, whole.method) == (125, 124, "overall")


def test_montgomerys_examples_and_how_little_a_cpk_of_1_33_says() -> None:
    cp = spread_index((62 - 38) / (6 * 1.75), 19)
    assert [round(x, 3) for x in (cp.value, cp.low, cp.high)] == [2.286, 1.565, 3.006]
    cpk = location_index(1.33, 20, 19)
    assert [round(x, 3) for x in (cpk.low, cpk.high)] == [0.883, 1.777]
    ends = [location_index(1.33, n, n - 1) for n in (50, 100, 200)]
    assert [(round(one.low, 2), round(one.high, 2)) for one in ends] == [(1.05, 1.61), (1.13, 1.53), (1.19, 1.47)]


def test_all_subgroups_as_one_are_all_values_as_one() -> None:
    whole = sample_of("all", [value for ring in RINGS for value in ring])
    pooled = pooled_samples(PISTONS)
    assert [pooled.n, pooled.mean, pooled.sd] == pytest.approx([whole.n, whole.mean, whole.sd])


def test_one_limit_gives_no_cp_and_individuals_use_moving_ranges() -> None:
    found = within(Tolerance(upper=60), [sample_of(str(i), [value]) for i, value in enumerate(FLOW)], "mr")
    assert found.spread is None
    assert found.location.value == pytest.approx((60 - 50.81) / (3 * 1.87778 * math.sqrt(math.pi) / 2), rel=1e-5)
    assert found.freedom == pytest.approx(0.62 * 9)


def test_bad_input_says_so() -> None:
    with pytest.raises(ValueError, match="needs a limit"):
        Tolerance()
    with pytest.raises(ValueError, match="must be below"):
        Tolerance(lower=2, upper=1)
    with pytest.raises(ValueError, match="one measurement"):
        overall(DRAWING, sample_of("a", [74.0]))
    with pytest.raises(ValueError, match="do not scatter"):
        overall(DRAWING, sample_of("a", [74.0, 74.0]))
    with pytest.raises(NoLimits, match="two measurements"):
        within(DRAWING, [sample_of("a", [74.0])])
    with pytest.raises(NoLimits, match="moving ranges of subgroup means"):
        within(DRAWING, PISTONS, "mr")
    with pytest.raises(NoLimits, match="two subgroups"):
        within(DRAWING, [sample_of("a", [74.0])], "mr")
    with pytest.raises(ValueError, match="all above 0"):
        lognormal([0.0, 1.0])
    with pytest.raises(ValueError, match="741"):
        empirical([1.0] * 740)


def test_percentiles_of_a_normal_are_three_sigmas_and_of_a_lognormal_its_own() -> None:
    normal = Percentiles(family="empirical", low=-3, median=0, high=3)
    assert normal.index(Tolerance(lower=-4, upper=5)) == pytest.approx(4 / 3)
    values = np.exp(np.random.default_rng(2).normal(0.5, 0.25, size=20000))
    for form in (lognormal, empirical):
        found = form(values.tolist())
        assert (found.low, found.median, found.high) == pytest.approx([math.exp(0.5 + 0.25 * k) for k in (-3, 0, 3)], rel=0.05)
    symmetric = overall(Tolerance(upper=4.0), sample_of("all", values.tolist())).location.value
    skewed = lognormal(values.tolist()).index(Tolerance(upper=4.0))
    assert symmetric > skewed + 0.3  # a normal would promise far more than the tail keeps


def covered(low: float, high: float, truth: float) -> bool:
    return low <= truth <= high


@pytest.mark.parametrize("n", [30, 125])
def test_pp_and_ppk_intervals_cover_what_they_say(n: int) -> None:
    """2000 samples: a coverage of 95 % is seen as 94 to 96 % (two standard errors)."""
    rng = np.random.default_rng(n)
    tolerance, pp, ppk = Tolerance(lower=-4.0, upper=4.5), 8.5 / 6, 4 / 3
    hits = np.zeros(2)
    for values in rng.normal(size=(2000, n)):
        found = overall(tolerance, sample_of("all", values.tolist()))
        assert found.spread is not None
        hits += (covered(found.spread.low, found.spread.high, pp), covered(found.location.low, found.location.high, ppk))
    assert hits / 2000 == pytest.approx([0.95, 0.95], abs=0.011)


@pytest.mark.parametrize("method", ["sbar", "rbar", "pooled"])
def test_cp_intervals_within_subgroups_cover_what_they_say(method: Sigma) -> None:
    rng = np.random.default_rng(8)
    tolerance = Tolerance(lower=-4.0, upper=4.0)
    hits = 0
    for groups in rng.normal(size=(1000, 25, 5)).tolist():
        found = within(tolerance, [sample_of(str(i), group) for i, group in enumerate(groups)], method)
        assert found.spread is not None
        hits += covered(found.spread.low, found.spread.high, 8 / 6)
    assert hits / 1000 == pytest.approx(0.95, abs=0.015)


def test_percentile_intervals_of_lognormal_lengths_cover_nearly_what_they_say() -> None:
    """94.5 % of these 200; with a standard error of 1.5 points."""
    rng = np.random.default_rng(4)
    truth = (math.exp(1.2) - 1) / (math.exp(0.9) - 1)
    hits = 0
    for values in np.exp(rng.normal(0, 0.3, size=(200, 100))):
        found = percentile_index(Tolerance(upper=math.exp(1.2)), values.tolist(), rng)
        hits += covered(found.low, found.high, truth)
    assert hits / 200 == pytest.approx(0.95, abs=0.03)
