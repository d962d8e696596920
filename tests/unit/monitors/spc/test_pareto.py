"""Bars by class: order, intervals, the two that are always there, and what moved."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.proportion import confint_proportions_2indep, proportion_confint

from streams.monitors.spc.pareto import ALWAYS, movers, pareto


def test_most_frequent_first_then_what_nobody_could_name() -> None:
    bars = pareto({"dent": 3, "scratch": 9, "unknown": 20, "burr": 3}, {"dent": 3, "scratch": 5, "unknown": 18, "burr": 2}, 500)
    assert [bar.name for bar in bars] == ["scratch", "burr", "dent", "unknown", "unreviewed"]
    assert [bar.defects for bar in bars] == [9, 3, 3, 20, 0]
    assert bars[0].rate.value == 5 / 500
    assert bars[0].of_defects.value == 9 / 35
    assert bars[-1].cumulative == 1
    assert (bars[-1].rate.value, bars[-1].rate.low) == (0, 0)
    assert bars[-1].rate.high > 0


def test_intervals_are_wilsons() -> None:
    bar = pareto({"scratch": 9}, {"scratch": 5}, 500)[0]
    assert (bar.rate.low, bar.rate.high) == pytest.approx(proportion_confint(5, 500, method="wilson"), abs=1e-5)


def test_nothing_inspected_is_an_empty_chart_and_not_a_division() -> None:
    bars = pareto({}, {}, 0)
    assert [bar.name for bar in bars] == list(ALWAYS)
    assert all(bar.rate.value is None and bar.cumulative == 0 for bar in bars)
    assert [one.change for one in movers(bars, bars)] == [None, None]


def test_counts_that_cannot_be_are_refused() -> None:
    with pytest.raises(ValueError, match="scratch: 5 parts with 2 defects"):
        pareto({"scratch": 2}, {"scratch": 5}, 500)
    with pytest.raises(ValueError, match="of 4 inspected"):
        pareto({"scratch": 9}, {"scratch": 5}, 4)


def test_movers_by_newcombes_interval() -> None:
    before = pareto({"scratch": 10, "dent": 5}, {"scratch": 10, "dent": 5}, 1000)
    now = pareto({"scratch": 40, "burr": 2}, {"scratch": 40, "burr": 2}, 1000)
    found = movers(before, now)
    assert [one.name for one in found][:2] == ["scratch", "dent"]
    assert found[0].moved
    assert not next(one for one in found if one.name == "burr").moved
    oracle = confint_proportions_2indep(40, 1000, 10, 1000, compare="diff", method="newcomb")
    assert (found[0].low, found[0].high) == pytest.approx(oracle, abs=1e-5)
    assert movers(now, before)[0].change == -(found[0].change or 0)


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from("abcdefgh"), st.tuples(st.integers(0, 40), st.integers(0, 20)), max_size=8))
def test_every_defect_is_in_one_bar(classes: dict[str, tuple[int, int]]) -> None:
    defects = {name: parts + more for name, (parts, more) in classes.items()}
    bars = pareto(defects, {name: parts for name, (parts, _) in classes.items()}, 50)
    assert sum(bar.defects for bar in bars) == sum(defects.values())
    named = [bar.defects for bar in bars if bar.name not in ALWAYS]
    assert named == sorted(named, reverse=True)
    assert {bar.name for bar in bars} == set(defects) | set(ALWAYS)
    assert all(bar.rate.low <= (bar.rate.value or 0) <= bar.rate.high for bar in bars)
