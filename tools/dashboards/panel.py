"""One panel as data, and as Grafana's SDK builds it. Knows units, thresholds and links, no metric.

The SDK's builders are those of Grafana 10.1; later versions migrate such a dashboard when they load it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

from grafana_foundation_sdk.builders import bargauge, common, prometheus, stat, statetimeline, table, timeseries
from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.models import common as shapes
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

Kind = Literal["stat", "lines", "stacked", "bars", "states", "table"]
Step = tuple[float | None, str]  # from this value on (None: the base), colour
GREEN, ORANGE, RED, BLUE, GREY = "green", "orange", "red", "blue", "text"
SOURCE = models.DataSourceRef(type_val="prometheus", uid="verdictline")
_TEXT_IDS = {"stat", "bars"}


@dataclass(frozen=True, kw_only=True)
class Query:
    """legend: Grafana's template for the name of a series."""

    expr: str
    legend: str = ""


@dataclass(frozen=True, kw_only=True)
class Panel:
    """unit: Grafana's name of it. steps: thresholds, the base first. words: text and colour for a number.

    to: where a click on a series leads, path and text. low, high: ends of the axis. dashed: legends that are limits.
    """

    kind: Kind
    title: str
    description: str
    unit: str
    queries: tuple[Query, ...]
    steps: tuple[Step, ...]
    words: tuple[tuple[float, str, str], ...] = ()
    to: tuple[str, str] | None = None
    low: float | None = None
    high: float | None = None
    decimals: int | None = None
    dashed: tuple[str, ...] = ()
    width: int = 8
    height: int = 7


STANDING: tuple[Step, ...] = ((None, ORANGE), (0.001, GREEN))  # it stands still, or it runs


def rising(warn: float, bad: float) -> tuple[Step, ...]:
    """Green, then orange, then red."""
    return ((None, GREEN), (warn, ORANGE), (bad, RED))


def falling(bad_below: float, warn_below: float) -> tuple[Step, ...]:
    """Red below the one, orange below the other, then green."""
    return ((None, RED), (bad_below, ORANGE), (warn_below, GREEN))


def any_is_bad(colour: str = RED) -> tuple[Step, ...]:
    """Green at 0; above it this colour."""
    return ((None, GREEN), (1e-9, colour))


def wide(panel: Panel, width: int, height: int | None = None) -> Panel:
    return replace(panel, width=width, height=panel.height if height is None else height)


def built(panel: Panel) -> Any:
    """The SDK's builder of it."""
    made = _dressed(panel, _KINDS[panel.kind]())
    for index, query in enumerate(panel.queries):
        made.with_target(_target(query, chr(ord("A") + index), panel.kind))
    if panel.kind in _TEXT_IDS:
        made.reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
    if panel.kind == "stacked":
        made.stacking(common.StackingConfig().mode(shapes.StackingMode.NORMAL).group("A")).fill_opacity(40)
    if panel.kind in ("lines", "stacked"):
        made.legend(_legend()).thresholds_style(_shown(panel))
    if panel.kind == "states":
        made.show_value(shapes.VisibilityMode.AUTO).merge_values(True).row_height(0.8).legend(_legend()).fill_opacity(70)
    for name in panel.dashed:
        made.override_by_name(name, _dashes())
    if panel.kind == "table":
        _as_one_table(made)
    return made


def _dressed(panel: Panel, made: Any) -> Any:
    made.title(panel.title).description(panel.description).datasource(SOURCE).unit(panel.unit)
    made.span(panel.width).height(panel.height).no_value("none")
    steps = [models.Threshold(value=value, color=colour) for value, colour in panel.steps]
    made.thresholds(build.ThresholdsConfig().mode(models.ThresholdsMode.ABSOLUTE).steps(steps))
    if panel.kind not in ("lines", "stacked"):
        made.color_scheme(build.FieldColor().mode(models.FieldColorModeId.THRESHOLDS))
    if panel.words:
        made.mappings([_words(panel)])
    if panel.to is not None:
        made.data_links([build.DashboardLink(panel.to[1]).url(panel.to[0])])
    for value, setter in ((panel.low, "min"), (panel.high, "max"), (panel.decimals, "decimals")):
        if value is not None:
            getattr(made, setter)(value)
    return made


def _target(query: Query, ref: str, kind: Kind) -> Any:
    target = prometheus.Dataquery().expr(query.expr).legend_format(query.legend).ref_id(ref).datasource(SOURCE)
    if kind == "table":
        return target.instant().format(PromQueryFormat.TABLE)
    return target.instant() if kind == "bars" else target.range()


def _words(panel: Panel) -> models.ValueMap:
    options = {f"{value:g}": models.ValueMappingResult(text=text, color=colour) for value, text, colour in panel.words}
    return models.ValueMap(options=options)


def _legend() -> Any:
    return (
        common.VizLegendOptions()
        .show_legend(True)
        .display_mode(shapes.LegendDisplayMode.LIST)
        .placement(shapes.LegendPlacement.BOTTOM)
        .calcs([])
    )


def _shown(panel: Panel) -> Any:
    """Thresholds as a dashed line, where there is more than the base."""
    mode = shapes.GraphTresholdsStyleMode.DASHED if len(panel.steps) > 1 else shapes.GraphTresholdsStyleMode.OFF
    return common.GraphThresholdsStyleConfig().mode(mode)


def _dashes() -> list[models.DynamicConfigValue]:
    return [
        models.DynamicConfigValue(id_val="custom.lineStyle", value={"fill": "dash", "dash": [8, 6]}),
        models.DynamicConfigValue(id_val="color", value={"mode": "fixed", "fixedColor": RED}),
    ]


def _as_one_table(made: Any) -> None:
    """Queries side by side, one row for the same labels; the time of the query says nothing."""
    made.show_header(True).with_transformation(models.DataTransformerConfig(id_val="merge", options={}))
    hidden = {"excludeByName": {"Time": True}}
    made.with_transformation(models.DataTransformerConfig(id_val="organize", options=hidden))


_KINDS: dict[Kind, Any] = {
    "stat": stat.Panel,
    "lines": timeseries.Panel,
    "stacked": timeseries.Panel,
    "bars": bargauge.Panel,
    "states": statetimeline.Panel,
    "table": table.Panel,
}
