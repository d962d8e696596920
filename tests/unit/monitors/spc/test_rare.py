"""Charts of rare defects: exact probabilities, Nelson's scale, and a CUSUM whose run lengths are the ones computed."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import skew

from streams.monitors.spc.rare import (
    ALPHA,
    BernoulliCusum,
    bernoulli_cusum,
    cusum_step,
    fit_gaps,
    fit_times,
    gap_limits,
    gap_signal,
    scaled,
    time_limits,
    time_z,
)


@pytest.mark.parametrize(("rate", "worse", "better"), [(1e-3, 1, 6605), (1e-4, 13, 66_074), (5e-5, 27, 132_150)])
def test_g_limits_by_probability(rate: float, worse: int, better: int) -> None:
    limits = gap_limits(rate)
    assert (limits.worse, limits.better) == (worse, better)
    assert (gap_signal(limits, worse - 1), gap_signal(limits, worse)) == ("high", None)
    assert (gap_signal(limits, better - 1), gap_signal(limits, better)) == (None, "low")


@settings(deadline=None)
@given(st.floats(1e-6, 0.5))
def test_each_side_of_g_signals_at_most_alpha_and_the_next_gap_would_be_more(rate: float) -> None:
    limits = gap_limits(rate)

    def at_least(gap: int) -> float:
        return math.exp(gap * math.log1p(-rate))

    assert 1 - at_least(limits.worse) <= ALPHA * (1 + 1e-9) < 1 - at_least(limits.worse + 1) + 1e-12
    assert at_least(limits.better) <= ALPHA * (1 + 1e-9) < at_least(limits.better - 1) + 1e-12
    assert limits.arl0 == pytest.approx(1 / (1 - at_least(limits.worse) + at_least(limits.better)))


def test_three_sigma_limits_of_g_would_signal_fourteen_times_too_often() -> None:
    m = (1 - 1e-3) / 1e-3
    usual = m + 3 * math.sqrt(m * (m + 1))
    assert round(usual) == 3997
    exceeded = (1 - 1e-3) ** math.ceil(usual)
    assert round(100 * exceeded, 1) == 1.8
    assert round(exceeded / ALPHA) == 14


def test_g_run_lengths_are_those_of_simulated_gaps() -> None:
    rng = np.random.default_rng(1)
    limits = gap_limits(1e-4)
    for rate in (1e-4, 5e-4):
        gaps = rng.geometric(rate, size=400_000) - 1
        signals = np.mean((gaps < limits.worse) | (gaps >= limits.better))
        assert 1 / signals == pytest.approx(limits.arl(rate), rel=0.08)
    assert limits.arl(5e-4) < limits.arl0 / 2


def test_g_from_gaps() -> None:
    limits = fit_gaps([999] * 20)
    assert (limits.rate, limits.gaps) == (1e-3, 20)
    for gaps in ([], [0, 0], [5, -1]):
        with pytest.raises(ValueError, match="gaps"):
            fit_gaps(gaps)


def test_nelsons_scale_makes_exponential_times_symmetric() -> None:
    times = np.random.default_rng(2).exponential(3600, size=200_000)
    y = times ** (1 / 3.6)
    assert abs(skew(y)) < 0.02
    assert scaled(times[0]) == pytest.approx(y[0])
    limits = fit_times(times[:50_000].tolist())
    false = np.mean([abs(time_z(limits, t)) > 3 for t in times[50_000:150_000].tolist()])
    assert false == pytest.approx(0.0007, abs=0.0003)


def test_t_limits_come_back_in_seconds_and_faster_defects_have_a_low_z() -> None:
    rng = np.random.default_rng(3)
    limits = fit_times(rng.exponential(3600, size=200).tolist())
    drawn = time_limits(limits)
    assert 0 <= drawn.lcl < drawn.center < drawn.ucl
    assert time_z(limits, drawn.ucl) == pytest.approx(3)
    assert time_z(limits, 1.0) < time_z(limits, drawn.center) < time_z(limits, 40_000)
    assert time_z(limits, drawn.center) == pytest.approx(0, abs=1e-9)
    for wrong in (-1.0, math.nan, math.inf):
        with pytest.raises(ValueError, match="time between"):
            scaled(wrong)


def parts_to_signal(rate: float, cusum: BernoulliCusum, rng: np.random.Generator) -> int:
    height, parts = 0.0, 0
    while True:
        gap = int(rng.geometric(rate)) - 1
        parts += gap + 1
        height, signal = cusum_step(cusum, height, bad=1, good=gap)
        if signal:
            return parts


def test_the_cusum_has_the_run_lengths_computed_for_it() -> None:
    cusum = bernoulli_cusum(0.01, 0.03, 20_000)
    assert cusum.arl0 >= 20_000
    rng = np.random.default_rng(5)
    for rate, runs, computed in ((0.01, 400, cusum.arl0), (0.03, 2000, cusum.arl1)):
        found = [parts_to_signal(rate, cusum, rng) for _ in range(runs)]
        assert np.mean(found) == pytest.approx(computed, rel=4 / math.sqrt(runs))
    assert cusum.arl1 < 400


def test_the_cusum_starts_again_after_a_signal_and_forgets_good_times() -> None:
    cusum = bernoulli_cusum(0.01, 0.03, 1000.0)
    height, signals = 0.0, []
    for _ in range(20):
        height, signal = cusum_step(cusum, height, bad=1)
        signals.append(signal)
    first = signals.index(True)
    assert signals[first + 1] is False
    assert cusum_step(cusum, cusum.bad, bad=0, good=10_000) == (0.0, False)


def test_no_rise_is_refused() -> None:
    with pytest.raises(ValueError, match="is none"):
        bernoulli_cusum(0.03, 0.01, 1000)
    with pytest.raises(ValueError, match="no gaps to chart"):
        gap_limits(0)
