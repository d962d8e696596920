"""The charts of scatter beside those of measurements: beyond their limits is a signal, and how often that is false is stated."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from schemas.spc import LimitsV1, SignalV1
from streams.monitors.spc.arl_spread import arl_deviation, arl_moving_range
from streams.monitors.spc.variables import VariableLimits, spread_limits
from tests.helpers.spc import Machine, plan, reviewed, segmented, values, verdict

LENGTH: dict[str, Any] = {"name": "length", "of": "measurement", "quantity": "length", "trial_n": 5, "rule_set": "nelson_1"}
STEADY = (10.0, 10.1, 9.9, 10.2, 9.8)


def machine(chart: str, n: int) -> Machine:
    return Machine().tell(plan({**LENGTH, "chart": chart}, n=n))


def feed(one: Machine, lengths: Iterable[float]) -> list[Any]:
    first = one.offset + 1
    parts = [verdict(first + i, "scrap", "scratch", evidence=segmented(length)) for i, length in enumerate(lengths)]
    one.judge(*parts)
    return parts


def spoken(one: Machine) -> list[tuple[str, str, str, bool]]:
    return [(s.rule, s.direction, s.status, s.again) for s in one.finish().of(SignalV1)]


def test_a_subgroup_that_scatters_more_signals_though_its_mean_stays() -> None:
    one = machine("xbar_s", n=5)
    for _ in range(6):
        feed(one, STEADY)
    feed(one, (9.5, 10.5, 10.0, 9.4, 10.6))
    feed(one, STEADY)
    assert spoken(one) == [("spread_1", "high", "open", False)]
    (found,), (limits,) = one.of(SignalV1), one.of(LimitsV1)
    assert limits.spread_ucl is not None
    assert found.value == pytest.approx(np.std([9.5, 10.5, 10.0, 9.4, 10.6], ddof=1))
    assert found.value > limits.spread_ucl
    assert found.z is not None
    assert found.z > 3


def test_a_leap_of_one_mean_to_the_next_signals_though_both_are_within_their_limits() -> None:
    one = machine("i_mr", n=1)
    feed(one, [10.0, 10.1, 9.9, 10.1, 9.95, 10.0])
    (limits,) = one.finish().of(LimitsV1)
    assert limits.sigma is not None
    feed(one, [10 - 1.9 * limits.sigma, 10 + 1.9 * limits.sigma, 10 + 1.8 * limits.sigma])
    assert spoken(one) == [("spread_1", "high", "open", False)]
    (found,) = one.of(SignalV1)
    assert found.value == pytest.approx(3.8 * limits.sigma)
    assert [name.rpartition("|")[2] for name in found.points] == ["000007"]


def test_one_value_far_off_leaps_twice() -> None:
    one = machine("i_mr", n=1)
    feed(one, [10.0, 10.1, 9.9, 10.1, 9.95, 12.0, 10.0])
    assert spoken(one) == [
        ("nelson_1", "high", "open", False),
        ("spread_1", "high", "open", False),
        ("spread_1", "high", "open", True),
    ]


def test_a_correction_long_after_takes_no_leap_back_that_is_still_there() -> None:
    """The subgroup before the oldest one that is kept is forgotten; how far its leap was is not."""
    one = machine("i_mr", n=1)
    feed(one, [10.0, 10.1, 9.9, 10.1, 9.95])
    feed(one, [12.0 if index % 7 == 0 else 10.0 for index in range(121)])
    before = len(one.finish().of(SignalV1))
    assert before > 30
    parts = feed(one, [10.0])
    one.finish().judge(reviewed(parts[0], "pass"))
    assert [s.status for s in one.finish().of(SignalV1)[before:]] == []
    assert len(values(one.said)) == len(one.said)


def test_a_chart_of_counts_has_no_scatter_of_its_own() -> None:
    one = Machine().tell(plan(n=10))
    one.judge(*(verdict(n, "scrap" if n % 5 == 0 else "pass") for n in range(60))).finish()
    (limits,) = one.of(LimitsV1)
    assert (limits.spread_ucl, limits.spread_arl0_subgroups) == (None, None)


@pytest.mark.parametrize("chart", ["xbar_s", "i_mr"])
def test_the_limits_state_how_often_their_scatter_signals_falsely(chart: str) -> None:
    one = machine(chart, n=5)
    for _ in range(6):
        feed(one, np.array(STEADY) + 0.01 * _)
    (limits,) = one.finish().of(LimitsV1)
    wanted = arl_deviation(5) if chart == "xbar_s" else arl_moving_range()
    assert limits.spread_arl0_subgroups == pytest.approx(wanted)


RUNS = 4000
Floats = NDArray[np.float64]


def waits(draw: Callable[[np.random.Generator], Floats], upper: float, lower: float) -> Floats:
    """Points to the first beyond a limit, in RUNS runs. draw: the next point of every run."""
    chance, alive, found = np.random.default_rng(7), np.ones(RUNS, bool), np.zeros(RUNS)
    while alive.any():
        point = draw(chance)
        found += alive
        alive &= ~((point > upper) | (point < lower))
    return found


@pytest.mark.parametrize(("n", "k"), [(2, 3.0), (5, 3.0), (12, 2.5)])
def test_deviations_signal_as_often_as_is_said(n: int, k: float) -> None:
    limits = VariableLimits(chart="xbar_s", center=0, sigma=1, method="sbar", d2=1.128, subgroups=(), k_sigma=k)
    drawn = spread_limits(limits, n)
    found = waits(lambda chance: chance.normal(size=(RUNS, n)).std(axis=1, ddof=1), drawn.ucl, drawn.lcl)
    assert arl_deviation(n, k) == pytest.approx(found.mean(), abs=3 * found.std() / RUNS**0.5)


@pytest.mark.parametrize("k", [3.0, 2.0])
def test_moving_ranges_signal_as_often_as_is_said(k: float) -> None:
    limits = VariableLimits(chart="i_mr", center=0, sigma=1, method="mr", d2=1.128, subgroups=(), k_sigma=k)
    last = np.full(RUNS, np.nan)

    def draw(chance: np.random.Generator) -> Floats:
        nonlocal last
        now = chance.normal(size=RUNS)
        leap: Floats = np.abs(now - last)
        last = now
        return leap

    found = waits(draw, spread_limits(limits, 1).ucl, -1)
    assert arl_moving_range(k) == pytest.approx(found.mean(), abs=3 * found.std() / RUNS**0.5)
