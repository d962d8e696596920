"""SPC charts of the window, as the spc processor published them: points, limits, signals, stage breaks.

Values and limits come from `monitors/spc/kinds.py`, from the published facts and limits; no limit is computed anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from schemas.spc import CharacteristicV1, LimitsV1, PlanV1, SeriesV1, SignalV1, StageBreakV1, SubgroupV1
from streams.monitors.spc.attributes import Count, plotted
from streams.monitors.spc.facts import Lite, Measured
from streams.monitors.spc.kinds import Fitted, at_sizes, attribute, drawn_center, values
from streams.monitors.spc.plans import default_of
from streams.monitors.spc.variables import Sample
from streams.wiring.report.window import Window

_UNITS = {
    "p": "share of parts",
    "laney_p": "share of parts",
    "np": "parts",
    "c": "defects",
    "u": "defects a part",
    "laney_u": "defects a part",
    "g": "good parts between bad ones",
    "t": "s between bad parts",
}
_QUANTITIES = {"length": "mm", "width": "mm", "area": "mm2", "distance": "mm", "count": "1"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One subgroup's value. n: units behind it. center, lcl, ucl: None where its stage has no limits. rules: broken here;
    begins: those that were not broken at the subgroup before.

    here: its end lies in the window; the others are of the window before, for comparison.
    """

    subgroup: str
    at: datetime
    stage: str
    value: float
    n: float
    center: float | None
    lcl: float | None
    ucl: float | None
    rules: tuple[str, ...]
    begins: tuple[str, ...]
    here: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Break:
    """From here on another stage. changed: what the software or the set-up changed."""

    at: datetime
    changed: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """One characteristic of a station and product. unit: of the values. status, arl0_subgroups: of its newest limits, if any.

    signals: subgroups of the window that break a rule.
    """

    station: str
    product: str
    series: str
    characteristic: str
    chart: str
    unit: str
    points: tuple[Point, ...]
    breaks: tuple[Break, ...]
    status: str | None
    rule_set: str
    arl0_subgroups: float | None
    sigma_z: float | None
    sigma_z_subgroups: int | None
    signals: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """A rule that was broken in the window. phase: I is on trial limits. again: at the subgroup before, too.

    doubt: why it need not be the process; empty where nothing speaks for that.
    """

    at: datetime
    station: str
    product: str
    characteristic: str
    chart: str
    rule: str
    direction: str
    value: float
    unit: str
    phase: str
    again: bool
    doubt: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """superseded: signals of the window that a corrected subgroup took back."""

    courses: tuple[Course, ...]
    signals: tuple[Signal, ...]
    superseded: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """What spc.v1 says of the window and the one before."""

    subgroups: Sequence[SubgroupV1]
    limits: Sequence[LimitsV1]
    signals: Sequence[SignalV1]
    stages: Sequence[StageBreakV1]
    plans: Sequence[PlanV1]


def process(published: Published, window: Window) -> Process:
    ends = {one.subgroup_id: one.end for one in published.subgroups}
    here = [one for one in published.signals if window.begin <= ends.get(one.subgroup_id, one.at) < window.end]
    units = _units(published)
    courses = [course for place in _places(published.subgroups) for course in _courses(published, place, window)]
    return Process(
        courses=tuple(sorted(courses, key=lambda one: (-one.signals, one.characteristic != "nonconforming", one.station))),
        signals=tuple(_signal(one, ends, units) for one in here if one.status == "open"),
        superseded=sum(one.status == "superseded" for one in here),
    )


Place = tuple[str, str, str]


def _places(subgroups: Iterable[SubgroupV1]) -> list[Place]:
    return sorted({(one.station, one.product, one.series) for one in subgroups})


def _units(published: Published) -> dict[tuple[str, str, str, str], str]:
    return {
        (*place, one.name): unit_of(one)
        for place in _places(published.subgroups)
        for one in _series(published, place).characteristics
    }


def _series(published: Published, place: Place) -> SeriesV1:
    """As planned; the default where nobody planned, or the plan is another one by now."""
    station, product, series = place
    for plan in published.plans:
        if (plan.station, plan.product) == (station, product):
            found = next((one for one in plan.series if one.series == series), None)
            if found is not None:
                return found
    return default_of(one for one in published.subgroups if (one.station, one.product, one.series) == place)


def _courses(published: Published, place: Place, window: Window) -> list[Course]:
    mine = [one for one in published.subgroups if (one.station, one.product, one.series) == place]
    breaks = [one for one in published.stages if (one.station, one.product, one.series) == place]
    limits = [one for one in published.limits if (one.station, one.product, one.series) == place]
    signals = [one for one in published.signals if (one.station, one.product, one.series) == place and one.status == "open"]
    made = [
        _course(
            one,
            mine,
            [limit for limit in limits if limit.characteristic == one.name],
            [signal for signal in signals if signal.characteristic == one.name],
            window,
        )
        for one in _series(published, place).characteristics
    ]
    changes = tuple(Break(at=one.at, changed=one.changed) for one in breaks if one.previous is not None)
    return [replace(course, breaks=changes) for course in made if any(point.here for point in course.points)]


