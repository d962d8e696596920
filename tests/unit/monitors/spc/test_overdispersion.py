"""Lots whose rate wanders more than chance: a plain chart floods, the primed one keeps the false-alarm rate that it states."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import binom

from streams.monitors.spc.arl import arl0
from streams.monitors.spc.attributes import AttributeChart, AttributeLimits, Count, band, rules_z, z_of
from streams.monitors.spc.phase_one import beyond, fit_attributes

MEAN, SD = 0.02, 0.007  # of the true rate from lot to lot
ALIKE = SD**2 / (MEAN * (1 - MEAN))


def lots(rng: np.random.Generator, number: int, size: int) -> list[Count]:
    rates: NDArray[np.float64] = rng.beta(MEAN * (1 / ALIKE - 1), (1 - MEAN) * (1 / ALIKE - 1), size=number)
    bad = rng.binomial(size, rates).tolist()
    return [Count(subgroup=str(i), count=count, size=size) for i, count in enumerate(bad)]


def flagged(limits: AttributeLimits, counts: list[Count]) -> float:
    return len(beyond(limits, counts)) / len(counts)


@pytest.mark.parametrize(("size", "plain", "primed"), [(1000, 0.09, 0.008), (5000, 0.40, 0.008), (20_000, 0.67, 0.008)])
def test_how_often_each_chart_flags_lots_that_are_in_control(size: int, plain: float, primed: float) -> None:
    """20,000 lots; the limits are those of the same lots, so that only the chart is measured. (At 200 a lot the plain limit lies
    between 9 and 10 bad parts: 1.3 or 2.6 %, as the centre falls.)
    """
    counts = lots(np.random.default_rng(size), 20_000, size)
    assert flagged(fit_attributes("p", counts), counts) == pytest.approx(plain, rel=0.1)
    limits = fit_attributes("laney_p", counts)
    found = flagged(limits, counts)
    assert found == pytest.approx(primed, abs=0.0025)
    assert found == pytest.approx(1 / arl0(limits, size, "nelson_1"), rel=0.25)


def test_limits_of_100_lots_on_the_next_600() -> None:
    """Twenty plants of 5000 a lot. The primed chart flags .82 % of 12,000 lots where it states .74 %, which chance explains; the
    plain one flags 41 % where it states .28 %.
    """
    rng = np.random.default_rng(41)
    found: dict[AttributeChart, list[float]] = {"p": [], "laney_p": []}
    stated: dict[AttributeChart, list[float]] = {"p": [], "laney_p": []}
    for _ in range(20):
        first, then = lots(rng, 100, 5000), lots(rng, 600, 5000)
        for chart in found:
            limits = fit_attributes(chart, first)
            found[chart].append(flagged(limits, then))
            stated[chart].append(1 / arl0(limits, 5000, "nelson_1"))
    assert min(found["p"]) > 0.35
    assert max(stated["p"]) < 0.004
    allowed = float(np.mean(stated["laney_p"]))
    assert 0.006 < allowed < 0.009
    assert sum(found["laney_p"]) * 600 <= binom.isf(0.025, 12_000, allowed)
    assert max(found["laney_p"]) < 0.03  # limits of 100 lots are not those of all


def test_sigma_z_of_few_subgroups_is_noise() -> None:
    """Without overdispersion: 95 % of sigma-Z lie in .62-1.43 at 20 subgroups, .67-1.38 at 25, .76-1.27 at 50."""
    rng = np.random.default_rng(43)
    for number, low, high in ((20, 0.62, 1.43), (25, 0.67, 1.38), (50, 0.76, 1.27)):
        drawn = [
            fit_attributes("laney_p", [Count(subgroup=str(i), count=x, size=1000) for i, x in enumerate(row)]).sigma_z or 0
            for row in rng.binomial(1000, 0.02, size=(1500, number)).tolist()
        ]
        assert np.quantile(drawn, [0.025, 0.975]) == pytest.approx([low, high], abs=0.04)


def test_subgroups_that_are_all_equal_have_limits_of_chance() -> None:
    """Their sigma-Z is 0, by which nothing can be divided."""
    limits = fit_attributes("laney_p", [Count(subgroup=str(i), count=5, size=500) for i in range(60)])
    assert limits.sigma_z == 0
    z = z_of(limits, Count(subgroup="next", count=20, size=500))
    assert rules_z(limits, z) == z
    at = band(limits, 500)
    assert (at.lcl, at.ucl) == (at.plain_lcl, at.plain_ucl)
