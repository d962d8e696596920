"""Scores as symbols: which bin of a reference a score falls into. Knows numbers, no time and no judgement.

Quantiles are order statistics, Q(q) = x_(ceil(q n)), so a monotone change of the score's scale leaves every symbol as it was.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

BODY = 0.95  # good parts up to this quantile are the body; what lies above may be defects
TAIL_EVENT = 0.99  # above it lies a tail event, where the reference is large enough to know it
TAIL_EVENT_FROM = 400
NORMAL = NormalDist()
_SLACK = 1e-9  # .95 x 20 is 19.000000000000004 on some routes: a rank must not depend on it


@dataclass(frozen=True, kw_only=True)
class Bins:
    """Right-closed bins. edges: ascending; bin s holds edges[s-1] < score <= edges[s], the first and last are open.

    counts: reference scores in each; body: how many bins are body (the first ones), the others are tail.
    """

    edges: tuple[float, ...]
    counts: tuple[int, ...]
    body: int

    @property
    def masses(self) -> tuple[float, ...]:
        """Shares of the bins, half a part added to each so that none is zero (H. Jeffreys, 1946)."""
        total = sum(self.counts) + len(self.counts) / 2
        return tuple((count + 0.5) / total for count in self.counts)


def quantile(ordered: Sequence[float], q: float) -> float:
    """The smallest value that at least a share q of them does not exceed. ordered: ascending, not empty; 0 < q <= 1."""
    return ordered[max(0, math.ceil(q * len(ordered) - _SLACK) - 1)]


def body_bins(n: int) -> int:
    """How many bins the body of n reference scores is cut into."""
    return min(18, max(6, n // 10))


def bins_of(ordered: Sequence[float]) -> Bins:
    """Bins of about equal share. ordered: ascending, not empty. Equal quantiles become one edge: ties make fewer bins."""
    n = len(ordered)
    b = body_bins(n)
    body = sorted({quantile(ordered, BODY * k / b) for k in range(1, b + 1)})
    tail = [quantile(ordered, TAIL_EVENT)] if n >= TAIL_EVENT_FROM else []
    edges = tuple(sorted({*body, *tail}))
    counts = [0] * (len(edges) + 1)
    for score in ordered:
        counts[bisect_left(edges, score)] += 1
    return Bins(edges=edges, counts=tuple(counts), body=len(body))


def middles(n: int, most: int) -> list[int]:
    """Ranks (from 0) of at most `most` order statistics that stand for n of them, evenly spread."""
    m = min(n, most)
    return [min(n - 1, int((i + 0.5) * n / m)) for i in range(m)]
