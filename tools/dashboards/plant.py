"""Plant: is every line judged, in time, and how many parts are good."""

from __future__ import annotations

from tools.dashboards.board import SITE, Board, label, link
from tools.dashboards.panel import GREEN, ORANGE, RED, STANDING, Panel, Query, any_is_bad, falling, rising

_VERDICTS = f"verdictline_verdicts_total{{{SITE}}}"
_TO_LINE = link("Line", site=label("site"), line=label("line"))
_TO_STATION = link("Station", site=label("site"), line=label("line"), station=label("station"))


def _of(disposition: str) -> str:
    return f'verdictline_verdicts_total{{{SITE},disposition="{disposition}"}}'


NOW = (
    Panel(
        kind="stat",
        title="Parts a minute",
        description="First verdicts a minute, all purposes, all lines that are selected.",
        unit="none",
        decimals=1,
        queries=(Query(expr=f"60 * sum(rate(verdictline_judged_total{{{SITE}}}[$__rate_interval]))"),),
        steps=STANDING,
        width=4,
        height=5,
        to=link("Line", site="$site"),
    ),
    Panel(
        kind="stat",
        title="Pass share",
        description="Passes over all first verdicts of production parts in the time range. Says nothing of escapes.",
        unit="percentunit",
        decimals=1,
        queries=(Query(expr=f"sum(increase({_of('pass')}[$__range])) / sum(increase({_VERDICTS}[$__range]))"),),
        steps=falling(0.5, 0.7),
        low=0,
        high=1,
        width=4,
        height=5,
        to=link("Line", site="$site"),
    ),
    Panel(
        kind="stat",
        title="Without a verdict in time",
        description="Parts in the time range that were answered no_verdict: their gate must hold them.",
        unit="none",
        decimals=0,
        queries=(Query(expr=f"sum(increase(station:verdictline_no_verdict:sum{{{SITE}}}[$__range])) or on () vector(0)"),),
        steps=any_is_bad(),
        width=4,
        height=5,
        to=link("Line", site="$site"),
    ),
    Panel(
        kind="stat",
        title="Stations not proven",
        description="Stations with challenge parts whose last set did not pass, or that have not had one yet.",
        unit="none",
        queries=(Query(expr=f"count(min by (station) (verdictline_challenge_proven{{{SITE}}}) == 0) or on () vector(0)"),),
        steps=any_is_bad(),
        width=4,
        height=5,
        to=link("Station", site="$site"),
    ),
    Panel(
        kind="stat",
        title="Baselines suspect or stale",
        description="Score streams whose idea of normal moved: the stated false-reject rate does not hold there.",
        unit="none",
        queries=(
            Query(
                expr=f"count(verdictline_baseline_state{{{SITE}}} == 2 or verdictline_baseline_state{{{SITE}}} == 3)"
                " or on () vector(0)"
            ),
        ),
        steps=any_is_bad(ORANGE),
        width=4,
        height=5,
        to=link("Drift and baselines", site="$site"),
    ),
    Panel(
        kind="stat",
        title="Alerts firing",
        description="Critical and warning alerts of Prometheus that fire now. Each names its runbook.",
        unit="none",
        queries=(
            Query(expr='count(ALERTS{alertstate="firing",severity="critical"}) or on () vector(0)', legend="critical"),
            Query(expr='count(ALERTS{alertstate="firing",severity="warning"}) or on () vector(0)', legend="warning"),
        ),
        steps=any_is_bad(),
        width=4,
        height=5,
        to=link("Pipeline health"),
    ),
)
LINES = (
    Panel(
        kind="lines",
        title="Parts a minute by line",
        description="First verdicts a minute. A line that stands still goes to 0.",
        unit="none",
        queries=(
            Query(
                expr=f"60 * sum by (site, line) (rate(verdictline_judged_total{{{SITE}}}[$__rate_interval]))",
                legend="{{site}}/{{line}}",
            ),
        ),
        steps=STANDING,
        low=0,
        width=12,
        to=_TO_LINE,
    ),
    Panel(
        kind="lines",
        title="Pass share by line",
        description="Passes over first verdicts of production parts, five minutes.",
        unit="percentunit",
        queries=(
            Query(
                expr='sum by (site, line) (station:verdictline_verdicts:rate5m{site=~"$site",disposition="pass"})'
                ' / sum by (site, line) (station:verdictline_verdicts:rate5m{site=~"$site"})',
                legend="{{site}}/{{line}}",
            ),
        ),
        steps=falling(0.5, 0.7),
        low=0,
        high=1,
        width=12,
        to=_TO_LINE,
    ),
    Panel(
        kind="lines",
        title="Shutter to verdict, 99th percentile, by line",
        description="From the announcement's append time to that of the deciding evidence. A line holds a part for 0.2 to 2 s.",
        unit="s",
        queries=(
            Query(
                expr="histogram_quantile(0.99, sum by (site, line, le)"
                f" (rate(verdictline_verdict_seconds_bucket{{{SITE}}}[$__rate_interval])))",
                legend="{{site}}/{{line}}",
            ),
        ),
        steps=rising(1, 2),
        low=0,
        width=12,
        to=_TO_LINE,
    ),
    Panel(
        kind="stacked",
        title="Verdicts a minute by disposition",
        description="First verdicts of production parts.",
        unit="none",
        queries=(
            Query(
                expr=f"60 * sum by (disposition) (rate({_VERDICTS}[$__rate_interval]))",
                legend="{{disposition}}",
            ),
        ),
        steps=STANDING,
        low=0,
        width=12,
        to=link("Line", site="$site"),
    ),
)
STATIONS = (
    Panel(
        kind="table",
        title="Stations: announced and not judged",
        description="Announced less judged in the time range, by station. Stays small: at most what is under way.",
        unit="none",
        decimals=0,
        queries=(
            Query(
                expr=f"topk(50, sum by (site, line, station) (increase(verdictline_announced_total{{{SITE}}}[$__range]))"
                f" - sum by (site, line, station) (increase(verdictline_judged_total{{{SITE}}}[$__range])))"
            ),
        ),
        steps=rising(5, 20),
        width=12,
        to=link("Station", station="${__data.fields.station}"),
    ),
    Panel(
        kind="bars",
        title="Share of parts for review by station",
        description="Reviews over first verdicts of production parts in the time range: what people have to look at.",
        unit="percentunit",
        queries=(
            Query(
                expr=f"topk(20, sum by (site, line, station) (increase({_of('review')}[$__range]))"
                f" / sum by (site, line, station) (increase({_VERDICTS}[$__range])))",
                legend="{{station}}",
            ),
        ),
        steps=((None, GREEN), (0.1, ORANGE), (0.3, RED)),
        low=0,
        high=1,
        width=12,
        to=_TO_STATION,
    ),
    Panel(
        kind="bars",
        title="Escapes, at most, by product",
        description="At most so many ppm of the parts that passed were bad: 95 %, valid at any moment, from blind audits"
        " that people have answered. Whatever the site. A million while nothing can be claimed: the console says why.",
        unit="ppm",
        queries=(Query(expr="1e6 * max by (product) (verdictline_escape_bound_ratio)", legend="{{product}}"),),
        steps=((None, GREEN), (1000, ORANGE), (10_000, RED)),
        low=0,
        width=12,
        to=link("Line", site="$site"),
    ),
    Panel(
        kind="bars",
        title="Audits that wait, by product",
        description="Passes drawn for blind audit that nobody has answered yet. They count as bad in the bound on escapes.",
        unit="none",
        decimals=0,
        queries=(Query(expr='max by (product) (verdictline_escape_audits{state="waiting"})', legend="{{product}}"),),
        steps=((None, GREEN), (200, ORANGE), (1000, RED)),
        low=0,
        width=12,
        to=link("Line", site="$site"),
    ),
)
BOARD = Board(
    title="Plant",
    description="Every part gets exactly one verdict: how many, how fast, how good, and where something is wrong.",
    variables=("site",),
    rows={"Now": NOW, "Lines": LINES, "Stations": STATIONS},
)
