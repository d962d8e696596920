"""The meter of a class: parts, not images, and intervals that hold what they say."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import beta, betabinom

from streams.review.readiness import STEPS, betabinomial, expected_recall, parts_of, readiness


def test_before_anything_was_held_out_only_the_best_case_is_told() -> None:
    found = readiness(3)
    assert [(step.parts, step.reached, step.low, step.high) for step in found.steps] == [(n, False, None, None) for n in STEPS]
    assert [step.at_best for step in found.steps] == [pytest.approx(0.025 ** (1 / n)) for n in STEPS]
    assert (found.missing, found.share, found.proven.value) == (2, 3 / 40, None)
    assert "held out" in found.basis


def test_what_was_held_out_says_what_to_expect() -> None:
    found = readiness(12, 9, 10, by="disc-classify/4")
    assert found.proven.value == 0.9
    assert found.proven.low == pytest.approx(beta.ppf(0.025, 9, 2))
    assert "9 of 10 parts held out from disc-classify/4" in found.basis
    assert [step.reached for step in found.steps] == [True, True, False, False]
    assert found.missing == 8
    lows = [step.low for step in found.steps if step.low is not None]
    assert lows == sorted(lows)  # more parts, a narrower interval


def test_forty_is_full() -> None:
    assert (readiness(55).share, readiness(55).missing) == (1.0, 0)


@pytest.mark.parametrize("numbers", [(3, 4, 4), (5, 5, 4), (5, -1, 2)])
def test_counts_that_cannot_be_are_refused(numbers: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="held out"):
        readiness(*numbers)


@pytest.mark.parametrize("n", STEPS)
def test_its_law_is_that_of_scipy(n: int) -> None:
    for found, held_out in ((0, 0), (1, 3), (20, 20), (300, 400)):
        law = betabinom(n, found + 0.5, held_out - found + 0.5)
        assert betabinomial(n, found + 0.5, held_out - found + 0.5) == pytest.approx(law.pmf(range(n + 1)), rel=1e-9)
        assert expected_recall(n, found, held_out) == (law.ppf(0.025) / n, law.ppf(0.975) / n)


@pytest.mark.parametrize("n", STEPS)
def test_ninety_five_of_a_hundred_measurements_lie_in_the_interval(n: int) -> None:
    """Recall from its prior, 20 parts held out, n more measured: at least 95 % but for 4 sigma of chance."""
    chance = np.random.default_rng(n)
    intervals = {found: expected_recall(n, found, 20) for found in range(21)}
    recall = chance.beta(0.5, 0.5, 20_000)
    first, then = chance.binomial(20, recall), chance.binomial(n, recall) / n
    inside = [
        intervals[found][0] <= share <= intervals[found][1] for found, share in zip(first.tolist(), then.tolist(), strict=True)
    ]
    assert np.mean(inside) > 0.95 - 4 * np.sqrt(0.95 * 0.05 / 20_000)


def test_images_of_one_part_are_one_part() -> None:
    assert parts_of(["S1", "S1", "S2", None, None], ["a", "b", "c", "d", "e"]) == 4
