"""Defects in a sample of good parts: how often the ratio flags clean and dirty ones, and which parts are shown."""

from __future__ import annotations

import math

import numpy as np
import pytest

from streams.monitors.dirt import cut_of, expected, longest_tail, standing_out, top_parts, top_ratio
from streams.monitors.symbols import NORMAL
from streams.workbench.drift_bench.dirt_cuts import LAWS, LEVEL
from streams.workbench.drift_bench.families import Family
from streams.workbench.drift_bench.simulator import World, reference


def flagged(law: Family, share: float, n: int = 1000, runs: int = 200) -> float:
    rng = np.random.default_rng([int(1000 * share), n, len(law)])
    samples = [reference(World(family=law), n, rng, dirty=share).scores.tolist() for _ in range(runs)]
    return sum(top_ratio(sample).flagged for sample in samples) / runs


@pytest.mark.parametrize("law", LAWS)
def test_clean_samples_are_seldom_flagged_and_dirty_ones_mostly(law: Family) -> None:
    """5 % and 85 % are promised, for each law alone."""
    assert flagged(law, 0.0) <= 0.08
    assert flagged(law, 0.02) >= 0.8


def test_the_more_skewed_the_body_the_further_may_the_top_stand_out() -> None:
    def cut(sigma: float) -> float:
        return top_ratio(np.exp(sigma * np.random.default_rng(1).normal(size=4000)).tolist()).cut

    cuts = [cut(sigma) for sigma in (0.1, 0.2, 0.3, 0.4, 0.8)]
    assert cuts[:4] == sorted(set(cuts[:4]))
    assert cuts[3] == cuts[4]  # no law with a longer tail is looked for


@pytest.mark.parametrize("sigma", [0.0, 0.2, 0.4])
def test_the_expected_ratio_is_that_of_a_large_sample(sigma: float) -> None:
    latent = np.array([NORMAL.inv_cdf((k + 0.5) / 200_000) for k in range(200_000)])
    sample = np.exp(sigma * latent) if sigma else latent
    assert standing_out(sample.tolist()) == pytest.approx(expected(sigma), rel=1e-3)


def test_the_cuts_are_what_their_simulation_gives() -> None:
    """Fewer samples of the smallest size than the table is made of."""
    rng = np.random.default_rng(3)
    samples = (sorted(np.round(np.exp(0.4 * rng.normal(size=100)), 2).tolist()) for _ in range(4000))
    held = [standing_out(sample) / expected(longest_tail(sample)) for sample in samples]
    assert np.quantile(held, 1 - LEVEL) == pytest.approx(cut_of(100), rel=0.05)


def test_the_cut_lies_between_its_sizes() -> None:
    assert [cut_of(n) for n in (1, 100, 300, 1000, 5000, 9000)] == pytest.approx([1.492, 1.492, 1.3, 1.169, 1.077, 1.077])
    assert 1.169 < cut_of(700) < 1.239


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
