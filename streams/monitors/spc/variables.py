"""Charts of measurements: individuals with moving ranges (I-MR) and means with standard deviations (Xbar-S) of subgroups.

Knows numbers in the characteristic's own unit, no rule and no stream. Subgroups of different sizes share one sigma, from which
each gets its limits. Formulas: D. Montgomery, Introduction to Statistical Quality Control.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from streams.monitors.spc.attributes import D2, K_SIGMA, NoLimits, Removal

VariableChart = Literal["i_mr", "xbar_s"]
Sigma = Literal["mr", "sbar", "pooled", "rbar"]
D4 = 3.267  # with d2 = 1.128: upper limit of a moving range of two over its mean
_D3_EXACT = math.sqrt(2 - 4 / math.pi)  # with d2 = 2 / sqrt(pi)
# Mean and standard deviation of a range of n values, over sigma: E. Pearson, H. Hartley, Biometrika Tables, and `test_variables`.
RANGE = {
    2: (1.128379, 0.852502),
    3: (1.692569, 0.888368),
    4: (2.058751, 0.879808),
    5: (2.325929, 0.864082),
    6: (2.534413, 0.848040),
    7: (2.704357, 0.833205),
    8: (2.847201, 0.819831),
    9: (2.970026, 0.807834),
    10: (3.077505, 0.797051),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One subgroup's measurements. sd: with n - 1; None for one value. span: highest minus lowest, None where it was not kept."""

    subgroup: str
    n: int
    mean: float
    sd: float | None
    span: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class VariableLimits:
    """What a chart of measurements was fitted to; frozen, with its provenance. sigma: within subgroups, by `method`."""

    chart: VariableChart
    center: float
    sigma: float
    method: Sigma
    d2: float
    subgroups: tuple[str, ...]
    removed: tuple[Removal, ...] = ()
    k_sigma: float = K_SIGMA


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """Centre and limits, in the characteristic's unit."""

    center: float
    lcl: float
    ucl: float


def sample_of(subgroup: str, values: Sequence[float]) -> Sample:
    """Raises ValueError for no value, or one that is not finite."""
    if not values or not all(math.isfinite(value) for value in values):
        raise ValueError(f"subgroup {subgroup}: {'a value is not finite' if values else 'no value'}")
    n, mean = len(values), math.fsum(values) / len(values)
    sd = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (n - 1)) if n > 1 else None
    return Sample(subgroup=subgroup, n=n, mean=mean, sd=sd, span=max(values) - min(values))


def c4(n: int) -> float:
    """Mean of a standard deviation of n values, over sigma. n >= 2."""
    return math.sqrt(2 / (n - 1)) * math.exp(math.lgamma(n / 2) - math.lgamma((n - 1) / 2))


def fit_individuals(samples: Sequence[Sample], removed: Sequence[Removal] = (), d2: float = D2) -> VariableLimits:
    """I-MR limits of subgroups of one value each (or of subgroup means that are charted as individuals), in their order.

    d2: 1.128 as in the tables, or D2_EXACT. Raises NoLimits for fewer than two, or where no two neighbours differ.
    """
    kept = _kept(samples, removed)
    values = [one.mean for one in kept]
    if len(values) < 2:
        raise NoLimits("a moving range needs two subgroups")
    mr = math.fsum(abs(b - a) for a, b in pairwise(values)) / (len(values) - 1)
    return _limits("i_mr", math.fsum(values) / len(values), mr / d2, "mr", kept, removed, d2)


def fit_samples(samples: Sequence[Sample], removed: Sequence[Removal] = (), method: Sigma = "sbar") -> VariableLimits:
    """Xbar-S limits; sizes may differ, subgroups of one value say nothing of sigma.

    method: see `sigma_within`. Raises NoLimits where no subgroup has two values, or sigma is 0.
    """
    kept = _kept(samples, removed)
    center = math.fsum(one.n * one.mean for one in kept) / sum(one.n for one in kept)
    return _limits("xbar_s", center, sigma_within(kept, method), method, kept, removed, D2)


