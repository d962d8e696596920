"""Intervals of shares: against statsmodels, and exactly how often they hold the share that they are of."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom
from statsmodels.stats.proportion import proportion_confint

from streams.monitors.shares import Share, exact_share, share


@settings(deadline=None)
@given(st.integers(1, 3000), st.floats(0, 1))
def test_both_are_the_published_intervals(n: int, at: float) -> None:
    events = round(at * n)
    for ours, method in ((share(events, n), "wilson"), (exact_share(events, n), "beta")):
        low, high = proportion_confint(events, n, method=method)
        assert [ours.low, ours.high] == pytest.approx([max(0, low), min(1, high)], abs=2e-5)
        assert ours.low <= events / n + 1e-12
        assert ours.high >= events / n - 1e-12


def coverage(intervals: list[Share], truth: float) -> float:
    """Exact: the chance of the counts whose interval holds the truth."""
    n = len(intervals) - 1
    return float(binom.pmf([one.events for one in intervals if one.low <= truth <= one.high], n, truth).sum())


@pytest.mark.parametrize("n", [20, 100, 500])
def test_the_exact_one_never_covers_less_than_it_says_and_wilsons_does_on_average(n: int) -> None:
    truths = np.linspace(0.002, 0.5, 250).tolist()
    exact = [exact_share(events, n) for events in range(n + 1)]
    wilson = [share(events, n) for events in range(n + 1)]
    assert min(coverage(exact, truth) for truth in truths) >= 0.95 - 1e-9
    found = [coverage(wilson, truth) for truth in truths]
    assert np.mean(found) == pytest.approx(0.95, abs=0.01)
    assert min(found) > 0.83


def test_nothing_seen_says_nothing_and_what_cannot_be_is_refused() -> None:
    for ours in (share(0, 0), exact_share(0, 0)):
        assert (ours.value, ours.low, ours.high) == (None, 0, 1)
    for events, n in ((1, 0), (5, 4), (-1, 4)):
        with pytest.raises(ValueError, match="is no share"):
            exact_share(events, n)
