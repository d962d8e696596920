"""Defects inside a sample that was taken as good: how far its strangest parts stand out, and which they are.

How far a clean sample's strangest parts stand out depends on how long the tail of its law is. The body says something of it: a
skewed one goes with a long tail. So the ratio is held against what a lognormal law would give whose skewness the body does not
rule out, at most that of sigma .4; gamma and Weibull laws have shorter tails than that. A law whose tail is longer than its body
tells is flagged without defects: the ratio flags and never decides, and the strangest parts are for a person to look at.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from streams.monitors.symbols import NORMAL, quantile

_TOP = 0.01
_BULK = (0.5, 0.95)  # between these quantiles lie the parts whose mean distance from the median is the yardstick
_DECILE = 0.9
_FEWEST_TO_REVIEW = 5
LONGEST = 0.4  # sigma of the lognormal law with the longest tail
_BODY_CONF = 2.326  # one-sided 99 %: how sure the body must be that its law is less skewed
_SKEW_VARIANCE = 4.30  # times 1/n: of `skewness` in a normal sample, from the covariances of its 10, 50 and 90 % quantiles
# 96 % points of ratio over `expected` in clean samples by sample size, the highest of lognormal (.4), gamma (3) and Weibull (3)
# scores; 5 % are promised. From streams.workbench.drift_bench.dirt_cuts: 2e5 samples of 100 to 1e4 of 5000, seed 20260731
_CUTS = ((100, 1.492), (200, 1.363), (300, 1.3), (500, 1.239), (1000, 1.169), (2000, 1.118), (5000, 1.077))


@dataclass(frozen=True, kw_only=True)
class Dirt:
    """ratio: how far the mean of the top 1 % lies from the median, over how far the mean of the upper half up to the 95 %
    quantile does; cut: what 96 % of clean samples of this size and skewness stay below.
    """

    ratio: float
    cut: float
    flagged: bool


def top_ratio(scores: Sequence[float]) -> Dirt:
    """Of any order. Where the upper half does not rise: infinite if the top does, else 0. Raises ValueError for none."""
    if not scores:
        raise ValueError("no scores: there is nothing to look for defects in")
    ordered = sorted(scores)
    ratio, cut = standing_out(ordered), cut_of(len(ordered)) * expected(longest_tail(ordered))
    return Dirt(ratio=ratio, cut=cut, flagged=ratio > cut)


def standing_out(ordered: Sequence[float]) -> float:
    """The ratio. ordered: ascending."""
    n, middle = len(ordered), quantile(ordered, 0.5)
    top = ordered[-max(1, math.ceil(_TOP * n)) :]
    bulk = ordered[math.ceil(_BULK[0] * n) : math.ceil(_BULK[1] * n)] or [middle]
    above, yard = (math.fsum(part) / len(part) - middle for part in (top, bulk))
    return above / yard if yard > 0 else math.inf if above > 0 else 0.0


def longest_tail(ordered: Sequence[float]) -> float:
    """Sigma of the most skewed lognormal law that the body does not rule out, 0 to LONGEST. ordered: ascending.

    Of a lognormal law the log of (90 % quantile - median) over (median - 10 % quantile) is sigma times the normal 90 % quantile.
    """
    low, middle, high = (quantile(ordered, q) for q in (1 - _DECILE, 0.5, _DECILE))
    if not low < middle < high:
        return LONGEST
    skewness = math.log((high - middle) / (middle - low)) + _BODY_CONF * math.sqrt(_SKEW_VARIANCE / len(ordered))
    return min(LONGEST, max(0.0, skewness / NORMAL.inv_cdf(_DECILE)))


def expected(sigma: float) -> float:
    """The ratio of a lognormal law itself; of a normal one for 0."""
    sigma = max(sigma, 1e-4)
    return _mean(sigma, 1 - _TOP, 1.0) / _mean(sigma, *_BULK)


def _mean(sigma: float, low: float, high: float) -> float:
    """Of a lognormal law with median 1 between two of its quantiles, above the median."""
    until = NORMAL.cdf(NORMAL.inv_cdf(high) - sigma) if high < 1 else 1.0
    share = (until - NORMAL.cdf(NORMAL.inv_cdf(low) - sigma)) / (high - low)
    return math.exp(sigma * sigma / 2) * share - 1


def cut_of(n: int) -> float:
    """What 96 % of clean samples of n stay below, over the expected ratio; straight in log n between the simulated sizes."""
    sizes, cuts = zip(*_CUTS, strict=True)
    return float(np.interp(math.log(n), np.log(sizes), cuts))


def top_parts(scores: Sequence[float]) -> list[int]:
    """Places of the strangest 1 %, at least 5, strangest first: to be looked at before the sample is signed."""
    most = max(_FEWEST_TO_REVIEW, math.ceil(_TOP * len(scores)))
    return sorted(range(len(scores)), key=lambda i: (-scores[i], i))[:most]
