"""What a scenario showed, as a table for the terminal and as JSON. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from streams.workbench.demo.scenario import Outcome

_WAYS = {
    "images": "pictures through the whole pipeline",
    "recorded": "evidence of pictures that the served model scored once, through Kafka and the drift processor",
}
_SHOWN = 12  # events


def report(outcome: Outcome) -> dict[str, Any]:
    """For --json."""
    scenario = outcome.scenario
    return {
        "scenario": scenario.name,
        "happens": scenario.happens,
        "way": _WAYS[scenario.feed],
        "seed": outcome.seed,
        "parts": scenario.parts,
        "commissioned_at": scenario.commissioned,
        "changes_at": scenario.changes_at if scenario.changes_at < scenario.parts else None,
        "false_alarm_every_parts": outcome.arl0,
        "met": outcome.met,
        "rows": [
            {"what": row.what, "met": row.met, "part": row.at, "after_parts": row.after, "found": row.found}
            for row in outcome.rows
        ],
        "events": [
            {
                "part": n,
                "kind": event.kind,
                "state": event.state,
                "cause": event.cause.name if event.cause else None,
                "by": list(event.cause.by) if event.cause else [],
                "effect_sd": event.effect_sd.value if event.effect_sd else None,
            }
            for n, event in outcome.events
        ],
        "seconds": round(outcome.took_s, 1),
    }


def rendered(outcome: Outcome) -> RenderableType:
    """For the terminal."""
    scenario = outcome.scenario
    mark = ("as it must be", "bold green") if outcome.met else ("NOT as it must be", "bold red")
    head = Text.assemble((scenario.name, "bold"), f": {scenario.happens}   ", mark)
    change = f", the change at {scenario.changes_at:,}" if scenario.changes_at < scenario.parts else ""
    way = (
        f"{scenario.parts:,} parts, baseline commissioned at {scenario.commissioned:,}{change}; {_WAYS[scenario.feed]}; "
        f"one false alarm in {outcome.arl0:,.0f} parts; seed {outcome.seed}; {outcome.took_s:.0f} s"
    )
    return Group(Text(), head, Text(way, style="dim"), _rows(outcome), *_events(outcome))


def _rows(outcome: Outcome) -> Table:
    table = Table(box=None, pad_edge=False)
    for name in ("", "must", "found", "part", "after"):
        table.add_column(name, justify="right" if name in ("part", "after") else "left", overflow="fold")
    for row in outcome.rows:
        sign = Text("yes", style="green") if row.met else Text("NO", style="bold red")
        table.add_row(sign, row.what, row.found, _number(row.at), _number(row.after))
    return table


def _events(outcome: Outcome) -> Sequence[Text]:
    """What was said from the commissioning on, with what it rests on."""
    late = [(n, event) for n, event in outcome.events if n >= outcome.scenario.commissioned]
    lines = []
    for n, event in late[:_SHOWN]:
        cause = f": {event.cause.name}: {'; '.join(event.cause.by)}" if event.cause else ""
        lines.append(Text(f"  part {n:,}  {event.kind}{cause}", style="dim"))
    if len(late) > _SHOWN:
        lines.append(Text(f"  and {len(late) - _SHOWN} more", style="dim"))
    return lines


def _number(value: int | None) -> str:
    return "" if value is None else f"{value:,}"


def overview(outcomes: Sequence[Outcome]) -> RenderableType:
    """One line a scenario."""
    table = Table(box=None, pad_edge=False)
    for name in ("scenario", "as it must be", "reported first", "after", "cause", "s"):
        table.add_column(name, justify="right" if name in ("after", "s") else "left")
    for one in outcomes:
        first = next((row for row in one.rows if row.after is not None), None)
        found, _, cause = ("" if first is None else first.found).partition(" (")
        met = Text("yes", style="green") if one.met else Text("NO", style="bold red")
        after = "" if first is None else _number(first.after)
        table.add_row(one.scenario.name, met, found or "nothing", after, cause.rstrip(")"), f"{one.took_s:.0f}")
    return Group(Text(), table)
