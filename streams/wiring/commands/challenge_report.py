"""`verdictline challenge list|report`: what is registered, and whether stations are proven. Judges nothing."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer
from rich.table import Table

from schemas.challenge import ChallengePartV1, ChallengeScheduleV1, SuspectWindowV1
from schemas.common import Message
from streams.settings import Settings
from streams.wiring.adapters.challenges import Challenges, Line, read_challenges
from streams.wiring.adapters.kafka import reach
from streams.wiring.commands.clear import clear_end
from streams.wiring.commands.printing import printer

Station = Annotated[str | None, typer.Option(help="SITE/LINE/STATION; all without.")]
AsJson = Annotated[bool, typer.Option("--json", help="As one line of JSON.")]
NOT_PROVEN = 3


def list_parts(station: Station = None, as_json: AsJson = False) -> None:
    """List challenge parts and schedules."""
    with clear_end("challenge list"):
        known = _read()
    parts = [part for part in known.parts.values() if station in (None, part.station)]
    schedules = [found for found in known.schedules.values() if station in (None, found.station)]
    if as_json:
        typer.echo(json.dumps({"parts": [*map(_data, parts)], "schedules": [*map(_data, schedules)]}))
        return
    table = Table("station", "product", "proof", "part", "kind", "", "by", "why", box=None, pad_edge=False)
    for part in parts:
        table.add_row(part.station, part.product, part.proof, part.part, part.kind, _state(part), part.who, part.why)
    for found in schedules:
        table.add_row(found.station, found.product, found.proof, "", "", _when(found), found.who, found.why)
    printer().print(table)


def report(
    station: Station = None,
    last: Annotated[int, typer.Option(min=1, help="Sets to show of each line of proof.")] = 5,
    as_json: AsJson = False,
) -> None:
    """Say which stations are proven, by what, and which parts are suspect. Exit code 3 where one is not proven."""
    with clear_end("challenge report"):
        known = _read()
    rows = [_row(known, line, last) for line in known.lines() if station in (None, line[0])]
    if as_json:
        typer.echo(json.dumps(rows))
    elif not rows:
        typer.echo("no challenge part and no schedule is registered")
    for row in () if as_json else rows:
        _show(row)
    raise typer.Exit(0 if all(row["proven"] for row in rows) else NOT_PROVEN)


def _read() -> Challenges:
    client = Settings().client()
    reach(client)
    return read_challenges(client)


def _row(known: Challenges, line: Line, last: int) -> dict[str, Any]:
    proof, results = known.proofs.get(line), known.results.get(line, [])
    return {
        "station": line[0],
        "product": line[1],
        "proof": line[2],
        "proven": proof is not None and proof.proven,
        "why": "nothing was ever asked" if proof is None else proof.why,
        "last_pass": None if proof is None else proof.last_pass,
        "last_pass_at": None if proof is None or proof.last_pass_at is None else proof.last_pass_at.isoformat(),
        "sets": [_data(result) for result in results[-last:]],
        "waiting": [key for (at, key), due in known.waiting.items() if (at, due.product, due.proof) == line],
        "suspect": [_window(pages) for pages in known.windows_of(line)[-last:]],
    }


def _window(pages: dict[int, SuspectWindowV1]) -> dict[str, Any]:
    first = next(iter(pages.values()))
    parts = [_data(part) for _, page in sorted(pages.items()) for part in page.parts]
    return {"set": first.set, "count": first.count, "complete": len(pages) == first.pages, "parts": parts}


def _show(row: dict[str, Any]) -> None:
    proven = "proven" if row["proven"] else "NOT PROVEN"
    typer.echo(f"{row['station']}  {row['product']}  {row['proof']}: {proven}: {row['why']}")
    typer.echo(f"  last pass: {row['last_pass_at'] or 'never'}")
    for result in row["sets"]:
        margins = [f"{i['stamp']['part']} {100 * i['margin']:+.0f} %" for i in result["items"] if i.get("margin") is not None]
        alarm = "; MARGINS SHRINK" if result["margin_alarm"] else ""
        said = "passed" if result["passed"] else "overdue" if result["overdue"] else "FAILED"
        typer.echo(f"  {result['at'][:19]}  {result['trigger']:<10} {said:<8} {', '.join(margins)}{alarm}")
    for window in row["suspect"]:
        serials = [part.get("serial") or part["inspection"] for part in window["parts"]]
        shown = f"{serials[0]} ... {serials[-1]}" if len(serials) > 2 else ", ".join(serials)
        typer.echo(f"  suspect with {window['set']}: {window['count']} parts: {shown or 'none'}")
    for key in row["waiting"]:
        typer.echo(f"  waits for its answers: {key}")


def _state(part: ChallengePartV1) -> str:
    if part.retired:
        return "retired"
    expiry = f"until {part.expires_at:%Y-%m-%d}" if part.expires_at else ""
    return " ".join(filter(None, (f"serial {part.serial}, {part.custody}" if part.serial else "", expiry)))


def _when(found: ChallengeScheduleV1) -> str:
    rules = (
        found.every_parts and f"every {found.every_parts} parts",
        found.shifts and f"at {', '.join(found.shifts)} {found.zone}",
        found.after_changeover and "after a changeover",
        found.after_model_set and "after a change of models",
    )
    return "; ".join(str(rule) for rule in rules if rule) or "only when asked for"


def _data(message: Message) -> dict[str, Any]:
    return message.model_dump(mode="json", exclude_none=True)
