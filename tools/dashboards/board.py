"""A dashboard as data: rows of panels, variables, links down and up the hierarchy. Knows no metric but the variables' own."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import count

from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import dashboard as models

from tools.dashboards.panel import SOURCE, Panel, built

TAG = "verdictline"
UIDS = {
    "Plant": "verdictline-plant",
    "Line": "verdictline-line",
    "Station": "verdictline-station",
    "Models": "verdictline-models",
    "Drift and baselines": "verdictline-drift",
    "Pipeline health": "verdictline-pipeline",
}
# Each one's values follow from those before it.
_VALUES = {
    "site": "label_values(verdictline_verdicts_total, site)",
    "line": 'label_values(verdictline_verdicts_total{site=~"$site"}, line)',
    "station": 'label_values(verdictline_verdicts_total{site=~"$site",line=~"$line"}, station)',
    "product": 'label_values(verdictline_verdicts_total{site=~"$site",line=~"$line",station=~"$station"}, product)',
    "characteristic": 'label_values({__name__=~"verdictline_spc_(center|nonconforming_ratio)",station=~"$station"},'
    " characteristic)",
}
SITE = 'site=~"$site"'
LINE = SITE + ',line=~"$line"'
STATION = LINE + ',station=~"$station"'
PRODUCT = STATION + ',product=~"$product"'


@dataclass(frozen=True, kw_only=True)
class Board:
    """title: a key of UIDS. rows: panels under each heading. variables: names, the widest first."""

    title: str
    description: str
    variables: tuple[str, ...]
    rows: Mapping[str, tuple[Panel, ...]]


def link(title: str, **variables: str) -> tuple[str, str]:
    """Where a click leads: (path, text), with the time range. variables: a label of the series, or a variable's own name."""
    chosen = "&".join(f"var-{name}={value}" for name, value in variables.items())
    return f"/d/{UIDS[title]}?{chosen}&${{__url_time_range}}", f"{title} dashboard"


def label(name: str) -> str:
    """The value of a series' label, in a link."""
    return f"${{__field.labels.{name}}}"


def rendered(board: Board) -> str:
    """Grafana's JSON, keys sorted."""
    made = (
        build.Dashboard(f"Verdictline: {board.title}")
        .uid(UIDS[board.title])
        .description(board.description)
        .tags([TAG])
        .readonly()
        .refresh("10s")
        .time("now-1h", "now")
        .timezone("browser")
        .tooltip(models.DashboardCursorSync.CROSSHAIR)
    )
    for name in board.variables:
        made.with_variable(_variable(name))
    for title in UIDS:
        if title != board.title:
            made.link(_link(title))
    number = count(1)
    for heading, panels in board.rows.items():
        made.with_row(build.Row(heading).id(next(number)))
        for panel in panels:
            made.with_panel(built(panel).id(next(number)))
    text = JSONEncoder(sort_keys=True, indent=1).encode(made.build())
    return json.dumps(json.loads(text), indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def _variable(name: str) -> build.QueryVariable:
    return (
        build.QueryVariable(name)
        .label(name.capitalize())
        .query(_VALUES[name])
        .datasource(SOURCE)
        .refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(models.VariableSort.ALPHABETICAL_ASC)
        .multi(True)
        .include_all(True)
        .all_value(".*")
        .current(models.VariableOption(selected=True, text="All", value="$__all"))
    )


def _link(title: str) -> build.DashboardLink:
    return (
        build.DashboardLink(title)
        .type(models.DashboardLinkType.LINK)
        .url(f"/d/{UIDS[title]}")
        .include_vars(True)
        .keep_time(True)
        .icon("dashboard")
    )
