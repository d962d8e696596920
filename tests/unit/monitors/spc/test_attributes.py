"""Charts of counts against the books' data to the digits printed, and against shewhart; what must hold for any counts."""

from __future__ import annotations

import math
import random
from dataclasses import replace

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from streams.monitors.spc.attributes import (
    CHARTS,
    D2_EXACT,
    AttributeChart,
    AttributeLimits,
    Count,
    NoLimits,
    Removal,
    band,
    plotted,
    rules_z,
    z_of,
)
from streams.monitors.spc.phase_one import beyond, fit_attributes, propose
from streams.monitors.spc.rules import rules_run
from tests.unit.monitors.spc.oracles import CLOTH, NHS, ORANGE, ORANGE_AFTER, PEACHES, WAFERS, counts


def printed(number: float, digits: int) -> float:
    return round(number, digits)


def test_orange_juice_is_a_p_chart_with_two_signals() -> None:
    limits = fit_attributes("p", ORANGE)
    drawn = band(limits, 50)
    assert (printed(limits.center, 6), printed(drawn.lcl, 6), printed(drawn.ucl, 6)) == (0.231333, 0.052428, 0.410239)
    assert beyond(limits, ORANGE) == ("15", "23")
    assert limits.sigma_z is not None
    assert printed(limits.sigma_z, 4) == 1.6609


def test_orange_juice_as_an_np_chart() -> None:
    limits = fit_attributes("np", ORANGE)
    drawn = band(limits, 50)
    assert (printed(drawn.center, 3), printed(drawn.lcl, 3), printed(drawn.ucl, 3)) == (11.567, 2.621, 20.512)
    assert beyond(limits, ORANGE) == ("15", "23")


def test_orange_juice_without_the_two_whose_cause_was_found() -> None:
    removed = (Removal(subgroup="15", reason="new cardboard"), Removal(subgroup="23", reason="inexperienced operator"))
    limits = fit_attributes("p", ORANGE, removed)
    drawn = band(limits, 50)
    assert (printed(limits.center, 4), printed(drawn.lcl, 4), printed(drawn.ucl, 4)) == (0.2150, 0.0407, 0.3893)
    left = [one for one in ORANGE if one.subgroup not in ("15", "23")]
    assert beyond(limits, left) == ("21",)
    assert limits.removed == removed
    assert len(limits.subgroups) == 28
    assert "15" not in limits.subgroups


def test_orange_juice_after_the_adjustment() -> None:
    limits = fit_attributes("p", ORANGE_AFTER)
    drawn = band(limits, 50)
    assert (printed(limits.center, 6), drawn.lcl, printed(drawn.ucl, 6)) == (0.110833, 0.0, 0.244021)
    assert limits.sigma_z is not None
    assert printed(limits.sigma_z, 4) == 1.0071


def test_a_primed_chart_of_small_subgroups_hides_the_signals() -> None:
    limits = fit_attributes("laney_p", ORANGE)
    assert beyond(limits, ORANGE) == ()
    zs = [z_of(limits, one) for one in ORANGE]
    assert printed(max(abs(z) for z in zs if z is not None) / limits.width, 1) == 2.5
    assert printed(3 * limits.width, 2) == 4.98


def test_peaches_have_limits_by_size() -> None:
    limits = fit_attributes("p", PEACHES)
    small, large = band(limits, 250), band(limits, 500)
    assert printed(limits.center, 4) == 0.1930
    assert (printed(small.lcl, 5), printed(small.ucl, 5)) == (0.11812, 0.26788)
    assert (printed(large.lcl, 5), printed(large.ucl, 5)) == (0.14005, 0.24595)
    assert beyond(limits, PEACHES) == ()
    assert limits.sigma_z is not None
    assert printed(limits.sigma_z, 4) == 0.9995


