"""Estimates with their errors: run lengths, quantiles of delays, shares. Know numbers only."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

_Z = 1.645  # one-sided 95 %


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """value, se: infinite where too few runs ended to say; low: 95 % lower bound, where one is of use."""

    value: float
    se: float
    runs: int
    low: float | None = None


def run_length(firsts: Sequence[int | None], parts: int) -> Estimate:
    """Mean parts to the first alarm: parts watched over alarms, for runs that were watched for `parts` at most. firsts: from 0.

    The lower bound takes the number of alarms as Poisson (F. Garwood, Biometrika 28 (1936) 437; chi-square quantile by E. Wilson,
    M. Hilferty, PNAS 17 (1931) 684). Without an alarm the value is that bound.
    """
    watched = sum(parts if first is None else first + 1 for first in firsts)
    alarms = sum(first is not None for first in firsts)
    k = alarms + 1
    low = watched / (k * (1 - 1 / (9 * k) + _Z / (3 * math.sqrt(k))) ** 3)
    value = watched / alarms if alarms else low
    return Estimate(value=value, se=value / math.sqrt(alarms) if alarms else math.inf, runs=len(firsts), low=low)


def quantile(delays: Sequence[float], q: float) -> Estimate:
    """An order statistic; its standard error is half the width between those one binomial standard deviation below and above."""
    if not delays:
        return Estimate(value=math.inf, se=math.inf, runs=0)
    ordered, n = sorted(delays), len(delays)
    spread = math.sqrt(n * q * (1 - q))
    low, high = (ordered[min(n - 1, max(0, math.ceil(q * n + side * spread) - 1))] for side in (-1, 1))
    value = ordered[max(0, math.ceil(q * n) - 1)]
    return Estimate(value=value, se=(high - low) / 2 if math.isfinite(high) else math.inf, runs=n)


def share(hits: int, runs: int) -> Estimate:
    """A proportion; the standard error of one with two hits and two misses more, so that none of 200 is not taken for certain."""
    if runs == 0:
        return Estimate(value=math.inf, se=math.inf, runs=0)
    widened = (hits + 2) / (runs + 4)
    return Estimate(value=hits / runs, se=math.sqrt(widened * (1 - widened) / (runs + 4)), runs=runs)