def sigma_within(samples: Sequence[Sample], method: Sigma) -> float:
    """Sigma within subgroups of two values or more.

    `pooled`: root of the pooled variance. `sbar`: S / c4, `rbar`: R / d2 (two to ten values), weighted by their precision where
    sizes differ (I. Burr, J. Quality Technology 1 (1969) 163), which is the plain mean where they do not. Raises NoLimits.
    """
    several = [one for one in samples if one.n > 1 and one.sd is not None]
    if not several:
        raise NoLimits("no subgroup has two measurements: chart individuals (i_mr)")
    if method == "pooled":
        return math.sqrt(math.fsum((one.n - 1) * (one.sd or 0) ** 2 for one in several) / sum(one.n - 1 for one in several))
    pairs = [_estimate(one, method) for one in several]
    return math.fsum(weight * sigma for weight, sigma in pairs) / math.fsum(weight for weight, _ in pairs)


def precision(n: int, method: Sigma) -> float:
    """One over the variance, in sigma squared, of the sigma that a subgroup of n values gives."""
    if method == "pooled":
        return 2.0 * (n - 1)
    if method == "sbar":
        return c4(n) ** 2 / (1 - c4(n) ** 2)
    if method != "rbar" or n not in RANGE:
        raise NoLimits(f"sigma by {method} of {n} values: take sbar or pooled")
    mean, sd = RANGE[n]
    return (mean / sd) ** 2


def _estimate(one: Sample, method: Sigma) -> tuple[float, float]:
    """(weight, sigma) of one subgroup."""
    weight = precision(one.n, method)
    if method == "sbar":
        return weight, (one.sd or 0) / c4(one.n)
    if one.span is None:
        raise NoLimits(f"subgroup {one.subgroup} has no range: take sbar or pooled")
    return weight, one.span / RANGE[one.n][0]


def _kept(samples: Sequence[Sample], removed: Sequence[Removal]) -> list[Sample]:
    without = {one.subgroup for one in removed}
    if unknown := without - {one.subgroup for one in samples}:
        raise ValueError(f"removed, but not among the subgroups: {', '.join(sorted(unknown))}")
    kept = [one for one in samples if one.subgroup not in without]
    if not kept:
        raise NoLimits("no subgroup is left")
    return kept


def _limits(
    chart: VariableChart,
    center: float,
    sigma: float,
    method: Sigma,
    kept: Sequence[Sample],
    removed: Sequence[Removal],
    d2: float,
) -> VariableLimits:
    if sigma == 0:
        raise NoLimits("the measurements do not scatter: no limits; does the gauge resolve them?")
    names = tuple(one.subgroup for one in kept)
    return VariableLimits(chart=chart, center=center, sigma=sigma, method=method, d2=d2, subgroups=names, removed=tuple(removed))


def location_z(limits: VariableLimits, n: int, mean: float) -> float:
    """Distance of a mean of n values (of an individual: 1) from the centre in its standard deviations."""
    return (mean - limits.center) / (limits.sigma / math.sqrt(_size(limits, n)))


def location_limits(limits: VariableLimits, n: int) -> Drawn:
    """Of a mean of n values; on i_mr charts of a point."""
    reach = limits.k_sigma * limits.sigma / math.sqrt(_size(limits, n))
    return Drawn(center=limits.center, lcl=limits.center - reach, ucl=limits.center + reach)


def _size(limits: VariableLimits, n: int) -> int:
    return n if limits.chart == "xbar_s" else 1


def spread_limits(limits: VariableLimits, n: int) -> Drawn:
    """Of the standard deviation of n >= 2 values, or on i_mr charts of a moving range whatever n. Rule 1 alone is for it."""
    mean, sd = _spread(limits, n)
    reach = limits.k_sigma * sd
    return Drawn(center=mean, lcl=max(0.0, mean - reach), ucl=mean + reach)


def spread_z(limits: VariableLimits, n: int, spread: float) -> float:
    """Distance of a standard deviation (or moving range) from its centre in its own standard deviations; beyond 3 is rule 1."""
    mean, sd = _spread(limits, n)
    return (spread - mean) / sd


def _spread(limits: VariableLimits, n: int) -> tuple[float, float]:
    """(mean, standard deviation) of the spread. Raises ValueError for one value on an xbar_s chart: it has no spread."""
    if limits.chart == "i_mr":
        d3 = limits.d2 * (D4 - 1) / 3 if limits.d2 == D2 else _D3_EXACT
        return limits.d2 * limits.sigma, d3 * limits.sigma
    if n < 2:
        raise ValueError("one measurement has no standard deviation")
    return c4(n) * limits.sigma, math.sqrt(1 - c4(n) ** 2) * limits.sigma
