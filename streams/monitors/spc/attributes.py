"""Charts of counts: p, np, c, u, and Laney's p' and u' for counts that scatter more than chance alone.

A subgroup's z is its distance from the centre in the standard deviations that chance alone gives at its size; limits and rules
act on z / width, so sizes may differ from subgroup to subgroup. The width is 1 on a plain chart, sigma-Z on a primed one.
Formulas: D. Montgomery, Introduction to Statistical Quality Control; D. Laney, Quality Engineering 14 (2002) 531.
Knows no rule, no stream.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

AttributeChart = Literal["p", "np", "c", "u", "laney_p", "laney_u"]
CHARTS: tuple[AttributeChart, ...] = get_args(AttributeChart)
SHARES = frozenset({"p", "np", "laney_p"})  # charts of units that are bad or not; the others count defects
PRIMED = frozenset({"laney_p", "laney_u"})
K_SIGMA = 3.0
D2 = 1.128  # the rounded constant that Laney's paper uses: mean moving range of two over the standard deviation
D2_EXACT = 2 / math.sqrt(math.pi)
SIGMA_Z_TRUSTED = 50  # subgroups: below it sigma-Z is noise (.76 to 1.27 at 50 with no overdispersion) and never tightens a limit


class NoLimits(ValueError):
    """These subgroups give no limits: what is missing, and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """What one subgroup counted. count: bad units (p, np, laney_p) or defects (c, u, laney_u).

    size: units inspected; on u charts any area of opportunity; on c charts 1. 0 is a subgroup without a part, which has no value.
    """

    subgroup: str
    count: int
    size: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Removal:
    """A subgroup that limits were computed without, and the recorded cause."""

    subgroup: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AttributeLimits:
    """What a chart of counts was fitted to; frozen, with its provenance.

    center: bad units a unit (p, np, laney_p), defects a unit (u, laney_u) or a subgroup (c). sigma_z: as measured over
    `subgroups` (on plain charts too, where it only informs), None where there are fewer than two of them.
    """

    chart: AttributeChart
    center: float
    sigma_z: float | None
    d2: float
    subgroups: tuple[str, ...]
    removed: tuple[Removal, ...] = ()
    k_sigma: float = K_SIGMA  # 3, or what the chart's owner chose: `replace(limits, k_sigma=...)`

    @property
    def sigma_z_subgroups(self) -> int:
        return len(self.subgroups)

    @property
    def width(self) -> float:
        """What z is divided by before rules see it: 1 on a plain chart, else sigma-Z; below 1 only from 50 subgroups on.

        Of subgroups that are all equal it is 1: nothing could be divided by their sigma-Z, which is 0.
        """
        if self.chart not in PRIMED or not self.sigma_z:
            return 1.0
        return self.sigma_z if self.sigma_z_subgroups >= SIGMA_Z_TRUSTED else max(1.0, self.sigma_z)


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """Centre and limits at one size, in the unit that is drawn, clipped to what a count can be; plain: with a width of 1."""

    size: float
    center: float
    lcl: float
    ucl: float
    plain_lcl: float
    plain_ucl: float


def checked(chart: AttributeChart, count: Count) -> Count:
    """Raises ValueError for a count that this chart cannot have: more bad units than units, a c chart of another size than 1."""
    where = f"subgroup {count.subgroup}"
    if count.count < 0 or not (math.isfinite(count.size) and count.size >= 0):
        raise ValueError(f"{where}: {count.count} on {count.size:g} units is no count")
    if count.size == 0 and count.count > 0:
        raise ValueError(f"{where}: {count.count} counted on no unit")
    if chart in SHARES and count.count > count.size:
        raise ValueError(f"{where}: {count.count} bad of {count.size:g} units; a chart of defects is u or laney_u")
    if chart == "c" and count.size not in (0, 1):
        raise ValueError(f"{where}: size {count.size:g}; a c chart has equal opportunities of size 1, use u")
    return count


def plotted(chart: AttributeChart, count: Count) -> float | None:
    """What is drawn: a share (p, laney_p), a count (np, c), defects a unit (u, laney_u). None for a subgroup without a part."""
    if count.size == 0:
        return None
    return float(count.count) if chart in ("np", "c") else count.count / count.size


def sigma_at(chart: AttributeChart, center: float, size: float) -> float:
    """Standard deviation, by chance alone, of the count over its size. size > 0."""
    return math.sqrt(center * (1 - center) / size) if chart in SHARES else math.sqrt(center / size)


def z_at(chart: AttributeChart, center: float, count: Count) -> float | None:
    """Distance from the centre in standard deviations of chance. None for a subgroup without a part.

    Raises NoLimits where the centre is 0 or all: chance has no standard deviation there.
    """
    if count.size == 0:
        return None
    sigma = sigma_at(chart, center, count.size)
    if sigma == 0:
        raise NoLimits(
            f"a centre of {center:g} has no limits on a {chart} chart: chart the parts between two bad ones (g) instead"
        )
    return (count.count / count.size - center) / sigma


def z_of(limits: AttributeLimits, count: Count) -> float | None:
    """The plain z of a subgroup, which is published. None for a subgroup without a part. Rules act on `rules_z` of it."""
    return z_at(limits.chart, limits.center, checked(limits.chart, count))


def rules_z(limits: AttributeLimits, z: float | None) -> float | None:
    """z / width, on the scale on which this chart's limit is 3."""
    return None if z is None else z / limits.width * (K_SIGMA / limits.k_sigma)


def band(limits: AttributeLimits, size: float) -> Band:
    """Limits for a subgroup of this size. Raises ValueError for a size of 0: there is nothing to draw."""
    if not size > 0:
        raise ValueError(f"limits at size {size:g}: a subgroup without a part has none")
    scale = size if limits.chart in ("np", "c") else 1.0
    most = scale if limits.chart in SHARES else math.inf
    center, sigma = limits.center * scale, sigma_at(limits.chart, limits.center, size) * scale
    wide, plain = limits.k_sigma * sigma * limits.width, limits.k_sigma * sigma
    return Band(
        size=size,
        center=center,
        lcl=max(0.0, center - wide),
        ucl=min(most, center + wide),
        plain_lcl=max(0.0, center - plain),
        plain_ucl=min(most, center + plain),
    )
