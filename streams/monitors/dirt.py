"""Defects inside a sample that was taken as good: how far its strangest parts stand out, and which they are.

The cut depends on the family of the scores (Weibull alone would allow 2.2 at 1000), so the ratio flags and never decides: the
strangest parts are for a person to look at, whatever it says.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from streams.monitors.symbols import quantile

_TOP = 0.01
_FEWEST_TO_REVIEW = 5
# 95 % points of the ratio for clean samples by sample size, the highest of lognormal (.4), gamma (3) and Weibull (3) scores: from
# 2e5 simulated samples of 100 to 4e3 of 5000
_CUTS = ((100, 4.32), (200, 3.92), (300, 3.73), (500, 3.54), (1000, 3.35), (2000, 3.21), (5000, 3.09))


@dataclass(frozen=True, kw_only=True)
class Dirt:
    """ratio: how far the mean of the top 1 % lies from the median, in distances of the 90 % quantile from it."""

    ratio: float
    cut: float
    flagged: bool


def top_ratio(scores: Sequence[float]) -> Dirt:
    """Of any order. Where the 90 % quantile is the median: infinite if anything lies above it, else 0. ValueError for none."""
    if not scores:
        raise ValueError("no scores: there is nothing to look for defects in")
    ordered = sorted(scores)
    top = ordered[-max(1, math.ceil(_TOP * len(ordered))) :]
    middle = quantile(ordered, 0.5)
    above = math.fsum(top) / len(top) - middle
    width = quantile(ordered, 0.9) - middle
    ratio = above / width if width > 0 else math.inf if above > 0 else 0.0
    cut = cut_of(len(ordered))
    return Dirt(ratio=ratio, cut=cut, flagged=ratio > cut)


def cut_of(n: int) -> float:
    """The ratio that 95 % of clean samples of n stay below, straight in log n between the simulated sizes."""
    sizes, cuts = zip(*_CUTS, strict=True)
    return float(np.interp(math.log(n), np.log(sizes), cuts))


def top_parts(scores: Sequence[float]) -> list[int]:
    """Places of the strangest 1 %, at least 5, strangest first: to be looked at before the sample is signed."""
    most = max(_FEWEST_TO_REVIEW, math.ceil(_TOP * len(scores)))
    return sorted(range(len(scores)), key=lambda i: (-scores[i], i))[:most]
