"""Detection limits drawn: what was found of each size with the fitted curve, and the limit from set to set."""

from __future__ import annotations

import math
from collections.abc import Sequence

from schemas.challenge import DetectionLimitV1
from streams.monitors.pod import SHARE, Curve
from streams.monitors.shares import share
from streams.wiring.charts.axis import Axis, axis
from streams.wiring.charts.page import page
from streams.wiring.charts.svg import Chart

_CURVE, _FOUND, _LIMIT, _WORSE, _REFERENCE = 0, 1, 2, 1, 6  # colours
_STEPS = 80
_MANY = {"scratch": "scratches", "spot": "spots"}


def whole(found: Sequence[Sequence[DetectionLimitV1]]) -> str:
    """A page. found: of each station, product, view and kind of mark, in the order of time."""
    charts = [chart.svg() for of_one in found for chart in (curve(of_one[-1]), course(of_one))]
    rows: list[tuple[str, ...]] = [("station", "view", "defect", "at", "limit", "what is said of it")]
    rows += [_row(one) for of_one in found for one in reversed(of_one[-20:])]
    lines = (
        "Defects of graded sizes are painted on the images of today's good parts and sent the way of every part.",
        "Bars: 95 % intervals, up to the edge of the picture where they are open. A reference is declared, or learnt from the "
        "first three sets. What is called worse lies above it, or adds up over several sets.",
    )
    return page("Detection limits", lines, charts, rows)


def curve(said: DetectionLimitV1) -> Chart:
    """The share found of each size, the fitted curve, and the size found 90 % of the time with its interval."""
    scale, unit = _scale(said)
    sizes = [grade.size_px * scale for grade in said.grades]
    more = [end * scale for end in _ends(said) if end is not None]
    x = axis(f"size of the {said.defect} ({unit})", [*sizes, *more], kind="log")
    chart = Chart(title=_headline(said), about=_about(said), x=x, y=Axis(label="share found", low=-0.03, high=1.04), height=340)
    low, high = _interval(said, scale, x)
    if low is not None and high is not None:
        chart.band(low, high, "95 % interval of the limit", _LIMIT)
    if said.slope is not None and said.midpoint_ln_px is not None:
        fitted = Curve(midpoint=said.midpoint_ln_px, slope=said.slope)
        places = [x.low * (x.high / x.low) ** (n / _STEPS) for n in range(_STEPS + 1)]
        chart.line(places, [fitted.probability(place / scale) for place in places], "fitted curve", _CURVE)
    shares = [share(grade.found, grade.tried) for grade in said.grades]
    intervals = [(one.low, one.high) for one in shares]
    tried = sorted({grade.tried for grade in said.grades})
    label = f"found, of {'-'.join(map(str, (tried[0], tried[-1])[: len(tried)]))} each"
    chart.points(sizes, [one.value or 0.0 for one in shares], label, _FOUND, intervals)
    if said.pod90_px is not None:
        chart.points([said.pod90_px.value * scale], [SHARE], "the limit", _LIMIT)
    chart.limit(SHARE, "90 %")
    if said.reference_px is not None:
        chart.mark(said.reference_px * scale, "reference")
    return chart


def course(of_one: Sequence[DetectionLimitV1]) -> Chart:
    """The limit from set to set with its reference; sets that are worse have another colour."""
    scale, unit = _scale(of_one[-1])
    times = [one.at.timestamp() for one in of_one]
    ends = [end * scale for one in of_one for end in (*_ends(one), one.reference_px) if end is not None]
    x, y = axis("UTC", times, kind="time"), axis(f"size found 90 % of the time ({unit})", ends or [1.0], kind="log")
    last = of_one[-1]
    chart = Chart(
        title=f"{last.station}, {last.product}, {last.view}: detection limit over time",
        about=f"{len(of_one)} sets, {sum(one.worse for one in of_one)} of them worse than the reference.",
        x=x,
        y=y,
        height=300,
    )
    known = [(time, one.reference_px * scale) for time, one in zip(times, of_one, strict=True) if one.reference_px is not None]
    if known:
        ways = [*known, (x.high, known[-1][1])]
        chart.line([at for at, _ in ways], [level for _, level in ways], "reference", _REFERENCE)
    for worse, label, colour in ((False, "limit with its 95 % interval", _LIMIT), (True, "worse", _WORSE)):
        mine = [one for one in of_one if one.worse is worse and _level(one) is not None]
        levels = [(_level(one) or 0.0) * scale for one in mine]
        if mine:
            chart.points([one.at.timestamp() for one in mine], levels, label, colour, [_bar(one, scale, y) for one in mine])
    return chart


def _scale(said: DetectionLimitV1) -> tuple[float, str]:
    """(units a pixel, the unit)."""
    mm = next((grade.size_mm / grade.size_px for grade in said.grades if grade.size_mm), None)
    return (1.0, "px") if mm is None else (mm, "mm")


def _ends(said: DetectionLimitV1) -> tuple[float | None, float | None, float | None]:
    """Value, low and high end in px, as far as they are known."""
    if said.pod90_px is not None:
        return said.pod90_px.value, said.pod90_px.low, said.pod90_px.high
    return None, said.above_px, said.below_px


def _level(said: DetectionLimitV1) -> float | None:
    """Where a set stands in the course: its limit, else the end that is known."""
    return next((end for end in _ends(said) if end is not None), None)


def _interval(said: DetectionLimitV1, scale: float, x: Axis) -> tuple[float | None, float | None]:
    """In the axis' unit; an open end is the axis'. Both None where nothing is known."""
    _, low, high = _ends(said)
    if low is None and high is None:
        return None, None
    return (x.low if low is None else low * scale), (x.high if high is None else high * scale)


def _bar(said: DetectionLimitV1, scale: float, y: Axis) -> tuple[float, float] | None:
    low, high = _interval(said, scale, y)
    return None if low is None or high is None else (low, high)


def _headline(said: DetectionLimitV1) -> str:
    value, scale, unit = _ends(said)[0], *_scale(said)
    if value is None:
        return f"{said.station}, {said.product}, {said.view}: no limit within the grades"
    digits = max(0, 1 - math.floor(math.log10(value * scale)))
    return (
        f"{said.station}, {said.product}, {said.view}: {_MANY[said.defect]} from {value * scale:.{digits}f} {unit} on are found"
    )


def _about(said: DetectionLimitV1) -> str:
    counts = ", ".join(f"{grade.found} of {grade.tried} of {grade.size_px:g} px" for grade in said.grades)
    return f"Found: {counts}. {said.why or ''}".strip()


def _row(said: DetectionLimitV1) -> tuple[str, ...]:
    value, low, high = _ends(said)
    scale, unit = _scale(said)
    known = [f"{end * scale:.2g}" if end is not None else "?" for end in (low, high)]
    limit = f"{value * scale:.2g} {unit}" if value is not None else "-"
    what = said.why or ("worse" if said.worse else "")
    return (said.station, said.view, said.defect, f"{said.at:%Y-%m-%d %H:%M}", f"{limit} ({known[0]} to {known[1]})", what)