def test_emergency_attendances_need_the_primed_chart() -> None:
    plain, primed = fit_attributes("p", NHS), fit_attributes("laney_p", NHS)
    assert primed.sigma_z is not None
    assert (printed(primed.center, 8), printed(primed.sigma_z, 4)) == (0.95289971, 10.6404)
    assert printed(fit_attributes("laney_p", NHS, d2=D2_EXACT).sigma_z or 0, 4) == 10.6368
    assert len(beyond(plain, NHS)) == 16
    assert beyond(primed, NHS) == ()
    week = band(primed, NHS[0].size)
    assert (printed(week.plain_lcl, 6), printed(week.plain_ucl, 6)) == (0.951700, 0.954100)
    assert (printed(week.lcl, 6), printed(week.ucl, 6)) == (0.940130, 0.965670)
    assert band(plain, NHS[0].size).lcl == week.plain_lcl


def test_wafers_a_point_on_the_limit_is_inside() -> None:
    limits = fit_attributes("c", WAFERS)
    drawn = band(limits, 1)
    assert (drawn.center, drawn.lcl, drawn.ucl) == (16, 4, 28)
    assert plotted("c", WAFERS[2]) == 28
    assert beyond(limits, WAFERS) == ("24",)


def test_dyed_cloth() -> None:
    limits = fit_attributes("u", CLOTH)
    ten, eight = band(limits, 10), band(limits, 8)
    assert printed(limits.center, 5) == 1.42326
    assert (printed(ten.lcl, 4), printed(ten.ucl, 4)) == (0.2915, 2.5550)
    assert (printed(eight.lcl, 4), printed(eight.ucl, 4)) == (0.1579, 2.6886)
    assert limits.sigma_z is not None
    assert printed(limits.sigma_z, 4) == 0.6788


def test_ten_subgroups_never_tighten_a_limit_and_fifty_do() -> None:
    few = fit_attributes("laney_u", CLOTH)
    assert few.width == 1
    assert band(few, 10).ucl == band(few, 10).plain_ucl
    many = counts([one.count for one in CLOTH] * 5, [one.size for one in CLOTH] * 5)
    fitted = fit_attributes("laney_u", many)
    assert fitted.sigma_z == fitted.width
    assert fitted.width < 1
    assert band(fitted, 10).ucl < band(fitted, 10).plain_ucl


def test_another_k_sigma_moves_the_limits_and_rule_1_with_them() -> None:
    limits = replace(fit_attributes("c", WAFERS), k_sigma=2.0)
    drawn = band(limits, 1)
    assert (drawn.lcl, drawn.ucl) == (8, 24)
    assert beyond(limits, WAFERS) == ("3", "24")
    signals = rules_run([rules_z(limits, z_of(limits, one)) for one in WAFERS], "nelson_1")
    assert tuple(str(i) for i, found in enumerate(signals, start=1) if found) == ("3", "24")


def test_proposals_are_what_the_book_removed_and_nothing_is_removed_by_itself() -> None:
    assert propose("p", ORANGE) == ("15", "23", "21")
    assert len(fit_attributes("p", ORANGE).subgroups) == 30


def test_a_proposal_starts_from_what_is_removed_already() -> None:
    removed = (Removal(subgroup="15", reason="new cardboard"), Removal(subgroup="23", reason="inexperienced operator"))
    assert propose("p", ORANGE, removed) == ("21",)


@pytest.mark.parametrize(
    ("chart", "count", "says"),
    [
        ("p", Count(subgroup="a", count=6, size=5), "6 bad of 5 units"),
        ("u", Count(subgroup="a", count=1, size=0), "on no unit"),
        ("u", Count(subgroup="a", count=-1, size=4), "is no count"),
        ("u", Count(subgroup="a", count=1, size=math.nan), "is no count"),
        ("c", Count(subgroup="a", count=1, size=2), "use u"),
    ],
)
def test_an_impossible_count_is_refused_by_name(chart: AttributeChart, count: Count, says: str) -> None:
    with pytest.raises(ValueError, match=f"subgroup a.*{says}"):
        fit_attributes(chart, [count, Count(subgroup="b", count=1, size=1)])


