"""The report's pictures: SPC charts, and bars in the cells of its tables. Draws what the report says, computes nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import groupby

from streams.wiring.charts.axis import Axis, axis
from streams.wiring.charts.svg import Chart
from streams.wiring.report import words
from streams.wiring.report.process import Course, Point
from streams.wiring.report.window import local, zone_named

_VALUE, _CENTER, _LIMIT, _BEFORE = 0, 2, 1, 6  # colours
WIDTH, HEIGHT = 520, 250
_SHARES = "share of parts"


def course_chart(course: Course, begin: datetime, end: datetime, zone: str) -> Chart:
    """Points with their limits; earlier ones in grey, signals as diamonds, stage breaks as lines. course has a point here."""
    scale, unit = (100.0, "%") if course.unit == _SHARES else (1.0, course.unit)
    times = [point.at.timestamp() for point in course.points]
    levels = [v * scale for p in course.points for v in (p.value, p.center, p.lcl, p.ucl) if v is not None]
    x = _time_axis(times, begin, end, zone)
    y = axis(f"{_named(course)} ({unit})", levels, least=(0.0,))
    chart = Chart(title=_title(course), about=_about(course, zone), x=x, y=y, width=WIDTH, height=HEIGHT)
    for stretch in _stages(course.points):
        _limits(chart, stretch, scale)
    for here, label, colour in ((False, "before", _BEFORE), (True, _named(course), _VALUE)):
        for stretch in _stages([point for point in course.points if point.here is here]):
            xs, ys = [point.at.timestamp() for point in stretch], [point.value * scale for point in stretch]
            chart.line(xs, ys, "", colour).points(xs, ys, label, colour)
    broken = [point for point in course.points if point.rules and point.here]
    chart.signs([p.at.timestamp() for p in broken], [p.value * scale for p in broken], [rules(p.begins) for p in broken])
    for one in course.breaks:
        if x.low <= one.at.timestamp() <= x.high:
            chart.mark(one.at.timestamp(), f"new {', '.join(one.changed)}")
    return chart


def rules(names: Sequence[str]) -> str:
    """`nelson_1` -> `rule 1`, `spread_1` -> `spread`; nothing for none."""
    of_set = sorted({name.rpartition("_")[2] for name in names if name != "spread_1"})
    return ", ".join([*(["rule " + ", ".join(of_set)] if of_set else []), *(["spread"] if "spread_1" in names else [])])


def _time_axis(times: Sequence[float], begin: datetime, end: datetime, zone: str) -> Axis:
    """The window, and as much of the time before as there are points."""
    low, high = min(*times, begin.timestamp()), max(*times, end.timestamp())
    air = 0.02 * (high - low) or 60.0
    first, last = local(begin, zone, "%Y-%m-%d"), local(end, zone, "%Y-%m-%d")
    days = first if first == last else f"{first} to {last}"
    return Axis(label=f"{days}, {zone}", low=low - air, high=high + air, kind="time", zone=zone_named(zone))


def _stages(points: Sequence[Point]) -> Iterator[list[Point]]:
    """Points of one stage: lines are not drawn from one stage to the next."""
    for _, found in groupby(points, key=lambda point: point.stage):
        yield list(found)


def _limits(chart: Chart, points: Sequence[Point], scale: float) -> None:
    known = [point for point in points if point.lcl is not None and point.ucl is not None and point.center is not None]
    if not known:
        return
    xs = [point.at.timestamp() for point in known]
    if len(xs) == 1:
        span = 0.01 * (chart.x.high - chart.x.low)
        xs, known = [xs[0] - span, xs[0] + span], [known[0], known[0]]
    chart.line(xs, [(point.center or 0.0) * scale for point in known], "centre", _CENTER)
    for name in ("ucl", "lcl"):
        chart.dashes(xs, [getattr(point, name) * scale for point in known], "limits", _LIMIT)


def _named(course: Course) -> str:
    return words.chart(course.characteristic)


def _title(course: Course) -> str:
    kind = course.chart.replace("laney_p", "Laney p′").replace("laney_u", "Laney u′").replace("_", "-")
    return f"{_named(course)}, {course.product}, {course.station} ({kind})"


def _about(course: Course, zone: str) -> str:
    here = [point for point in course.points if point.here]
    signals = [f"{rules(p.rules)} at {local(p.at, zone, '%H:%M')}" for p in here if p.rules]
    return f"{len(here)} subgroups, {len(signals)} with a signal. {'; '.join(signals)}".strip()
