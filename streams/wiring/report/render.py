"""The report as a page: a template over the same dataclasses that the JSON is made of. Every text in it is escaped."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from streams.wiring.charts.cell import cell_bar
from streams.wiring.charts.page import STYLE
from streams.wiring.charts.svg import STYLE as CHART_STYLE
from streams.wiring.report import words
from streams.wiring.report.compose import Report
from streams.wiring.report.draw import course_chart, rules
from streams.wiring.report.headline import bound
from streams.wiring.report.process import Course
from streams.wiring.report.production import DISPOSITIONS
from streams.wiring.report.window import local

MOST_CHARTS = 8
COLOURS = {"pass": 2, "rework": 4, "scrap": 1, "review": 0, "no_verdict": 6}


def html(report: Report) -> str:
    """A whole page: no script, nothing from elsewhere."""
    environment = Environment(
        loader=PackageLoader("streams.wiring.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    zone = report.about.zone
    environment.filters.update(
        percent=words.percent,
        signed=words.signed,
        minus=words.minus,
        chart=words.chart,
        shared=words.shared,
        rated=words.rated,
        short=words.short,
        plain=lambda text: str(text).replace("_", " "),
        local=lambda at: local(at, zone),
        clock=lambda at: local(at, zone, "%H:%M"),
        age=lambda at: words.lasting(report.about.made_at - at),
        hours=lambda value: words.lasting(timedelta(hours=value)),
        thousands=lambda n: f"{n:,}",
        bound=bound,
        rule=lambda name: rules((name,)),
    )
    environment.globals.update(count=words.count, interval=words.interval, bar=_bar)
    shown = report.process.courses[:MOST_CHARTS]
    return environment.get_template("page.html.j2").render(
        report=report,
        style=Markup(STYLE + CHART_STYLE),
        dispositions=DISPOSITIONS,
        colours=COLOURS,
        most={name: max((row.shares[name].value or 0.0 for row in report.production.rows), default=0.0) for name in DISPOSITIONS},
        charts=_charts(shown, report.about.begin, report.about.end, zone),
        shown=shown,
        not_shown=report.process.courses[MOST_CHARTS:],
    )


def _charts(courses: Sequence[Course], begin: datetime, end: datetime, zone: str) -> list[Markup]:
    """The charts escape what they draw."""
    return [Markup(course_chart(course, begin, end, zone).svg()) for course in courses]


def _bar(value: float | None, most: float, colour: int, low: float | None = None, high: float | None = None) -> Markup:
    interval = None if low is None or high is None else (low, high)
    return Markup(cell_bar(value or 0.0, most, colour, interval))