def _course(
    one: CharacteristicV1,
    subgroups: Sequence[SubgroupV1],
    limits: Sequence[LimitsV1],
    signals: Sequence[SignalV1],
    window: Window,
) -> Course:
    by_stage = {limit.stage_id: limit for limit in sorted(limits, key=lambda limit: limit.provenance.at)}
    broken: dict[str, list[SignalV1]] = {}
    for signal in signals:
        broken.setdefault(signal.subgroup_id, []).append(signal)
    points = [
        point
        for subgroup in subgroups
        for point in _points(one, subgroup, by_stage.get(subgroup.stage_id), broken.get(subgroup.subgroup_id, ()), window)
    ]
    newest = by_stage.get(subgroups[-1].stage_id) if subgroups else None
    first = subgroups[0]
    return Course(
        station=first.station,
        product=first.product,
        series=first.series,
        characteristic=one.name,
        chart=one.chart,
        unit=unit_of(one),
        points=tuple(points),
        breaks=(),
        status=None if newest is None else newest.status,
        rule_set=one.rule_set,
        arl0_subgroups=None if newest is None else newest.arl0_subgroups,
        sigma_z=None if newest is None else newest.sigma_z,
        sigma_z_subgroups=None if newest is None else newest.sigma_z_subgroups,
        signals=len({point.subgroup for point in points if point.rules and point.here}),
    )


def _points(
    one: CharacteristicV1, subgroup: SubgroupV1, limits: LimitsV1 | None, signals: Sequence[SignalV1], window: Window
) -> list[Point]:
    fitted = None if limits is None else fitted_of(limits)
    shown = [(value, drawn) for value in values(one, lite_of(subgroup)) if (drawn := _shown(one, value)) is not None]
    broken = _broken([drawn for _, drawn in shown], signals)
    made = []
    for (value, drawn), mine in zip(shown, broken, strict=True):
        size = value.size if isinstance(value, Count) else float(value.n)
        at = None if fitted is None else at_sizes(one, fitted, [size])[0]
        made.append(
            Point(
                subgroup=subgroup.subgroup_id,
                at=subgroup.end,
                stage=subgroup.stage_id,
                value=drawn,
                n=size,
                center=None if fitted is None else drawn_center(one, fitted, size),
                lcl=None if at is None else at.lcl,
                ucl=None if at is None else at.ucl,
                rules=tuple(signal.rule for signal in mine),
                begins=tuple(signal.rule for signal in mine if not signal.again),
                here=window.begin <= subgroup.end < window.end,
            )
        )
    return made


def _broken(values: Sequence[float], signals: Sequence[SignalV1]) -> list[list[SignalV1]]:
    """By point: the signals of a subgroup belong to the point whose value they name; a chart of gaps has several of it."""
    found: list[list[SignalV1]] = [[] for _ in values]
    for signal in signals:
        if values:
            found[min(range(len(values)), key=lambda i: abs(values[i] - signal.value))].append(signal)
    return found


def _shown(one: CharacteristicV1, value: Count | Sample) -> float | None:
    if not isinstance(value, Count):
        return value.mean
    chart = attribute(one)
    return None if chart is None else plotted(chart, value)


def unit_of(one: CharacteristicV1) -> str:
    return _QUANTITIES[one.quantity] if one.quantity is not None else _UNITS[one.chart]


def lite_of(subgroup: SubgroupV1) -> Lite:
    """The published facts in the form that the charts take; its number does not matter here."""
    times = subgroup.gap_s
    gaps = subgroup.gaps[len(subgroup.gaps) - len(times) :]
    return Lite(
        0,
        subgroup.n,
        subgroup.nonconforming,
        subgroup.defects,
        subgroup.instances,
        subgroup.units,
        {one.name: Measured(one.n, one.mean, one.sd) for one in subgroup.characteristics if one.mean is not None},
        tuple(zip(gaps, times, strict=True)),
    )


def fitted_of(limits: LimitsV1) -> Fitted:
    """Published limits as the numbers they were made from."""
    return Fitted(
        center=limits.center,
        sigma=limits.sigma,
        sigma_z=limits.sigma_z,
        method=limits.provenance.method,
        constants=dict(limits.provenance.constants),
        k=limits.sigma_z_subgroups or limits.provenance.n,
    )


def _signal(one: SignalV1, ends: Mapping[str, datetime], units: Mapping[tuple[str, str, str, str], str]) -> Signal:
    return Signal(
        at=ends.get(one.subgroup_id, one.at),
        station=one.station,
        product=one.product,
        characteristic=one.characteristic,
        chart=one.chart,
        rule=one.rule,
        direction=one.direction,
        value=one.value,
        unit=units.get((one.station, one.product, one.series, one.characteristic), _UNITS.get(one.chart, "")),
        phase=one.phase,
        again=one.again,
        doubt=_doubt(one),
    )


def _doubt(one: SignalV1) -> str:
    found = []
    if one.drift_state in ("stale", "suspect"):
        found.append(f"the baseline was {one.drift_state}: a measurement problem first")
    if one.software_change_in_stage:
        found.append("software or set-up changed within the pattern")
    return "; ".join(found)
