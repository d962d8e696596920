"""The bench of label efficiency: whole groups on one side, the same seed the same life, the crossing by hand."""

from __future__ import annotations

import numpy as np
import pytest

from streams.workbench.label_bench.orders import EVERY, by_chance, by_queue, life
from streams.workbench.label_bench.run import crossing
from streams.workbench.label_bench.sets import Classed


def clumps(rare: int) -> Classed:
    """Two frequent classes and a rare one, told apart by a few directions out of 992; two images a group."""
    rng = np.random.default_rng(5)
    kinds = ["a"] * 150 + ["b"] * 150 + ["c"] * rare
    centres = {kind: np.abs(rng.normal(size=992)) for kind in "abc"}
    rows = np.array([np.abs(centres[kind] + rng.normal(size=992) * 0.7) for kind in kinds], np.float32)
    groups = [f"{kind}{i // 2}" for i, kind in enumerate(kinds)]
    return Classed(name="clumps", embedding=rows, kind=np.array(kinds), group=np.array(groups))


def test_no_group_is_in_the_pool_and_in_the_test() -> None:
    one = life(clumps(20), 3)
    assert not set(one.data.group[one.pool]) & set(one.data.group[one.test])
    assert {0, 1, 2} == set(one.target[one.test].tolist()) == set(one.target[one.pool].tolist())
    assert len(one.pool) == pytest.approx(192, abs=6)


def test_the_queue_finds_the_rare_class_sooner_than_chance() -> None:
    """Two images of it are in a pool of 182: chance has seen one of them after 20 labels in one life of five."""
    data = clumps(4)
    ours = [by_queue(life(data, seed), 2 * EVERY) for seed in range(5)]
    chance = [by_chance(life(data, seed), [2 * EVERY])[0] for seed in range(5)]
    assert all(len(curve) == 2 and curve[1] > 0.95 for curve in ours)
    assert np.mean(chance) < 0.9


def test_the_same_seed_is_the_same_life() -> None:
    data = clumps(20)
    assert by_queue(life(data, 1), 2 * EVERY) == by_queue(life(data, 1), 2 * EVERY)
    assert by_chance(life(data, 1), [20]) == by_chance(life(data, 1), [20])
    assert set(life(data, 1).pool.tolist()) != set(life(data, 2).pool.tolist())


@pytest.mark.parametrize(
    ("curve", "target", "labels"),
    [([0.5, 0.7, 0.9], 0.8, 25.0), ([0.5, 0.7, 0.9], 0.7, 20.0), ([0.5], 0.25, 5.0), ([0.5, 0.7], 0.8, None)],
)
def test_where_the_curve_crosses(curve: list[float], target: float, labels: float | None) -> None:
    assert crossing(np.array(curve), target) == (labels if labels is None else pytest.approx(labels))
