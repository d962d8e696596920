"""Design effect: how many dependent scores say as much as one independent score. Knows numbers in time order, and lots.

Parts of one lot resemble each other, so n of them are worth n / deff. Estimates from one-way analysis of variance (intraclass
correlation: R. Fisher, Statistical Methods for Research Workers, 1925; design effect: L. Kish, Survey Sampling, 1965) or, without
lots, from the variance of block means.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import NDArray

from streams.monitors.symbols import NORMAL

CLIP = 2.0  # latent sd: defects and outliers count as moderately high
FEWEST_BLOCKS = 10
Values = NDArray[np.float64]


def normal_scores(scores: Sequence[float], ordered: Sequence[float]) -> Values:
    """Latent values of scores against a sorted reference, ties at their middle rank, clipped to +-2."""
    n = len(ordered)
    low, high = np.searchsorted(ordered, scores, "left"), np.searchsorted(ordered, scores, "right")
    table = np.array([NORMAL.inv_cdf(min(max(k / 2, 0.25), n - 0.25) / n) for k in range(2 * n + 1)])
    return np.asarray(np.clip(table[low + high], -CLIP, CLIP), dtype=np.float64)


def of_lots(values: Values, lots: Sequence[Hashable]) -> float:
    """1 + (sum m^2 / n - 1) ICC for lots of m values; 1 where there is one lot only, or only lots of one."""
    number = {lot: i for i, lot in enumerate(dict.fromkeys(lots))}
    which = np.array([number[lot] for lot in lots])
    sizes = np.bincount(which).astype(float)
    n, k = len(values), len(sizes)
    if k < 2 or k == n:
        return 1.0
    means = np.bincount(which, values) / sizes
    between = float(np.sum(sizes * (means - values.mean()) ** 2)) / (k - 1)
    within = float(np.sum((values - means[which]) ** 2)) / (n - k)
    weight = float(np.sum(sizes**2)) / n
    of_lot = max(0.0, (between - within) / ((n - weight) / (k - 1)))
    return 1.0 if of_lot == 0 else 1 + (weight - 1) * of_lot / (of_lot + within)


def of_blocks(values: Values) -> float:
    """The largest variance of block means, over what independent values have, that chance does not explain; at least 1.

    Block lengths 4, 8, .. as long as there are ten. Successive differences: a slow wave of the whole sample is no lot.
    """
    variance, n = float(values.var()), len(values)
    best, m = 1.0, 4
    while variance > 0 and n // m >= FEWEST_BLOCKS:
        blocks = n // m
        means = values[: blocks * m].reshape(blocks, m).mean(axis=1)
        found = m * float(np.mean(np.diff(means) ** 2)) / (2 * variance)
        if found > 1 + 2.5 * math.sqrt(3 / blocks):
            best = max(best, found)
        m *= 2
    return best


def deff_of(values: Values, lots: Sequence[Hashable] | None) -> float:
    """By lots where they are known, else by blocks of time."""
    return of_blocks(values) if lots is None else of_lots(values, lots)
