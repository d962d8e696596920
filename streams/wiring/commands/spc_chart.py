"""Control charts drawn: subgroups with limits, stages and signals. Takes messages, judges nothing."""

from __future__ import annotations

from collections.abc import Sequence

from schemas.spc import CharacteristicV1, LimitsAtV1, LimitsV1, PlanV1, SignalV1, SubgroupV1
from streams.monitors.spc.kinds import at_sizes
from streams.monitors.spc.plans import default_series
from streams.wiring.adapters.spc import Charted
from streams.wiring.charts.axis import Axis, axis
from streams.wiring.charts.page import page
from streams.wiring.charts.svg import Chart
from streams.wiring.report.process import fitted_of

_POINTS, _CENTRE, _WIDE, _PLAIN, _SIGNAL, _CARRIED = 0, 2, 1, 6, 3, 4
_SHARES = ("p", "laney_p")


def whole(key: Sequence[str], found: Charted, plan: PlanV1 | None, most: int) -> str:
    """A page with a chart for each characteristic that has limits."""
    charts = [control(key, found, name, plan, most).svg() for name in found.characteristics()]
    heads = ("at (UTC)", "characteristic", "rule", "to", "value", "phase", "status")
    rows = [_row(one) for one in found.signals.values() if not one.again]
    lines = (
        f"{len(found.subgroups)} subgroups, {len(found.stages)} stages, {len(found.open_signals())} open signals.",
        *(_said(one) for one in found.limits.values()),
    )
    return page(f"Control charts of {', '.join(key)}", lines, charts, [heads, *rows] if rows else ())


def control(key: Sequence[str], found: Charted, characteristic: str, plan: PlanV1 | None, most: int) -> Chart:
    """The newest `most` subgroups. Raises ValueError where none has a point."""
    limits = [one for one in found.limits.values() if one.characteristic == characteristic]
    shown = list(found.subgroups.values())[-most:]
    places = {one.subgroup_id: index + 1 for index, one in enumerate(shown)}
    drawn = [(places[one.subgroup_id], value, one) for one in shown if (value := plotted(one, limits[-1], plan)) is not None]
    if not drawn:
        raise ValueError(f"{characteristic}: no subgroup has a point")
    signals = {one.subgroup_id for one in found.open_signals(characteristic)}
    chart = Chart(
        title=f"{characteristic}, {limits[-1].chart}: {key[1]} at {key[0]}",
        about=f"{len(drawn)} subgroups, {len(signals & set(places))} with open signals; {_said(limits[-1])}",
        x=Axis(label="subgroup", low=0, high=len(shown) + 1),
        y=_y(limits, drawn),
        height=320,
    )
    for one in limits:
        sizes = [(place, size_of(sub, one, plan)) for place, _, sub in drawn if sub.stage_id == one.stage_id]
        if sizes and one.at_n:
            _bounds(chart, one, sizes, [at_size(one, size, plan) for _, size in sizes])
    for stage_id in dict.fromkeys(sub.stage_id for _, _, sub in drawn):
        mine = [(place, value) for place, value, sub in drawn if sub.stage_id == stage_id]
        chart.line([place for place, _ in mine], [value for _, value in mine], "", _POINTS)
    calm = [(place, value) for place, value, sub in drawn if sub.subgroup_id not in signals]
    loud = [(place, value) for place, value, sub in drawn if sub.subgroup_id in signals]
    chart.points([place for place, _ in calm], [value for _, value in calm], "subgroup", _POINTS)
    if loud:
        chart.points([place for place, _ in loud], [value for _, value in loud], "signal", _SIGNAL)
    return _stages(chart, found, shown)


def plotted(one: SubgroupV1, limits: LimitsV1, plan: PlanV1 | None) -> float | None:
    """What the chart shows of a subgroup; None where it has no point, and for charts of gaps, which have several."""
    what = _definition(limits, plan)
    measured = next((m for m in one.characteristics if what is not None and m.name == _measure(what)), None)
    match limits.chart:
        case "p" | "laney_p" | "np":
            count = one.nonconforming if what is None or what.of == "nonconforming" else one.defects.get(what.label or "", 0)
            return None if not one.n else count if limits.chart == "np" else count / one.n
        case "u" | "laney_u" | "c":
            label = None if what is None else what.label
            defects = sum(one.instances.values()) if label is None else one.instances.get(label, 0)
            return None if not one.units else defects if limits.chart == "c" else defects / one.units
        case "i_mr" | "xbar_s":
            return None if measured is None else measured.mean
    return float(one.gaps[-1]) if limits.chart == "g" and one.gaps else one.gap_s[-1] if one.gap_s else None


