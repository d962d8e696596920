"""From a raw anomaly score to a rank among good parts, and from a false-reject rate to a threshold.

Knows calibration scores only: no image, no model, no policy. Split conformal prediction: V. Vovk, A. Gammerman, G. Shafer,
Algorithmic Learning in a Random World, 2005, section 4.2; the bound: C. Clopper, E. Pearson, Biometrika 26 (1934) 404.
"""

from __future__ import annotations

import hashlib
import json
import math
from bisect import bisect_left
from collections.abc import Sequence

from schemas.ids import Digest

_CLOSE = 1e-14  # of a continued fraction: relative
_SLACK = 1e-9  # .07 x 100 is 7.000000000000001: a rank must not depend on it


def p_value(score: float, calibration: Sequence[float]) -> float:
    """(1 + how many calibration scores are at least as strange) / (n + 1). calibration: ascending, may be empty (gives 1)."""
    n = len(calibration)
    return (1 + n - bisect_left(calibration, score)) / (n + 1)


def rank_of(alpha: float, n: int) -> int:
    """The largest rank k with k / (n + 1) <= alpha: p-values up to it are anomalous.

    Raises ValueError where alpha is below 1 / (n + 1): such a rate does not exist.
    """
    rank = math.floor(alpha * (n + 1) + _SLACK)
    if rank < 1:
        smallest = f"the smallest is 1/{n + 1} = {1 / (n + 1):.4g}"
        raise ValueError(f"alpha {alpha:g} does not exist with {n} calibration scores: {smallest}")
    return rank


def threshold_for(alpha: float, calibration: Sequence[float]) -> float:
    """The score above which, and not at which, a part is anomalous: p_value(score) <= alpha.

    calibration: ascending. Raises ValueError as `rank_of`, and for alpha >= 1.
    """
    if alpha >= 1:
        raise ValueError(f"alpha is {alpha:g}: every part would be anomalous")
    return calibration[-rank_of(alpha, len(calibration))]


def smallest_alpha(n: int, wanted: float = 0.01) -> float:
    """What a fit starts with: max(wanted, 1 / (n + 1))."""
    return max(wanted, 1 / (n + 1))


def upper_bound(events: int, n: int, confidence: float = 0.95) -> float:
    """Clopper and Pearson's one-sided upper bound of a share, `events` of `n` seen.

    The p at which seeing so few has probability 1 - confidence. Raises ValueError where events is not in 0..n.
    """
    if not 0 <= events <= n or n < 1:
        raise ValueError(f"{events} of {n} is no share")
    if events == n:
        return 1.0
    low, high = events / n, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if at_most(events, n, middle) > 1 - confidence else (low, middle)
    return high


def at_most(events: int, n: int, p: float) -> float:
    """The binomial distribution function for 0 <= events < n, 0 < p < 1: an incomplete beta integral.

    Its continued fraction (M. Abramowitz, I. Stegun, 26.5.8) needs some sqrt(n) terms, where a sum needs n.
    """
    mean = (n - events) / (n + 1)  # of the beta distribution: the fraction converges below it
    if 1 - p <= mean:
        return _beta(n - events, events + 1, 1 - p, p)
    return 1 - _beta(events + 1, n - events, p, 1 - p)


def false_reject_bound(alpha: float, n: int, confidence: float = 0.95) -> float:
    """The 95 % upper bound of the false-reject rate that a threshold has, given its n calibration scores.

    k - 1 of n good parts lie above it; over calibration samples the rate is Beta(k, n + 1 - k) (Vovk, Machine Learning 92
    (2013) 349), whose quantile is Clopper and Pearson's bound for k - 1 of n. Raises ValueError as `rank_of`.
    """
    return upper_bound(rank_of(alpha, n) - 1, n, confidence)


def calibration_digest(calibration: Sequence[float]) -> Digest:
    """SHA-256 of the scores as canonical JSON: which calibration a verdict stood on."""
    return hashlib.sha256(json.dumps(list(calibration), separators=(",", ":"), allow_nan=False).encode()).hexdigest()


def _beta(a: float, b: float, x: float, y: float) -> float:
    """The regularised incomplete beta integral up to x = 1 - y, by W. Lentz's method (Applied Optics 15 (1976) 668)."""
    c, d = 1.0, 1 / (1 - (a + b) * x / (a + 1))
    value, m, change = d, 0, 0.0
    while abs(change - 1) > _CLOSE:
        m += 1
        change = 1.0
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for term in (even, odd):
            d, c = 1 / (1 + term * d), 1 + term / c
            change *= c * d
        value *= change
    scale = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log(y)
    return math.exp(scale) * value / a
