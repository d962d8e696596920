"""Ranks, thresholds and bounds, against the definitions and against scipy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import beta

from streams.judgement.conformal import calibration_digest, false_reject_bound, p_value, rank_of, threshold_for, upper_bound

SCORES = st.lists(st.floats(-5, 5).map(lambda x: round(x, 1)), min_size=1, max_size=60).map(sorted)


@given(SCORES, st.floats(-6, 6).map(lambda x: round(x, 1)), st.floats(0.02, 0.99))
def test_above_the_threshold_is_p_at_most_alpha(calibration: list[float], score: float, alpha: float) -> None:
    p = p_value(score, calibration)
    assert p == (1 + sum(c >= score for c in calibration)) / (len(calibration) + 1)
    try:
        threshold = threshold_for(alpha, calibration)
    except ValueError:
        assert alpha < 1 / (len(calibration) + 1)
    else:
        assert (score > threshold) == (p <= alpha + 1e-9)


def test_a_rate_that_does_not_exist_is_refused_with_numbers() -> None:
    with pytest.raises(ValueError, match=r"0\.01 .* 98 calibration scores.*1/99 = 0\.0101"):
        threshold_for(0.01, [0.0] * 98)
    assert rank_of(0.01, 99) == 1
    assert rank_of(0.07, 99) == 7  # 0.07 * 100 is more than 7 in floating point, 0.29 * 100 less than 29
    assert rank_of(0.29, 99) == 29


def test_bound_is_clopper_pearson() -> None:
    for events, n in ((0, 10), (1, 99), (7, 150), (40, 2000), (1999, 2000), (30_000, 1_000_000), (999_000, 1_000_000)):
        assert upper_bound(events, n) == pytest.approx(beta.ppf(0.95, events + 1, n - events), abs=1e-9)
    assert upper_bound(5, 5) == 1
    assert false_reject_bound(0.01, 99) == pytest.approx(beta.ppf(0.95, 1, 99), abs=1e-9)


def test_false_reject_rate_is_the_one_aimed_at() -> None:
    rng = np.random.default_rng(3)
    rates = [np.mean(rng.normal(size=400) > threshold_for(0.05, np.sort(rng.normal(size=100)).tolist())) for _ in range(800)]
    assert np.mean(rates) == pytest.approx(5 / 101, abs=0.003)
    assert np.mean(np.array(rates) <= false_reject_bound(0.05, 100)) > 0.9


def test_digest_names_the_scores() -> None:
    assert calibration_digest([0.1, 0.2]) == calibration_digest((0.1, 0.2)) != calibration_digest([0.1, 0.20000001])
