"""From subgroups to limits (phase I). A removal has a recorded cause; `propose` only names candidates."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from itertools import pairwise

from streams.monitors.spc.attributes import (
    D2,
    SHARES,
    AttributeChart,
    AttributeLimits,
    Count,
    NoLimits,
    Removal,
    checked,
    z_at,
    z_of,
)

FEWEST = 25  # subgroups: fewer give limits with three times the nominal false alarms in one case of ten
_TOUCHES = 1e-9  # of a z: rounding must not carry a point that lies on a limit over it


def fit_attributes(
    chart: AttributeChart, counts: Sequence[Count], removed: Sequence[Removal] = (), d2: float = D2
) -> AttributeLimits:
    """Centre and sigma-Z of the subgroups in their order, without the removed ones and those without a part.

    d2: 1.128 as in Laney's paper, or D2_EXACT. Raises NoLimits where nothing is left, an np chart's sizes differ, or no unit
    (or every unit) is bad; ValueError for an impossible count, a name given twice, a removal that names no subgroup here.
    """
    kept = _kept(chart, counts, removed)
    center = math.fsum(one.count for one in kept) / math.fsum(one.size for one in kept)
    if center == 0 or (chart in SHARES and center == 1):
        raise NoLimits(
            f"{'no' if center == 0 else 'every'} unit of {len(kept)} subgroups is bad: no limits; use larger subgroups or g"
        )
    zs = [z for one in kept if (z := z_at(chart, center, one)) is not None]
    return AttributeLimits(
        chart=chart,
        center=center,
        sigma_z=sigma_z(zs, d2) if len(zs) > 1 else None,
        d2=d2,
        subgroups=tuple(one.subgroup for one in kept),
        removed=tuple(removed),
    )


def _kept(chart: AttributeChart, counts: Sequence[Count], removed: Sequence[Removal]) -> list[Count]:
    names = [one.subgroup for one in counts]
    without = {removal.subgroup for removal in removed}
    if len(set(names)) < len(names):
        raise ValueError("a subgroup is named twice")
    if unknown := without - set(names):
        raise ValueError(f"removed, but not among the subgroups: {', '.join(sorted(unknown))}")
    kept = [one for one in counts if checked(chart, one).size > 0 and one.subgroup not in without]
    if not kept:
        raise NoLimits("no subgroup with a part is left")
    if chart == "np" and len({one.size for one in kept}) > 1:
        raise NoLimits("an np chart needs subgroups of one size: use p")
    return kept


def sigma_z(zs: Sequence[float], d2: float = D2) -> float:
    """Laney's sigma-Z: the mean moving range of z over d2; 1 where chance alone scatters. Needs two values (ValueError)."""
    if len(zs) < 2:
        raise ValueError("sigma-Z needs two subgroups")
    return math.fsum(abs(b - a) for a, b in pairwise(zs)) / (len(zs) - 1) / d2


def beyond(limits: AttributeLimits, counts: Sequence[Count]) -> tuple[str, ...]:
    """The subgroups strictly beyond their limits: a point on a limit is inside."""
    reach = limits.k_sigma * limits.width + _TOUCHES
    return tuple(one.subgroup for one in counts if (z := z_of(limits, one)) is not None and abs(z) > reach)


def propose(chart: AttributeChart, counts: Sequence[Count], removed: Sequence[Removal] = (), d2: float = D2) -> tuple[str, ...]:
    """Subgroups to look for a cause of, in order: those beyond the limits of what is left, and again without them until none is.

    A proposal only: limits change when a person removes one with its reason.
    """
    found: list[Removal] = list(removed)
    while more := _next(chart, counts, found, d2):
        found += [Removal(subgroup=name, reason="proposed") for name in more]
    return tuple(one.subgroup for one in found[len(removed) :])


def _next(chart: AttributeChart, counts: Sequence[Count], removed: Sequence[Removal], d2: float) -> tuple[str, ...]:
    gone: Collection[str] = {one.subgroup for one in removed}
    try:
        limits = fit_attributes(chart, counts, removed, d2)
    except NoLimits:
        return ()
    return beyond(limits, [one for one in counts if one.subgroup not in gone])
