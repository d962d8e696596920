"""Run lengths: against exact probabilities, published values, a table that was simulated elsewhere, and the rules themselves."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import betabinom, binom, nbinom, norm, poisson

from streams.monitors.spc.arl import arl0, arl1, arl_measured, arl_times
from streams.monitors.spc.attributes import AttributeChart, AttributeLimits, Count, band, rules_z, z_of
from streams.monitors.spc.chain import mean_run_length, places
from streams.monitors.spc.rules import RULE_SETS, Rule, RuleSet, RulesState, rules_step


def limits(chart: AttributeChart, center: float, width: float = 1.0) -> AttributeLimits:
    return AttributeLimits(chart=chart, center=center, sigma_z=width, d2=1.128, subgroups=tuple(str(i) for i in range(100)))


def test_a_normal_has_the_published_run_lengths() -> None:
    assert arl_measured("nelson_1") == pytest.approx(1 / (2 * norm.sf(3)))
    assert arl_measured("nelson_1", shift=1.0) == pytest.approx(43.89, abs=0.01)
    assert round(arl_measured("weco_1_2"), 1) == 152.7  # C. Champ, W. Woodall 1987
    assert round(arl_measured("zone"), 2) == 91.75
    assert arl_measured("nelson_1", k_sigma=2.0) == pytest.approx(1 / (2 * norm.sf(2)))


COLUMNS: list[tuple[Rule, ...]] = [
    ("nelson_1",),
    ("nelson_1", "nelson_2"),
    ("nelson_1", "nelson_3"),
    ("nelson_1", "nelson_4"),
    RULE_SETS["nelson_1_2_3_4"],
    RULE_SETS["weco_1_2"],
    RULE_SETS["zone"],
]
TABLE: dict[tuple[AttributeChart, float, int], tuple[int, ...]] = {  # 4000 simulated runs each, standard error 1.6 %
    ("p", 0.02, 50): (58, 57, 57, 56, 56, 55, 18),
    ("p", 0.02, 250): (201, 188, 193, 181, 162, 166, 118),
    ("p", 0.02, 1000): (379, 280, 290, 267, 190, 212, 110),
    ("p", 0.02, 5000): (325, 229, 221, 231, 139, 169, 87),
    ("c", 16.0, 1): (440, 321, 328, 306, 207, 242, 155),
}
NORMAL = (382, 213, 194, 235, 118, 152, 92)


@pytest.mark.parametrize(("case", "expected"), list(TABLE.items()))
def test_counts_have_the_run_lengths_that_were_simulated(
    case: tuple[AttributeChart, float, int], expected: tuple[int, ...]
) -> None:
    chart, center, size = case
    mean = center * size
    known = poisson(mean) if chart == "c" else binom(size, center)
    counts = np.arange(int(known.ppf(1e-14)), int(known.isf(1e-14)) + 1)
    zs = (counts - mean) / math.sqrt(known.var())
    where = places(zs.tolist(), known.pmf(counts).tolist(), level=1.0)
    found = [mean_run_length(where, rules) for rules in COLUMNS]
    assert found == pytest.approx(expected, rel=4 * 0.016)


def test_measurements_have_the_run_lengths_that_were_simulated() -> None:
    edges = np.linspace(-3, 3, 361)
    shares = np.diff([0.0, *norm.cdf(edges), 1.0])
    where = places([-4.0, *((edges[1:] + edges[:-1]) / 2).tolist(), 4.0], shares.tolist(), level=0.0)
    assert [mean_run_length(where, rules) for rules in COLUMNS] == pytest.approx(NORMAL, rel=4 * 0.016)


def signalled(
    chart: AttributeLimits, size: int, counts: np.ndarray[tuple[int], np.dtype[np.int_]]
) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    drawn = band(chart, size)
    values = counts if chart.chart == "c" else counts / size
    return (values > drawn.ucl + 1e-12) | (values < drawn.lcl - 1e-12)


@settings(deadline=None)
@given(st.sampled_from([0.003, 0.02, 0.3]), st.integers(2, 3000), st.sampled_from([1.0, 1.3, 2.5]))
def test_rule_1_of_shares_is_a_tail_of_the_binomial_or_its_overdispersed_kin(rate: float, size: int, width: float) -> None:
    chart = limits("laney_p", rate, width)
    alike = min(0.999, (width**2 - 1) / (size - 1))
    known = binom(size, rate) if width == 1 else betabinom(size, rate * (1 / alike - 1), (1 - rate) * (1 / alike - 1))
    counts = np.arange(size + 1)
    false = float(known.pmf(counts)[signalled(chart, size, counts)].sum())
    found = arl0(chart, size, "nelson_1")
    assert found == (pytest.approx(1 / false, rel=1e-4) if false > 1e-9 else pytest.approx(math.inf) if false == 0 else found)


@settings(deadline=None)
@given(st.floats(0.5, 60), st.sampled_from([1.0, 1.5]))
def test_rule_1_of_defects_is_a_tail_of_the_poisson_or_the_negative_binomial(mean: float, width: float) -> None:
    chart = limits("laney_u", mean / 10, width)
    shape = mean / (width**2 - 1) if width > 1 else 0.0
    known = poisson(mean) if width == 1 else nbinom(shape, shape / (shape + mean))
    counts = np.arange(int(known.isf(1e-13)) + 20)
    false = float(known.pmf(counts)[signalled(chart, 10, counts)].sum())
    assert arl0(chart, 10, "nelson_1") == pytest.approx(1 / false, rel=1e-4)


def run_lengths(rule_set: RuleSet, draws: np.ndarray[tuple[int, int], np.dtype[np.float64]]) -> list[int]:
    """First signals of the rules themselves; every series must be long enough to have one."""
    found = []
    for series in draws.tolist():
        state = RulesState()
        for point, z in enumerate(series, start=1):
            state, signals = rules_step(state, z, rule_set)
            if signals:
                found.append(point)
                break
    assert len(found) > 0.999 * len(draws)
    return found


@pytest.mark.parametrize("rule_set", ["nelson_1_2_3_4", "zone"])
def test_the_chain_is_the_rules_themselves(rule_set: RuleSet) -> None:
    found = run_lengths(rule_set, np.random.default_rng(6).normal(size=(1000, 1200)))
    assert np.mean(found) == pytest.approx(arl_measured(rule_set), rel=4 / math.sqrt(1000))


def test_the_chain_is_the_rules_themselves_on_counts_that_scatter() -> None:
    chart, size, width = limits("laney_p", 0.02, 2.0), 1000, 2.0
    alike = (width**2 - 1) / (size - 1)
    rng = np.random.default_rng(7)
    rates = rng.beta(0.02 * (1 / alike - 1), 0.98 * (1 / alike - 1), size=(1200, 1200))
    zs = (rng.binomial(size, rates) / size - 0.02) / math.sqrt(0.02 * 0.98 / size) / width
    assert np.mean(run_lengths("nelson_1_2_3_4", zs)) == pytest.approx(
        arl0(chart, size, "nelson_1_2_3_4"), rel=4 / math.sqrt(1200)
    )


@pytest.mark.parametrize(("size", "rule_set"), [(100, "nelson_1_2"), (200, "nelson_1_2_3_4"), (1000, "nelson_1_2")])
def test_a_rate_of_1_that_becomes_3_percent_is_signalled_when_computed(size: int, rule_set: RuleSet) -> None:
    chart = limits("p", 0.01)
    rng = np.random.default_rng(size)
    zs = (rng.binomial(size, 0.03, size=(3000, 600)) / size - 0.01) / math.sqrt(0.01 * 0.99 / size)
    expected = arl1(chart, size, rule_set, 0.03)
    assert np.mean(run_lengths(rule_set, zs)) == pytest.approx(expected, rel=4 / math.sqrt(3000))
    assert expected < arl0(chart, size, rule_set) / 5


def test_a_rise_is_signalled_as_one_and_by_the_rule_that_sees_it_first() -> None:
    """1000 a subgroup: from 1 to 3 % a point beyond the limit comes first; from 1 to 1.2 % nine in a row do in 22 % of cases."""
    rng = np.random.default_rng(12)
    firsts: dict[float, list[tuple[str, str]]] = {0.03: [], 0.012: []}
    for rate, found in firsts.items():
        for series in ((rng.binomial(1000, rate, size=(1000, 600)) / 1000 - 0.01) / math.sqrt(0.01 * 0.99 / 1000)).tolist():
            state = RulesState()
            for z in series:
                state, signals = rules_step(state, z, "nelson_1_2")
                if signals:
                    found.append((signals[0].rule, signals[0].direction))
                    break
    assert all(np.mean([to == "high" for _, to in found]) > 0.99 for found in firsts.values())
    by_rule_1 = {rate: np.mean([rule == "nelson_1" for rule, _ in found]) for rate, found in firsts.items()}
    assert by_rule_1[0.03] == 1
    assert by_rule_1[0.012] == pytest.approx(0.775, abs=0.05)


def test_times_between_defects() -> None:
    assert 1 / arl_times("nelson_1") == pytest.approx(0.0007, abs=0.00005)
    rng = np.random.default_rng(9)
    mean, sigma = math.gamma(1 + 1 / 3.6), 2 * math.gamma(1 + 1 / 3.6) * (1 - 2 ** (-1 / 3.6)) / 1.128
    for faster in (1.0, 4.0):
        zs = (rng.exponential(1 / faster, size=(500, 4000)) ** (1 / 3.6) - mean) / sigma
        assert np.mean(run_lengths("nelson_1_2", zs)) == pytest.approx(arl_times("nelson_1_2", faster), rel=4 / math.sqrt(500))


def test_more_rules_signal_sooner_and_so_does_a_larger_shift() -> None:
    chart = limits("p", 0.02)
    sets: list[RuleSet] = ["nelson_1", "nelson_1_2", "nelson_1_2_3", "nelson_1_2_3_4"]
    lengths = [arl0(chart, 1000, rule_set) for rule_set in sets]
    assert lengths == sorted(lengths, reverse=True)
    shifts = [arl1(chart, 1000, "nelson_1_2", rate) for rate in (0.02, 0.022, 0.025, 0.03, 0.05)]
    assert shifts == sorted(shifts, reverse=True)
    assert shifts[0] == arl0(chart, 1000, "nelson_1_2")


def test_many_counts_share_places_and_hardly_change_what_is_computed() -> None:
    chart, size = limits("p", 0.02), 200_000
    known = binom(size, 0.02)
    counts = np.arange(int(known.ppf(1e-14)), int(known.isf(1e-14)) + 1)
    zs = (counts / size - 0.02) / math.sqrt(0.02 * 0.98 / size)
    full = mean_run_length(places(zs.tolist(), known.pmf(counts).tolist(), level=1.0), RULE_SETS["nelson_1_2_3_4"])
    assert arl0(chart, size, "nelson_1_2_3_4") == pytest.approx(full, rel=0.01)


def test_where_no_signal_can_come_it_is_infinite_and_what_is_asked_in_vain_is_refused() -> None:
    assert arl0(limits("p", 0.5), 1, "nelson_1") == math.inf
    assert math.isfinite(arl0(limits("p", 0.5), 1, "nelson_1_2"))
    assert arl1(limits("p", 0.02), 1000, "nelson_1", 1.0) == 1
    assert arl1(limits("p", 0.001), 1000, "nelson_1", 0.0) == math.inf
    with pytest.raises(ValueError, match="zone rules"):
        arl0(limits("p", 0.02), 1000, "zone")


def test_k_sigma_moves_the_run_length_as_it_moves_the_rules() -> None:
    chart = replace(limits("c", 16.0), k_sigma=2.0)
    expected = 1 / (poisson.sf(24, 16) + poisson.cdf(7, 16))
    assert arl0(chart, 1, "nelson_1") == pytest.approx(expected)
    assert rules_z(chart, z_of(chart, Count(subgroup="a", count=24, size=1))) == pytest.approx(3)
