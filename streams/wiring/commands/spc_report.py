"""`verdictline spc list|show`: control charts in words. Judges nothing."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer
from rich.table import Table

from schemas.common import Message
from schemas.spc import LimitsV1, SignalV1, SubgroupV1
from streams.settings import Settings
from streams.wiring.adapters.kafka import reach
from streams.wiring.adapters.spc import Charted, Known, read_spc
from streams.wiring.adapters.spc import Series as Key
from streams.wiring.commands.clear import clear_end
from streams.wiring.commands.printing import printer

Station = Annotated[str | None, typer.Option(help="SITE/LINE/STATION; all without.")]
Product = Annotated[str | None, typer.Option(help="All without.")]
AsJson = Annotated[bool, typer.Option("--json", help="As one line of JSON.")]
_SHORT = 12


def list_charts(station: Station = None, product: Product = None, as_json: AsJson = False) -> None:
    """List control charts: where, what, limits, the newest subgroup, open signals."""
    with clear_end("spc list"):
        rows = [row for key, found in _chosen(_read(), station, product) for row in _rows(key, found)]
    if as_json:
        typer.echo(json.dumps(rows))
        return
    if not rows:
        typer.echo("no subgroup yet: spc publishes one when it is full (`verdictline spc plan --show` says when)")
        return
    heads = ("station", "product", "series", "characteristic", "chart", "limits", "centre", "newest", "subgroups", "signals")
    table = Table(*heads, box=None, pad_edge=False)
    for row in rows:
        table.add_row(*(_cell(row[name]) for name in heads))
    printer().print(table)


def show(
    station: Station = None,
    product: Product = None,
    last: Annotated[int, typer.Option(min=1, help="Subgroups and signals to show of each series.")] = 10,
    as_json: AsJson = False,
) -> None:
    """Show stages, limits with their provenance, the newest subgroups and signals."""
    with clear_end("spc show"):
        chosen = _chosen(_read(), station, product)
    if as_json:
        typer.echo(json.dumps([_whole(key, found, last) for key, found in chosen]))
        return
    if not chosen:
        typer.echo("no subgroup yet")
    for key, found in chosen:
        typer.echo("\n".join(_lines(key, found, last)))


def _read() -> Known:
    client = Settings().client()
    reach(client)
    return read_spc(client)


def _chosen(known: Known, station: str | None, product: str | None) -> list[tuple[Key, Charted]]:
    return [
        (key, found) for key, found in sorted(known.series.items()) if station in (None, key[0]) and product in (None, key[1])
    ]


def _rows(key: Key, found: Charted) -> list[dict[str, Any]]:
    newest = list(found.subgroups.values())[-1:]
    names = found.characteristics() or ["-"]
    return [_row(key, found, name, newest[0] if newest else None) for name in names]


def _row(key: Key, found: Charted, name: str, newest: SubgroupV1 | None) -> dict[str, Any]:
    limits = found.limits_of(name)
    return {
        "station": key[0],
        "product": key[1],
        "series": key[2],
        "characteristic": name,
        "chart": limits and limits.chart,
        "limits": limits and limits.status,
        "centre": limits and limits.center,
        "newest": newest and f"{newest.nonconforming}/{newest.n}",
        "subgroups": len(found.subgroups),
        "signals": len(found.open_signals(name)),
    }


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _whole(key: Key, found: Charted, last: int) -> dict[str, Any]:
    return {
        **dict(zip(("station", "product", "series"), key, strict=True)),
        "stages": [_data(one) for one in found.stages],
        "limits": [_data(one) for one in found.limits.values()],
        "subgroups": [_data(one) for one in list(found.subgroups.values())[-last:]],
        "signals": [_data(one) for one in list(found.signals.values())[-last:]],
    }


def _lines(key: Key, found: Charted, last: int) -> list[str]:
    lines = ["  ".join(key)]
    for stage in found.stages:
        why = f"new {', '.join(stage.changed)}" if stage.changed else "the first"
        lines.append(f"  stage {stage.stage_id} from {stage.first}: {why}")
    lines += [f"  {_limits(one)}" for one in found.limits.values()]
    for one in list(found.subgroups.values())[-last:]:
        number = one.subgroup_id.rpartition("|")[2]
        more = ", ".join(f"{count} {name}" for name, count in (*one.counts.items(), *one.excluded.items()) if count)
        revision = f", revision {one.revision}" if one.revision else ""
        share = f"{one.nonconforming / one.n:.2%}" if one.n else "-"
        lines.append(f"  {one.end:%Y-%m-%d %H:%M:%S}  {number}  {one.nonconforming}/{one.n} = {share}  ({more}){revision}")
    lines += [f"  {_signal(one)}" for one in list(found.signals.values())[-last:] if not one.again]
    return lines


def _limits(one: LimitsV1) -> str:
    sigma = "" if one.sigma_z is None else f", sigma-Z {one.sigma_z:.2f} of {one.sigma_z_subgroups}"
    false = "" if one.arl0_subgroups is None else f", a false signal every {one.arl0_subgroups:,.0f} subgroups"
    by = f", by {one.provenance.approved_by}: {one.provenance.why}" if one.provenance.approved_by else ""
    gone = f", {len(one.provenance.removed)} removed" if one.provenance.removed else ""
    return (
        f"{one.characteristic}: {one.chart} {one.status}, centre {one.center:.4g}{sigma}, "
        f"of {one.provenance.n} subgroups{gone}{false}{by}"
    )


def _signal(one: SignalV1) -> str:
    state = "" if one.drift_state in (None, "active") else f"; the baseline is {one.drift_state}"
    return (
        f"SIGNAL {one.status}: {one.characteristic} {one.direction} by {one.rule} "
        f"at {one.subgroup_id.rpartition('|')[2]} ({one.value:.4g}), phase {one.phase}{state}"
    )


def _data(message: Message) -> dict[str, Any]:
    return message.model_dump(mode="json", exclude_none=True)