def test_what_gives_no_limits_says_so() -> None:
    with pytest.raises(NoLimits, match="no unit of 2 subgroups"):
        fit_attributes("p", counts([0, 0], 50))
    with pytest.raises(NoLimits, match="every unit of 2 subgroups"):
        fit_attributes("laney_p", counts([50, 50], 50))
    with pytest.raises(NoLimits, match="no subgroup with a part"):
        fit_attributes("p", counts([0, 0], 0))
    with pytest.raises(NoLimits, match="one size"):
        fit_attributes("np", counts([1, 2], [50, 51]))
    with pytest.raises(ValueError, match="named twice"):
        fit_attributes("p", [ORANGE[0], ORANGE[0]])
    with pytest.raises(ValueError, match="removed, but not among"):
        fit_attributes("p", ORANGE, [Removal(subgroup="99", reason="x")])
    with pytest.raises(ValueError, match="without a part"):
        band(fit_attributes("p", ORANGE), 0)


def test_subgroups_without_a_part_of_one_part_all_bad_and_none_bad() -> None:
    odd = counts([0, 0, 1, 50, 0, 12], [0, 1, 1, 50, 50, 50])
    limits = fit_attributes("laney_p", odd)
    assert limits.subgroups == ("2", "3", "4", "5", "6")
    assert limits.center == 63 / 152
    zs = [z_of(limits, one) for one in odd]
    assert zs[0] is None
    assert plotted("laney_p", odd[0]) is None
    assert all(z is not None and math.isfinite(z) for z in zs[1:])
    assert zs[3] == max(z for z in zs if z is not None)
    assert (band(limits, 1).lcl, band(limits, 1).ucl) == (0, 1)


def test_one_subgroup_alone_has_a_centre_and_no_sigma_z() -> None:
    limits = fit_attributes("laney_p", counts([5], 100))
    assert (limits.center, limits.sigma_z, limits.width) == (0.05, None, 1)


SERIES = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 400)), min_size=2, max_size=60)
SHARE_CHARTS = st.sampled_from([chart for chart in CHARTS if chart not in ("np", "c")])


def fitted(chart: AttributeChart, pairs: list[tuple[int, int]]) -> tuple[AttributeLimits, list[Count]]:
    series = counts([min(bad, size) for bad, size in pairs], [float(size) for _, size in pairs])
    try:
        return fit_attributes(chart, series), series
    except NoLimits:
        assume(False)
        raise


@settings(deadline=None)
@given(SHARE_CHARTS, SERIES)
def test_limits_contain_the_centre_and_plain_ones_are_the_primed_with_a_width_of_one(
    chart: AttributeChart, pairs: list[tuple[int, int]]
) -> None:
    limits, series = fitted(chart, pairs)
    one = replace(limits, sigma_z=1.0)
    for size in {each.size for each in series} - {0}:
        drawn = band(limits, size)
        assert 0 <= drawn.lcl <= drawn.center <= drawn.ucl
        assert drawn.plain_lcl <= drawn.center <= drawn.plain_ucl
        assert (band(one, size).lcl, band(one, size).ucl) == (drawn.plain_lcl, drawn.plain_ucl)
        assert limits.width >= 1 or limits.sigma_z_subgroups >= 50


@settings(deadline=None)
@given(SHARE_CHARTS, SERIES, st.randoms(use_true_random=False))
def test_the_centre_does_not_depend_on_the_order_but_sigma_z_is_of_the_order(
    chart: AttributeChart, pairs: list[tuple[int, int]], chance: random.Random
) -> None:
    limits, series = fitted(chart, pairs)
    mixed = list(series)
    chance.shuffle(mixed)
    assert fit_attributes(chart, mixed).center == limits.center
    assert fit_attributes(chart, series[::-1]).sigma_z == pytest.approx(limits.sigma_z)


@settings(deadline=None)
@given(SHARE_CHARTS, SERIES)
def test_beyond_the_limits_is_what_is_drawn_beyond_them(chart: AttributeChart, pairs: list[tuple[int, int]]) -> None:
    limits, series = fitted(chart, pairs)
    out = set(beyond(limits, series))
    for each in series:
        value = plotted(chart, each)
        if value is None:
            assert each.subgroup not in out
            continue
        drawn = band(limits, each.size)
        if abs(value - drawn.ucl) > 1e-9 and abs(value - drawn.lcl) > 1e-9:
            assert (each.subgroup in out) == (value > drawn.ucl or value < drawn.lcl)
