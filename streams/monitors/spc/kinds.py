"""Every kind of chart behind one question each: which points does a subgroup give, what limits follow, how far off is a point.

A point is JSON-ready; fitted limits are numbers with the subgroups they are made of. Rules act on a point's `scaled` z. Charts of
gaps have a point per nonconforming part, all others one per subgroup.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import NamedTuple, get_args

from schemas.spc import CharacteristicV1, LimitsAtV1, RuleSet
from streams.monitors.spc.attributes import (
    CHARTS,
    D2,
    K_SIGMA,
    AttributeChart,
    AttributeLimits,
    Count,
    NoLimits,
    band,
    rules_z,
    z_of,
)
from streams.monitors.spc.attributes import plotted as plotted_count
from streams.monitors.spc.facts import Lite
from streams.monitors.spc.part import measure_name
from streams.monitors.spc.phase_one import fit_attributes
from streams.monitors.spc.rare import GapLimits, gap_limits, gap_signal, scaled
from streams.monitors.spc.rules import RuleSet as KnownRules
from streams.monitors.spc.variables import (
    Sample,
    Sigma,
    VariableLimits,
    fit_individuals,
    fit_samples,
    location_limits,
    location_z,
    spread_limits,
    spread_z,
)

_SIZES = 20


class Point(NamedTuple):
    """value: what is drawn; size: units, values, or gaps behind it. z: plain; scaled: the chart's limit is at 3.

    None where this subgroup has no point.
    """

    value: float
    size: float
    z: float | None
    scaled: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """Limits as numbers. used: numbers of the subgroups they are made of; k: how many points; removed: number and reason."""

    center: float
    sigma: float | None = None
    sigma_z: float | None = None
    method: str
    constants: dict[str, float] = field(default_factory=dict)
    used: tuple[int, ...] = ()
    k: int = 0
    removed: tuple[tuple[int, str], ...] = ()


def rule_set(one: CharacteristicV1) -> RuleSet:
    """As published: limits of gaps are probabilities, beyond them or not is all that can be asked."""
    return "probability" if one.chart == "g" else one.rule_set


def known_rules(one: CharacteristicV1) -> KnownRules:
    found = rule_set(one)
    return "nelson_1" if found == "probability" else found


def attribute(one: CharacteristicV1) -> AttributeChart | None:
    return next((chart for chart in CHARTS if chart == one.chart), None)


def values(one: CharacteristicV1, subgroup: Lite) -> list[Count] | list[Sample]:
    """The points of a subgroup as counts, or as samples of measurements and gaps; none where it has none."""
    name = str(subgroup.number)
    if one.of == "measurement":
        assert one.quantity is not None
        found = subgroup.measures.get(measure_name(one.quantity, one.label))
        return [] if found is None or not found.n else [Sample(subgroup=name, n=found.n, mean=found.mean, sd=found.sd)]
    if one.chart in ("g", "t"):
        gaps = [float(good) if one.chart == "g" else time for good, time in subgroup.gaps]
        return [Sample(subgroup=f"{name}.{i}", n=1, mean=gap, sd=None) for i, gap in enumerate(gaps)]
    if one.of == "nonconforming":
        return [Count(subgroup=name, count=subgroup.bad, size=subgroup.n)] if subgroup.n else []
    if one.of == "class":
        return [Count(subgroup=name, count=subgroup.defects.get(one.label or "", 0), size=subgroup.n)] if subgroup.n else []
    if not subgroup.units:
        return []
    count = sum(subgroup.instances.values()) if one.label is None else subgroup.instances.get(one.label, 0)
    return [Count(subgroup=name, count=count, size=1 if one.chart == "c" else subgroup.units)]


def size_of(value: Count | Sample) -> float:
    return value.size if isinstance(value, Count) else value.n


def fit(one: CharacteristicV1, history: Sequence[Lite], removed: Sequence[tuple[int, str]] = ()) -> Fitted:
    """Limits from these subgroups, those removed left out. Raises NoLimits."""
    gone = {number for number, _ in removed}
    kept = [subgroup for subgroup in history if subgroup.number not in gone]
    found = [value for subgroup in kept for value in values(one, subgroup)]
    made = _fit(one, [v for v in found if isinstance(v, Count)], [v for v in found if isinstance(v, Sample)])
    used = tuple(subgroup.number for subgroup in kept if values(one, subgroup))
    return replace(made, used=used, removed=tuple(pair for pair in removed if pair[0] in {h.number for h in history}))


def _fit(one: CharacteristicV1, counts: list[Count], samples: list[Sample]) -> Fitted:
    chart = attribute(one)
    if chart is not None:
        made = fit_attributes(chart, counts)
        method = "laney_2002" if chart in ("laney_p", "laney_u") else "shewhart"
        constants = {"d2": made.d2}
        return Fitted(center=made.center, sigma_z=made.sigma_z, method=method, constants=constants, k=len(counts))
    if one.chart == "g":
        gaps = [round(sample.mean) for sample in samples]
        if len(gaps) < 2 or not sum(gaps):
            raise NoLimits(f"{len(gaps)} gaps between nonconforming parts give no limits")
        rate = len(gaps) / (sum(gaps) + len(gaps))
        return Fitted(center=1 / rate - 1, method="geometric", constants={"alpha": gap_limits(rate).alpha}, k=len(gaps))
    if one.chart == "xbar_s":
        found = fit_samples(samples)
        return Fitted(center=found.center, sigma=found.sigma, method=found.method, k=len(samples))
    if one.chart == "t":
        samples = [replace(sample, mean=scaled(sample.mean)) for sample in samples]
    found = fit_individuals(samples)
    method = "nelson_1994" if one.chart == "t" else found.method
    return Fitted(center=found.center, sigma=found.sigma, method=method, constants={"d2": D2}, k=len(samples))


def points(one: CharacteristicV1, limits: Fitted, subgroup: Lite) -> list[Point]:
    """Of one subgroup, held against limits."""
    return [_counted(one, limits, v) if isinstance(v, Count) else _sampled(one, limits, v) for v in values(one, subgroup)]


def _counted(one: CharacteristicV1, limits: Fitted, count: Count) -> Point:
    made = attribute_limits(one, limits)
    z = z_of(made, count)
    return Point(plotted_count(made.chart, count) or 0.0, count.size, z, rules_z(made, z))


def _sampled(one: CharacteristicV1, limits: Fitted, sample: Sample) -> Point:
    if one.chart == "g":
        side = gap_signal(gaps_of(limits), round(sample.mean))
        return Point(sample.mean, 1, None, {"high": 4.0, "low": -4.0, None: 0.0}[side])
    made = variable_limits(one, limits)
    z = location_z(made, sample.n, scaled(sample.mean) if one.chart == "t" else sample.mean)
    if one.chart == "t":
        z = -z  # a short time is a high rate
    return Point(sample.mean, sample.n, z, z * K_SIGMA / one.k_sigma)


def scatter(one: CharacteristicV1, limits: Fitted, subgroup: Lite, last: float | None) -> Point | None:
    """On the chart of scatter that belongs to a chart of measurements. last: `scaled` of the point before, on the chart itself.

    None on other charts, without a point before (i_mr) or a second value (xbar_s).
    """
    if one.of != "measurement":
        return None
    made = variable_limits(one, limits)
    for sample in values(one, subgroup):
        assert isinstance(sample, Sample)
        size = _sampled(one, limits, sample).scaled
        if one.chart == "i_mr" and last is not None and size is not None:
            value = abs(size - last) * (one.k_sigma / K_SIGMA) * made.sigma
        elif one.chart == "xbar_s" and sample.sd is not None:
            value = sample.sd
        else:
            continue
        z = spread_z(made, sample.n, value)
        return Point(value, sample.n, z, z * K_SIGMA / one.k_sigma)
    return None


def attribute_limits(one: CharacteristicV1, limits: Fitted) -> AttributeLimits:
    chart = attribute(one)
    assert chart is not None
    return AttributeLimits(
        chart=chart,
        center=limits.center,
        sigma_z=limits.sigma_z,
        d2=limits.constants["d2"],
        subgroups=tuple(map(str, range(limits.k))),
        k_sigma=one.k_sigma,
    )


def variable_limits(one: CharacteristicV1, limits: Fitted) -> VariableLimits:
    method: Sigma = next((known for known in get_args(Sigma) if known == limits.method), "mr")
    return VariableLimits(
        chart="xbar_s" if one.chart == "xbar_s" else "i_mr",
        center=limits.center,
        sigma=limits.sigma or 0.0,
        method=method,
        d2=limits.constants.get("d2", D2),
        subgroups=(),
        k_sigma=one.k_sigma,
    )


def gaps_of(limits: Fitted) -> GapLimits:
    return gap_limits(1 / (limits.center + 1), limits.constants["alpha"], limits.k)


def at_sizes(one: CharacteristicV1, limits: Fitted, sizes: Iterable[float]) -> tuple[LimitsAtV1, ...]:
    """Limits in the unit that is drawn, at no more than 20 of these sizes, the extreme ones among them."""
    if one.chart == "g":
        found = gaps_of(limits)
        worse, better = float(found.worse), float(found.better)
        return (LimitsAtV1(n=1, lcl=worse, ucl=better, plain_lcl=worse, plain_ucl=better),)
    chosen = spread_out(sorted({size for size in sizes if size > 0}))
    return tuple(_at(one, limits, size) for size in ([1.0] if one.chart in ("t", "i_mr") else chosen))


def drawn_center(one: CharacteristicV1, limits: Fitted, size: float) -> float:
    """In the unit that is drawn: np charts are counts, t charts seconds."""
    if one.chart == "np":
        return limits.center * size
    return max(0.0, limits.center) ** 3.6 if one.chart == "t" else limits.center


def _at(one: CharacteristicV1, limits: Fitted, size: float) -> LimitsAtV1:
    if attribute(one) is not None:
        at = band(attribute_limits(one, limits), size)
        return LimitsAtV1(n=size, lcl=at.lcl, ucl=at.ucl, plain_lcl=at.plain_lcl, plain_ucl=at.plain_ucl)
    drawn = location_limits(variable_limits(one, limits), round(size))
    lcl, ucl = drawn.lcl, drawn.ucl
    if one.chart == "t":
        lcl, ucl = max(0.0, lcl) ** 3.6, ucl**3.6
    return LimitsAtV1(n=size, lcl=lcl, ucl=ucl, plain_lcl=lcl, plain_ucl=ucl)


def spread(one: CharacteristicV1, limits: Fitted, size: int) -> tuple[float, float, float] | None:
    """Centre and limits of the chart of scatter that belongs to a chart of measurements."""
    if one.of != "measurement" or (one.chart == "xbar_s" and size < 2):
        return None
    drawn = spread_limits(variable_limits(one, limits), size)
    return drawn.center, drawn.lcl, drawn.ucl


def spread_out(sizes: Sequence[float]) -> list[float]:
    if len(sizes) <= _SIZES:
        return list(sizes)
    step = (len(sizes) - 1) / (_SIZES - 1)
    return [sizes[round(i * step)] for i in range(_SIZES)]


def ranges(numbers: Sequence[int]) -> list[tuple[int, int]]:
    """Runs of successive numbers, as first and last."""
    if not numbers:
        return []
    cuts = [0, *(i for i, (a, b) in enumerate(pairwise(numbers), 1) if b != a + 1), len(numbers)]
    return [(numbers[a], numbers[b - 1]) for a, b in pairwise(cuts)]
