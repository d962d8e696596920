"""The in-control run length of a chart as it is published: in subgroups, whatever its points are. Knows no stream."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import median_low

from schemas.spc import CharacteristicV1
from streams.monitors.spc.facts import Lite
from streams.monitors.spc.kinds import Fitted, attribute, attribute_limits, gaps_of, known_rules


def in_control(one: CharacteristicV1, limits: Fitted, sizes: Sequence[float], history: Sequence[Lite]) -> float | None:
    """Mean subgroups between two false signals of the rule set, limits taken as known; None where none can come.

    sizes: of the points so far; the middle one counts. history: subgroups, for how many points of gaps come in one.
    """
    if not sizes:
        return None
    from streams.monitors.spc.arl import arl0, arl_measured, arl_times  # loads scipy: not before there are limits

    rules, found = known_rules(one), math.inf
    if attribute(one) is not None:
        found = arl0(attribute_limits(one, limits), median_low(sizes), rules)
    elif one.of == "measurement":
        found = arl_measured(rules, k_sigma=one.k_sigma)
    elif gaps := sum(len(subgroup.gaps) for subgroup in history):
        points = gaps_of(limits).arl0 if one.chart == "g" else arl_times(rules, k_sigma=one.k_sigma)
        found = points * len(history) / gaps
    return found if math.isfinite(found) else None


def spread_in_control(one: CharacteristicV1, size: int) -> float | None:
    """The same of the chart of scatter, at this size of subgroups; None where no false signal can come."""
    from streams.monitors.spc.arl_spread import arl_deviation, arl_moving_range  # as above

    found = arl_deviation(size, one.k_sigma) if one.chart == "xbar_s" else arl_moving_range(one.k_sigma)
    return found if math.isfinite(found) else None