def size_of(one: SubgroupV1, limits: LimitsV1, plan: PlanV1 | None) -> float:
    """What the limits of this subgroup follow from."""
    if limits.chart == "xbar_s":
        what = _definition(limits, plan)
        return next((m.n for m in one.characteristics if what is not None and m.name == _measure(what)), 1)
    if limits.chart in (*_SHARES, "np"):
        return one.n
    return one.units if limits.chart in ("u", "laney_u") else 1


def at_size(limits: LimitsV1, size: float, plan: PlanV1 | None) -> LimitsAtV1:
    """Limits for a subgroup of this size. Where the plan has the chart no more: those of the nearest size that was published."""
    what = _definition(limits, plan)
    if what is None or what.chart != limits.chart or size <= 0:
        return min(limits.at_n, key=lambda at: abs(at.n - size))
    return at_sizes(what, fitted_of(limits), [size])[0]


def _definition(limits: LimitsV1, plan: PlanV1 | None) -> CharacteristicV1 | None:
    """Of the limits' own series; of the default one where nobody planned it."""
    label = limits.characteristic.removeprefix("class-")
    planned = plan.series if plan is not None else ()
    series = (*(one for one in planned if one.series == limits.series), *default_series((label,), ("length",)))
    return next((one for some in series for one in some.characteristics if one.name == limits.characteristic), None)


def _measure(what: CharacteristicV1) -> str:
    return str(what.quantity) if what.label is None else f"{what.quantity}-{what.label}"[:63]


def _bounds(chart: Chart, limits: LimitsV1, sizes: Sequence[tuple[int, float]], bands: Sequence[LimitsAtV1]) -> None:
    """Centre and limits over the subgroups of their stage, in steps where sizes differ."""
    edges = [value for place, _ in sizes for value in (place - 0.5, place + 0.5)]
    scale = [size if limits.chart == "np" else 1.0 for _, size in sizes]
    twice = [(at, factor) for at, factor in zip(bands, scale, strict=True) for _ in (0, 1)]
    if limits.status == "carried":
        for ways in ([at.ucl for at, _ in twice], [at.lcl for at, _ in twice], [limits.center * f for _, f in twice]):
            chart.line(edges, ways, "of an earlier stage, not comparable", _CARRIED)
        return
    chart.line(edges, [limits.center * factor for _, factor in twice], "centre", _CENTRE)
    if any(at.plain_ucl != at.ucl for at in bands):
        chart.line(edges, [at.plain_ucl for at, _ in twice], "plain limits", _PLAIN)
        chart.line(edges, [at.plain_lcl for at, _ in twice], "plain limits", _PLAIN)
    chart.line(edges, [at.ucl for at, _ in twice], "limits", _WIDE)
    chart.line(edges, [at.lcl for at, _ in twice], "limits", _WIDE)


def _stages(chart: Chart, found: Charted, shown: Sequence[SubgroupV1]) -> Chart:
    begins = {one.stage_id: one for one in found.stages}
    for index, one in enumerate(shown):
        if index and one.stage_id != shown[index - 1].stage_id and one.stage_id in begins:
            chart.mark(index + 0.5, f"new {', '.join(begins[one.stage_id].changed)}")
    return chart


def _y(limits: Sequence[LimitsV1], drawn: Sequence[tuple[int, float, SubgroupV1]]) -> Axis:
    chart = limits[-1].chart
    label = {"np": "nonconforming parts", "c": "defects", "u": "defects a part", "laney_u": "defects a part"}.get(chart)
    label = label or ("share of the parts" if chart in _SHARES else "good parts between" if chart == "g" else "mean")
    values = [value for _, value, _ in drawn]
    ends = [end for one in limits for at in one.at_n for end in (at.lcl, at.ucl)]
    return axis(label, [*values, *ends], least=[] if chart in ("i_mr", "xbar_s") else [0.0])


def _said(one: LimitsV1) -> str:
    sigma = "" if one.sigma_z is None else f", sigma-Z {one.sigma_z:.2f} of {one.sigma_z_subgroups} subgroups"
    false = "" if one.arl0_subgroups is None else f"; a false signal every {one.arl0_subgroups:,.0f} subgroups"
    by = f", approved by {one.provenance.approved_by}" if one.provenance.approved_by else ""
    return (
        f"{one.characteristic}: {one.status} limits of {one.provenance.n} subgroups{by}, centre {one.center:.4g}{sigma}{false}."
    )


def _row(one: SignalV1) -> tuple[str, ...]:
    when = f"{one.at:%Y-%m-%d %H:%M:%S}"
    return when, one.characteristic, one.rule, one.direction, f"{one.value:.4g}", one.phase, one.status
