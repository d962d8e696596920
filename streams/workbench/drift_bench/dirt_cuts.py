"""The table of `streams.monitors.dirt`: how far the strangest parts of clean samples stand out, by simulation.

    python -m streams.workbench.drift_bench.dirt_cuts

prints it, in five minutes on two processes. Its samples are other ones than those that `bench drift` measures the rule on.
"""

from __future__ import annotations

import sys

import numpy as np

from streams.monitors.dirt import expected, longest_tail, standing_out
from streams.workbench.drift_bench.cells import chance, workers
from streams.workbench.drift_bench.families import Family
from streams.workbench.drift_bench.simulator import World, stream

LAWS: tuple[Family, ...] = ("lognormal", "gamma", "weibull")
SIZES = (100, 200, 300, 500, 1000, 2000, 5000)
LEVEL = 0.04  # of the cut; 5 % is promised, the rest is for other seeds and coarser scores
_PARTS = 20_000_000  # of a law at a size, at least 10,000 samples
_FEWEST = 10_000


def cut(task: tuple[Family, int]) -> float:
    """The point that LEVEL of the clean samples of a law and a size lie above."""
    family, n = task
    world, rng = World(family=family, defects=0.0), chance(f"cut of {family}", n)
    found = [_held(sorted(stream(world, n, rng).scores.tolist())) for _ in range(max(_FEWEST, _PARTS // n))]
    return float(np.quantile(found, 1 - LEVEL))


def _held(ordered: list[float]) -> float:
    return standing_out(ordered) / expected(longest_tail(ordered))


def main() -> None:
    """Print the table: the highest of the laws for each size."""
    with workers() as pool:
        tasks = [(law, n) for n in SIZES for law in LAWS]
        cuts = dict(zip(tasks, pool.map(cut, tasks), strict=True))
    for n in SIZES:
        each = {law: round(cuts[law, n], 3) for law in LAWS}
        sys.stdout.write(f"{n} {max(each.values())} {each}\n")


if __name__ == "__main__":
    main()
