"""Defects in a sample of good parts: how often the ratio flags clean and dirty ones, and which parts are shown."""

from __future__ import annotations

import math

import numpy as np
import pytest

from streams.monitors.dirt import cut_of, top_parts, top_ratio


def flagged(share: float, n: int = 1000, runs: int = 200) -> float:
    """Of lognormal samples, defects at 2.3 sd times 1 + .8 Pareto(2.5)."""
    rng = np.random.default_rng([int(1000 * share), n])
    found = 0
    for _ in range(runs):
        scores = np.exp(0.4 * rng.normal(size=n))
        dirty = rng.random(n) < share
        scores[dirty] = np.exp(0.4 * 2.3) * (1 + 0.8 * rng.pareto(2.5, int(dirty.sum())))
        found += top_ratio(scores.tolist()).flagged
    return found / runs


def test_clean_samples_are_seldom_flagged_and_dirty_ones_mostly() -> None:
    assert flagged(0.0) <= 0.09
    assert flagged(0.02) >= 0.8


def test_the_cut_lies_between_its_sizes() -> None:
    assert [cut_of(n) for n in (1, 100, 300, 1000, 5000, 9000)] == pytest.approx([4.32, 4.32, 3.73, 3.35, 3.09, 3.09])
    assert 3.35 < cut_of(700) < 3.54


def test_samples_without_spread() -> None:
    assert top_ratio([1.0] * 100).ratio == 0
    assert top_ratio([1.0] * 99 + [2.0]).ratio == math.inf
    with pytest.raises(ValueError, match="no scores"):
        top_ratio([])


def test_a_person_sees_the_strangest_hundredth_at_least_five() -> None:
    scores = [float(i % 700) for i in range(1000)]
    assert top_parts(scores)[:3] == [699, 698, 697]
    assert len(top_parts(scores)) == 10
    assert top_parts([3.0, 9.0, 9.0]) == [1, 2, 0]
