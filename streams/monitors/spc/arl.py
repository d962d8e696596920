"""Mean points between false signals of a chart with its rule set (arl0), and to a signal after a change (arl1): computed.

Limits are taken as known: those fitted on 25 subgroups signal falsely up to three times as often. A primed chart's counts are
taken as beta-binomial or negative binomial with the scatter that its sigma-Z measured. Knows charts, no stream. Loads scipy.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaln, gammaln, ndtr, xlog1py, xlogy

from streams.monitors.spc.attributes import D2, K_SIGMA, SHARES, AttributeChart, AttributeLimits, sigma_at
from streams.monitors.spc.chain import ORDERED, Places, mean_run_length, places
from streams.monitors.spc.rules import RULE_SETS, RuleSet, rules_for

Floats = NDArray[np.float64]
_REACH = 12.0  # standard deviations of counts that are looked at
_CELLS = 60  # of a measurement, in each sigma
_MOST_COUNTS = 400  # places for rules of order; more counts share cells
_NELSON = 3.6
_MEAN = math.gamma(1 + 1 / _NELSON)
_SIGMA = 2 * _MEAN * (1 - 2 ** (-1 / _NELSON)) / D2  # of Nelson's scale, as the moving range measures it


def arl0(limits: AttributeLimits, size: float, rule_set: RuleSet) -> float:
    """Mean subgroups of this size between two false signals; infinite where none can come. Raises ValueError for zone rules."""
    return arl1(limits, size, rule_set, limits.center)


def arl1(limits: AttributeLimits, size: float, rule_set: RuleSet, rate: float) -> float:
    """Mean subgroups of this size to the first signal, from a start at this true rate (in the unit of `limits.center`)."""
    rules_for(rule_set, counts=True)
    return _counts(limits.chart, limits.center, limits.width, limits.k_sigma, size, rate, rule_set)


@functools.lru_cache(maxsize=256)
def arl_measured(rule_set: RuleSet, shift: float = 0.0, k_sigma: float = K_SIGMA) -> float:
    """Of means or individuals that are normal; shift: of the mean, in standard deviations of what is drawn. Spread is not in."""
    return mean_run_length(_cells(lambda z: float(ndtr(z * k_sigma / K_SIGMA - shift))), RULE_SETS[rule_set])


@functools.lru_cache(maxsize=256)
def arl_times(rule_set: RuleSet, faster: float = 1.0, k_sigma: float = K_SIGMA) -> float:
    """Of a t chart, in bad parts, where the times are exponential; faster: factor of the rate of defects."""

    def below(z: float) -> float:
        y = max(0.0, _MEAN + z * k_sigma / K_SIGMA * _SIGMA)
        return -math.expm1(-faster * y**_NELSON)

    return mean_run_length(_cells(below), rules_for(rule_set, counts=True))


@functools.lru_cache(maxsize=4096)
def _counts(
    chart: AttributeChart, center: float, width: float, k_sigma: float, size: float, rate: float, rule_set: RuleSet
) -> float:
    counts, shares = _distribution(chart, center, width, size, rate)
    zs = (counts / size - center) / (sigma_at(chart, center, size) * width) * (K_SIGMA / k_sigma)
    where = places(zs.tolist(), shares.tolist(), level=1.0)
    if ORDERED.intersection(RULE_SETS[rule_set]):
        where = _narrowed(where)
    return mean_run_length(where, RULE_SETS[rule_set])


def _cells(below: Callable[[float], float]) -> Places:
    """Cells of a continuous distribution, none across a line of the rules. below: its distribution function on their scale."""
    edges = np.linspace(-3, 3, 6 * _CELLS + 1)
    upto = np.array([0.0, *(below(float(edge)) for edge in edges), 1.0])
    middles = np.array([-4.0, *(edges[:-1] + edges[1:]) / 2, 4.0])
    return places(middles.tolist(), np.diff(upto).tolist(), level=0.0)


def _distribution(chart: AttributeChart, center: float, width: float, size: float, rate: float) -> tuple[Floats, Floats]:
    """Counts that can come at this rate and their shares. The scatter beyond chance is the one that `width` is at the centre."""
    share = chart in SHARES
    mean = rate * size
    spread = math.sqrt(mean * (1 - rate) if share else mean) * max(1.0, width)
    top = size if share else math.inf
    counts = np.arange(max(0, math.floor(mean - _REACH * spread)), min(top, math.ceil(mean + _REACH * spread) + 20) + 1)
    if rate <= 0 or (share and rate >= 1):
        return counts, (counts == round(mean)).astype(np.float64)
    logs = (_bad_units if share else _defects)(counts, center, max(1.0, width), size, rate)
    return counts, np.exp(np.asarray(logs, dtype=np.float64))


def _bad_units(counts: Floats, center: float, width: float, size: float, rate: float) -> Floats:
    ways: Floats = gammaln(size + 1) - gammaln(counts + 1) - gammaln(size - counts + 1)
    if width == 1 or size <= 1:
        chance: Floats = ways + xlogy(counts, rate) + xlog1py(size - counts, -rate)
        return chance
    alike = min(0.999, (width**2 - 1) / (size - 1))  # correlation of two units of a subgroup
    a, b = rate * (1 / alike - 1), (1 - rate) * (1 / alike - 1)
    scattered: Floats = ways + betaln(counts + a, size - counts + b) - betaln(a, b)
    return scattered


def _defects(counts: Floats, center: float, width: float, size: float, rate: float) -> Floats:
    mean = rate * size
    if width == 1:
        chance: Floats = xlogy(counts, mean) - mean - gammaln(counts + 1)
        return chance
    shape = center * size / (width**2 - 1)
    ways: Floats = gammaln(counts + shape) - gammaln(shape) - gammaln(counts + 1)
    scattered: Floats = ways + xlogy(counts, mean / (mean + shape)) + shape * math.log(shape / (mean + shape))
    return scattered


def _narrowed(where: Places) -> Places:
    """At most some 400 places, none across a line of the rules: neighbouring counts share one, and are seldom level there."""
    group = -(-len(where.zones) // _MOST_COUNTS)
    if group == 1:
        return where
    zones: list[int] = []
    shares: list[float] = []
    filled = group
    for zone, share in zip(where.zones, where.shares, strict=True):
        if zones and zone == zones[-1] and filled < group:
            shares[-1] += share
            filled += 1
        else:
            zones.append(zone)
            shares.append(share)
            filled = 1
    return Places(zones=tuple(zones), shares=tuple(shares), level=1 / group)
