"""Shares and quantiles of counted parts with their 95 % intervals. Knows counts and edges, no stream."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from streams.judgement.conformal import upper_bound

QUANTILES = (0.1, 0.5, 0.9, 0.95)
_Z = 1.96


@dataclass(frozen=True, kw_only=True)
class Share:
    """events of n; value is None where n is 0."""

    events: int
    n: int
    value: float | None
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class Quantile:
    """Of the reference and since the change, in the score's unit; None where it lies in an open bin, or nothing was counted."""

    q: float
    reference: float
    now: float | None
    low: float | None
    high: float | None


def share(events: int, n: int, deff: float = 1.0) -> Share:
    """E. Wilson's interval (J. Am. Stat. Assoc. 22 (1927) 209) for n / deff independent parts."""
    if n == 0:
        return Share(events=0, n=0, value=None, low=0.0, high=1.0)
    size = n / deff
    rate = events / n
    centre = (rate + _Z * _Z / (2 * size)) / (1 + _Z * _Z / size)
    width = _Z / (1 + _Z * _Z / size) * math.sqrt(rate * (1 - rate) / size + (_Z / (2 * size)) ** 2)
    return Share(events=events, n=n, value=rate, low=max(0.0, centre - width), high=min(1.0, centre + width))


def exact_share(events: int, n: int, confidence: float = 0.95) -> Share:
    """Clopper and Pearson's interval: never shorter than it says. Raises ValueError where events is not in 0..n."""
    if n == 0 and events == 0:
        return Share(events=0, n=0, value=None, low=0.0, high=1.0)
    side = (1 + confidence) / 2
    low, high = 1 - upper_bound(n - events, n, side), upper_bound(events, n, side)
    return Share(events=events, n=n, value=events / n, low=low, high=high)


def located(edges: Sequence[float], counts: Sequence[float], q: float) -> float | None:
    """The q quantile of counted parts, straight between two edges; None in an open bin."""
    total = sum(counts)
    if total == 0:
        return None
    wanted = min(max(q, 0.0), 1.0) * total
    below = 0.0
    for symbol, (count, upto) in enumerate(zip(counts, accumulate(counts), strict=True)):
        if upto >= wanted and count:
            if symbol in (0, len(edges)):
                return None
            return edges[symbol - 1] + (edges[symbol] - edges[symbol - 1]) * (wanted - below) / count
        below = upto
    return None


def quantile_change(edges: Sequence[float], counts: Sequence[int], q: float, reference: float, deff: float) -> Quantile:
    """The interval holds the quantiles at q +- 1.96 sqrt(q (1 - q) deff / n): order statistics, so of any distribution."""
    n = sum(counts)
    width = _Z * math.sqrt(q * (1 - q) * deff / n) if n else 1.0
    return Quantile(
        q=q,
        reference=reference,
        now=located(edges, counts, q),
        low=located(edges, counts, q - width) if q > width else None,
        high=located(edges, counts, q + width) if q + width < 1 else None,
    )
