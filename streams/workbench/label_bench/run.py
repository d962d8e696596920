"""The table: labels that the queue's order needs for what chance reaches with 40 a class, with intervals over the seeds.

Chance: 40 x classes labels drawn at random from the pool, without a look at the classes (nobody knows them before). The target
is its mean macro-F1 over the seeds; needed is where the mean curve of the queue's order crosses it, straight between two refits.
Intervals: 95 % of 2,000 bootstrap draws of the seeds, target and curve from the same ones.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from streams.workbench.label_bench.orders import EVERY, by_chance, by_queue, life
from streams.workbench.label_bench.sets import classed, names

A_CLASS = 40
_DRAWS = 2000
_MOST = 0.9  # of chance's labels
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Row:
    """needed: None where the order does not get there with 90 % of chance's labels. low, high: of the ratio; inf: not there."""

    name: str
    classes: int
    pool: int
    tested: int
    seeds: int
    chance_labels: int
    target: float
    chance_half: float
    ours_half: float
    needed: float | None
    ratio: float | None
    low: float
    high: float


def bench_labels(data: Path, seeds: int, tell: Callable[[str], None], only: Sequence[str] = ()) -> list[Row]:
    """data: folder with neu_steel and x_sdd. Raises DataError."""
    with threadpool_limits(1, user_api="blas"):  # at these sizes two threads mostly wait for each other
        return [_row(name, data, seeds, tell) for name in (only or names())]


def _row(name: str, data: Path, seeds: int, tell: Callable[[str], None]) -> Row:
    found = classed(name, data, tell)
    wanted = A_CLASS * len(found.classes)
    most = int(_MOST * wanted) // EVERY * EVERY
    chance, ours = [], []
    for seed in range(seeds):
        one = life(found, seed)
        chance.append(by_chance(one, [wanted // 2, wanted]))
        ours.append(by_queue(one, most))
        tell(f"{name}, seed {seed}: chance {chance[-1][1]:.4f} with {wanted}; ours {ours[-1][len(ours[-1]) // 2]:.4f} with half")
    reached, curves = np.array(chance), np.array(ours)
    needed = crossing(curves.mean(0), float(reached[:, 1].mean()))
    low, high = _interval(curves, reached[:, 1], wanted)
    return Row(
        name=name,
        classes=len(found.classes),
        pool=len(one.pool),
        tested=len(one.test),
        seeds=seeds,
        chance_labels=wanted,
        target=float(reached[:, 1].mean()),
        chance_half=float(reached[:, 0].mean()),
        ours_half=float(curves.mean(0)[wanted // 2 // EVERY - 1]),
        needed=needed,
        ratio=None if needed is None else needed / wanted,
        low=low,
        high=high,
    )


def crossing(curve: Floats, target: float) -> float | None:
    """Labels at which the curve (a value every EVERY labels) reaches the target; None: it does not."""
    there = np.flatnonzero(curve >= target)
    if not len(there):
        return None
    at = int(there[0])
    before = 0.0 if at == 0 else float(curve[at - 1])
    return EVERY * (at + (target - before) / (float(curve[at]) - before))


def _interval(curves: Floats, reached: Floats, wanted: int) -> tuple[float, float]:
    rng = np.random.default_rng(0)
    ratios = []
    for _ in range(_DRAWS):
        drawn = rng.integers(len(curves), size=len(curves))
        needed = crossing(curves[drawn].mean(0), float(reached[drawn].mean()))
        ratios.append(np.inf if needed is None else needed / wanted)
    low, high = np.quantile(ratios, [0.025, 0.975], method="higher")
    return float(low), float(high)
