"""The same data through two other packages. Where they differ: shewhart has 2 / sqrt(pi) for d2 and lets sigma-Z tighten a limit
however few the subgroups; capstat-core has no charts of counts, and takes c4 of all degrees of freedom off a pooled sigma.
"""

from __future__ import annotations

import pytest
import shewhart
from capstat_core.capability import capability
from capstat_core.control_charts import i_mr_chart, xbar_s_chart
from capstat_core.rules import nelson_rules, western_electric_rules

from streams.monitors.spc.attributes import D2_EXACT, AttributeChart, AttributeLimits, Count, band
from streams.monitors.spc.capability import Tolerance, overall, pooled_samples, within
from streams.monitors.spc.phase_one import beyond, fit_attributes
from streams.monitors.spc.rules import rules_run
from streams.monitors.spc.variables import c4, fit_individuals, fit_samples, location_limits, sample_of, spread_limits
from tests.unit.monitors.spc.oracles import CLOTH, FLOW, NHS, ORANGE, ORANGE_AFTER, PEACHES, RINGS, WAFERS

CASES: list[tuple[AttributeChart, list[Count]]] = [
    ("p", ORANGE),
    ("p", ORANGE_AFTER),
    ("p", PEACHES),
    ("p", NHS),
    ("np", ORANGE),
    ("laney_p", NHS),
    ("laney_p", ORANGE),
    ("c", WAFERS),
    ("u", CLOTH),
    ("laney_u", CLOTH),
]
THEIRS = {
    "p": shewhart.p_chart,
    "np": shewhart.np_chart,
    "laney_p": shewhart.laney_p,
    "c": shewhart.c_chart,
    "u": shewhart.u_chart,
    "laney_u": shewhart.laney_u,
}


@pytest.mark.parametrize(("chart", "counts"), CASES)
def test_counts_as_shewhart_has_them(chart: AttributeChart, counts: list[Count]) -> None:
    sizes = {} if chart == "c" else {"size": [one.size for one in counts]}
    theirs = THEIRS[chart]([one.count for one in counts], rules="none", **sizes).table
    ours = fit_attributes(chart, counts, d2=D2_EXACT)
    if ours.sigma_z != ours.width and chart in ("laney_p", "laney_u"):
        ours = loosened(ours)
    for one, lcl, ucl in zip(counts, theirs["lcl"], theirs["ucl"], strict=True):
        drawn = band(ours, one.size)
        assert (drawn.lcl, drawn.ucl) == pytest.approx((lcl, ucl))
    flagged = [one.subgroup for one, signal in zip(counts, theirs["signal"], strict=True) if signal]
    assert list(beyond(ours, counts)) == flagged


def loosened(limits: AttributeLimits) -> AttributeLimits:
    """As if its sigma-Z came from enough subgroups to be below 1."""
    many = tuple(str(i) for i in range(60))
    return AttributeLimits(chart=limits.chart, center=limits.center, sigma_z=limits.sigma_z, d2=limits.d2, subgroups=many)


def test_measurements_as_capstat_core_has_them() -> None:
    single = fit_individuals([sample_of(str(i), [value]) for i, value in enumerate(FLOW)], d2=D2_EXACT)
    theirs = i_mr_chart(FLOW)
    assert drawn(location_limits(single, 1)) == pytest.approx(limits_of(theirs.location), rel=1e-5)
    assert drawn(spread_limits(single, 1)) == pytest.approx(limits_of(theirs.dispersion), rel=1e-4)
    samples = fit_samples([sample_of(str(i), ring) for i, ring in enumerate(RINGS)])
    both = xbar_s_chart(RINGS)
    assert drawn(location_limits(samples, 5)) == pytest.approx(limits_of(both.location))
    assert drawn(spread_limits(samples, 5)) == pytest.approx(limits_of(both.dispersion))


def drawn(limits: object) -> list[float]:
    return [getattr(limits, name) for name in ("lcl", "center", "ucl")]


def limits_of(chart: object) -> list[float]:
    return [getattr(chart.limits, name) for name in ("lower", "center", "upper")]  # type: ignore[attr-defined]


def test_capability_as_both_have_it() -> None:
    samples = [sample_of(str(i), ring) for i, ring in enumerate(RINGS)]
    drawing = Tolerance(lower=73.95, upper=74.05)
    pooled, whole = within(drawing, samples, "pooled"), overall(drawing, pooled_samples(samples))
    theirs = capability(RINGS, lsl=73.95, usl=74.05, within_method="pooled")
    assert pooled.spread is not None
    assert whole.spread is not None
    unbiased = c4(101)
    ours = [pooled.spread.value * unbiased, pooled.location.value * unbiased, whole.spread.value, whole.location.value]
    assert ours == pytest.approx([theirs.cp, theirs.cpk, theirs.pp, theirs.ppk])
    assert whole.n == theirs.n


SERIES = [0.2, 1.4, 2.3, 2.5, -0.1, 1.2, 1.3, 1.1, 0.9, 0.8, 0.7, 0.6, 3.3, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0, -2.2, -2.4, -0.5]
SERIES += [0.5, -0.5] * 8 + [-0.4, -1.2, -1.4, -0.2, -1.3, -1.1]


def test_rules_as_capstat_core_has_them() -> None:
    chart = i_mr_chart(SERIES, center=0.0, sigma=1.0).location
    for rule_set, theirs, names in (
        ("nelson_1_2_3_4", nelson_rules(chart, [1, 2, 3, 4]), ["nelson_1", "nelson_2", "nelson_3", "nelson_4"]),
        ("zone", western_electric_rules(chart), ["weco_1", "weco_two_of_three", "weco_four_of_five", "weco_eight"]),
    ):
        ours = {(s.rule, i) for i, signals in enumerate(rules_run(SERIES, rule_set)) for s in signals}  # type: ignore[arg-type]
        assert ours == {(names[one.rule - 1], one.point) for one in theirs}
