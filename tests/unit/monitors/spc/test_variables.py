"""Charts of measurements against the books' data, and sizes that differ."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from streams.monitors.spc.attributes import D2_EXACT, NoLimits, Removal
from streams.monitors.spc.variables import (
    RANGE,
    Sample,
    c4,
    fit_individuals,
    fit_samples,
    location_limits,
    location_z,
    precision,
    sample_of,
    sigma_within,
    spread_limits,
    spread_z,
)
from tests.unit.monitors.spc.oracles import FLOW, RINGS

INDIVIDUALS = [sample_of(str(i), [value]) for i, value in enumerate(FLOW)]
PISTONS = [sample_of(str(i), ring) for i, ring in enumerate(RINGS, start=1)]


def test_flow_rate_with_the_rounded_and_the_exact_constant() -> None:
    limits = fit_individuals(INDIVIDUALS)
    drawn = location_limits(limits, 1)
    assert round(limits.center, 2) == 50.81
    assert round(limits.sigma * limits.d2, 5) == 1.87778
    assert (round(drawn.lcl, 4), round(drawn.ucl, 4)) == (45.8159, 55.8041)
    assert (spread_limits(limits, 1).lcl, round(spread_limits(limits, 1).ucl, 4)) == (0, 6.1347)
    exact = location_limits(fit_individuals(INDIVIDUALS, d2=D2_EXACT), 1)
    assert (round(exact.lcl, 4), round(exact.ucl, 4)) == (45.8176, 55.8024)


def test_piston_rings() -> None:
    limits = fit_samples(PISTONS)
    drawn, spread = location_limits(limits, 5), spread_limits(limits, 5)
    assert round(limits.center, 6) == 74.001176
    assert round(spread.center, 6) == 0.009240
    assert (round(drawn.lcl, 5), round(drawn.ucl, 5)) == (73.98799, 74.01436)
    assert (spread.lcl, round(spread.ucl, 5)) == (0, 0.01930)
    assert round(math.fsum(one.span or 0 for one in PISTONS) / 25, 5) == 0.02276
    assert all(abs(location_z(limits, one.n, one.mean)) < 3 for one in PISTONS)
    assert all(abs(spread_z(limits, one.n, one.sd or 0)) < 3 for one in PISTONS)


def test_a_point_on_its_limit_has_a_z_of_three() -> None:
    limits = fit_samples(PISTONS)
    for n in (1, 2, 5, 40):
        assert location_z(limits, n, location_limits(limits, n).ucl) == pytest.approx(3)
    assert spread_z(limits, 9, spread_limits(limits, 9).ucl) == pytest.approx(3)
    single = fit_individuals(INDIVIDUALS)
    assert spread_z(single, 1, spread_limits(single, 1).ucl) == pytest.approx(3)
    assert location_z(single, 400, location_limits(single, 400).lcl) == pytest.approx(-3)


def test_unequal_sizes_share_one_sigma() -> None:
    rng = np.random.default_rng(5)
    samples = [sample_of(str(i), rng.normal(10, 0.5, size=int(n)).tolist()) for i, n in enumerate(rng.integers(1, 9, size=3000))]
    for method in ("sbar", "rbar", "pooled"):
        limits = fit_samples(samples, method=method)
        assert limits.sigma == pytest.approx(0.5, rel=0.02)
        assert limits.center == pytest.approx(10, abs=0.02)
    beyond = [abs(location_z(limits, one.n, one.mean)) > 3 for one in samples]
    assert np.mean(beyond) == pytest.approx(0.0027, abs=0.003)
    widths = [location_limits(limits, n).ucl - limits.center for n in (1, 4, 9)]
    assert widths[0] == pytest.approx(2 * widths[1]) == pytest.approx(3 * widths[2])


def test_c4_and_the_constants_of_ranges_are_what_integrals_give() -> None:
    assert [round(c4(n), 4) for n in (2, 3, 4, 5, 10, 25)] == [0.7979, 0.8862, 0.9213, 0.9400, 0.9727, 0.9896]
    grid, step = np.linspace(-8, 8, 1601, retstep=True)
    below, above = norm.cdf(grid), norm.sf(grid)
    for n, (mean, sd) in RANGE.items():
        first = step * np.sum(1 - below**n - above**n)
        assert first == pytest.approx(mean, abs=2e-6)
        # E[R^2] is twice the integral over x < y of 1 - F(y)^n - (1 - F(x))^n + (F(y) - F(x))^n; half of it where x = y
        inner = 1 - below[None, :] ** n - above[:, None] ** n + np.maximum(0, below[None, :] - below[:, None]) ** n
        second = 2 * step**2 * (np.triu(inner, 1).sum() + np.trace(inner) / 2)
        assert math.sqrt(second - first**2) == pytest.approx(sd, abs=2e-5)


def test_the_precision_of_each_sigma_is_what_simulation_gives() -> None:
    rng = np.random.default_rng(11)
    drawn = rng.normal(size=(4000, 20, 5))
    for method in ("sbar", "rbar", "pooled"):
        found = [sigma_within([sample_of(str(i), row) for i, row in enumerate(one)], method) for one in drawn[:1500].tolist()]
        assert np.var(found) == pytest.approx(1 / (20 * precision(5, method)), rel=0.12)


def test_what_gives_no_limits_says_so() -> None:
    one = sample_of("a", [1.0])
    with pytest.raises(NoLimits, match="two subgroups"):
        fit_individuals([one])
    with pytest.raises(NoLimits, match="chart individuals"):
        fit_samples([one, sample_of("b", [2.0])])
    with pytest.raises(NoLimits, match="do not scatter"):
        fit_individuals([one, sample_of("b", [1.0])])
    with pytest.raises(NoLimits, match="no subgroup is left"):
        fit_individuals([one], [Removal(subgroup="a", reason="x")])
    with pytest.raises(ValueError, match="not among"):
        fit_individuals([one], [Removal(subgroup="z", reason="x")])
    with pytest.raises(ValueError, match="subgroup c: a value is not finite"):
        sample_of("c", [1.0, math.inf])
    with pytest.raises(ValueError, match="subgroup c: no value"):
        sample_of("c", [])
    with pytest.raises(ValueError, match="no standard deviation"):
        spread_limits(fit_samples(PISTONS), 1)
    with pytest.raises(NoLimits, match="take sbar or pooled"):
        fit_samples([sample_of("a", [float(i) for i in range(11)])], method="rbar")
    with pytest.raises(NoLimits, match="has no range"):
        fit_samples([Sample(subgroup="a", n=3, mean=0, sd=1)], method="rbar")


@settings(deadline=None)
@given(st.lists(st.lists(st.floats(-100, 100), min_size=1, max_size=6), min_size=2, max_size=12))
def test_xbar_s_limits_contain_the_centre_and_do_not_depend_on_the_order(groups: list[list[float]]) -> None:
    samples = [sample_of(str(i), values) for i, values in enumerate(groups)]
    try:
        limits = fit_samples(samples)
    except NoLimits:
        return
    turned = fit_samples(samples[::-1])
    assert [turned.center, turned.sigma] == pytest.approx([limits.center, limits.sigma])
    for one in samples:
        drawn = location_limits(limits, one.n)
        assert drawn.lcl <= drawn.center <= drawn.ucl
        if one.n > 1:
            spread = spread_limits(limits, one.n)
            assert 0 <= spread.lcl <= spread.center <= spread.ucl
