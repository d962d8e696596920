"""A source that repeats itself: a frozen camera, a cached image. Knows differences of successive scores, not their size.

A CUSUM on "this score lies within `near` of the one before": from the reference's own share of such pairs against 90 %.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from streams.monitors.symbols import quantile
from streams.monitors.tables import UNIT

H = math.ceil(14 * UNIT)  # 4 repeats at a share of .02, 7 at .1, 13 at .3
HOLD = 3 * H // 4  # from here on the other channels wait: so many repeats are no chance
RELEASE = 20  # as many more fresh scores than a repeating source shows end it
_REPEATING = 0.9
_RATE = (0.02, 0.5)
SMALLEST = 1e-9


@dataclass(frozen=True, kw_only=True)
class Repeats:
    """near: in the score's unit, -1 where the reference itself repeats too often to tell. rate: share of near pairs in it."""

    near: float
    rate: float

    @property
    def more(self) -> int:
        return math.floor(UNIT * math.log(_REPEATING / self.rate))

    @property
    def less(self) -> int:
        return math.floor(UNIT * math.log((1 - _REPEATING) / (1 - self.rate)))

    @property
    def release(self) -> int:
        return -RELEASE * self.less


def repeats_of(scores: Sequence[float], *, time_ordered: bool) -> Repeats:
    """near: the 2 % quantile of successive differences; of scores in unknown order: equal ones, as often as chance pairs them."""
    n = len(scores)
    if time_ordered and n > 1:
        gaps = np.abs(np.diff(np.asarray(scores, dtype=np.float64)))
        near = max(quantile(np.sort(gaps).tolist(), _RATE[0]), SMALLEST)
        share = float(np.mean(gaps <= near))
    else:
        near = SMALLEST
        share = sum((count / n) ** 2 for count in Counter(scores).values()) if n > 1 else 0.0
    if share > _RATE[1]:
        return Repeats(near=-1.0, rate=_RATE[1])
    return Repeats(near=near, rate=min(max(share + 2 / n, _RATE[0]), _RATE[1]))
