"""`verdictline baseline list|show|top`: on what score streams stand, and how well. Judges nothing."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer
from rich.table import Table

from schemas.baseline import BaselineV1, CertificateV1
from schemas.common import digest
from schemas.drift import DriftEventV1
from schemas.envelope import rfc3339
from streams.monitors.baseline import Baseline
from streams.monitors.commissioning import pooled, top
from streams.monitors.references import fitted
from streams.settings import Settings
from streams.wiring.adapters.baseline_registry import BaselineRegistry
from streams.wiring.adapters.baselines import BaselineEntry
from streams.wiring.adapters.kafka import reach
from streams.wiring.commands.baseline_case import SHORT, Case, cases, events_of, parts_of, proofs_of, the_case
from streams.wiring.commands.clear import clear_end
from streams.wiring.commands.printing import printer

Stream = Annotated[str, typer.Argument(help="Start of a station, or of a score stream's digest (`baseline list`).")]
AsJson = Annotated[bool, typer.Option("--json", help="As one line of JSON.")]
_EVENTS = 20
_BRIEF = 8
_COLOURS = {"ACTIVE": "green", "PROVISIONAL": "yellow", "SUSPECT": "red", "STALE": "bold red", "RETIRED": "dim"}


def list_streams(
    station: Annotated[str | None, typer.Option(help="Start of a station; all without.")] = None, as_json: AsJson = False
) -> None:
    """List score streams with their baselines."""
    with clear_end("baseline list"), _registry() as registry:
        rows = [_row(registry, case) for case in cases(registry, station)]
    if as_json:
        typer.echo(json.dumps(rows))
        return
    if not rows:
        typer.echo("no score stream yet: the drift monitor writes one with a stream's first part")
        return
    table = Table(box=None, pad_edge=False)
    for head in ("stream", "station", "view", "product", "state", "since (UTC)", "n", "shows"):
        table.add_column(head, no_wrap=head in ("stream", "state", "shows"), overflow="fold")
    for row in rows:
        colour = _COLOURS.get(row["state"], "")
        shows = "nothing" if row["smallest_visible_sd"] is None else f"{row['smallest_visible_sd']:.2f} sd"
        state = f"[{colour}]{row['state']}[/]" if colour else row["state"]
        table.add_row(
            row["stream"][:_BRIEF],
            row["station"],
            row["view"],
            row["product"],
            state,
            (row["since"] or "")[:16].replace("T", " "),
            f"{row['n']:,}",
            shows,
        )
    printer().print(table)
    if any(not row["false_reject_rate_valid"] for row in rows):
        typer.echo("where a stream is not ACTIVE, the stated false-reject rate is not valid")


def show(stream: Stream, as_json: AsJson = False) -> None:
    """Show a score stream: its baseline, the anchor, the ledger of accepted shifts, what the drift monitor said."""
    with clear_end("baseline show"), _registry() as registry:
        case = the_case(registry, stream)
        client = Settings().client()
        events, _ = events_of(client, case.stream)
        proofs = proofs_of(client, case.stream)
        row = _row(registry, case)
        history = [entry for entry in registry.baseline_entries().values() if entry.stream == case.stream]
    said = {proof: "proven" if found and found.proven else "NOT PROVEN" for proof, found in proofs.items()}
    row |= {
        "acquisition": case.stream.acquisition,
        "challenge": said,
        "ledger": [] if case.baseline is None else [shift.model_dump(mode="json") for shift in case.baseline.ledger],
        "baselines": [_history(registry, case, entry) for entry in history],
        "events": [event.model_dump(mode="json", exclude_none=True) for event in events],
    }
    if as_json:
        typer.echo(json.dumps(row))
        return
    _show(case, row, events)


def top_parts(
    stream: Stream,
    many: Annotated[int | None, typer.Option("--many", min=1, help="Default: the strangest 1 %, at least 5.")] = None,
    as_json: AsJson = False,
) -> None:
    """List the strangest production parts since the present baseline: a person looks at them before signing."""
    with clear_end("baseline top"), _registry() as registry:
        case = the_case(registry, stream)
        found = list(parts_of(Settings().client(), case.stream))
        parts = pooled(part for part, _ in found if part.baseline == case.standing.stamped)
        told = {(part.epoch, part.n): evidence for part, evidence in found}
        chosen = top(parts)[:many] if many is None or many <= len(top(parts)) else sorted(parts, key=lambda p: -p.score)[:many]
        rows = [(part, told[part.epoch, part.n]) for part in chosen]
    if as_json:
        typer.echo(json.dumps([{"inspection": e.inspection, "score": p.score, "image": e.image.uri} for p, e in rows]))
        return
    typer.echo(f"{case.name}: {len(rows)} strangest of {len(parts):,} parts")
    for part, evidence in rows:
        typer.echo(f"  {part.score:10.4f}  {evidence.inspection}  {evidence.image.uri}")


class _registry:
    """A registry that has been read to the end."""

    def __enter__(self) -> BaselineRegistry:
        client = Settings().client()
        reach(client)
        self._registry = BaselineRegistry(client).start()
        self._registry.refresh()
        return self._registry

    def __exit__(self, *_: object) -> None:
        self._registry.close()


def _row(registry: BaselineRegistry, case: Case) -> dict[str, Any]:
    said = registry.baseline_states().get(case.id)
    ours = said if said is not None and said.baseline == case.standing.baseline else None
    made = fitted(case.baseline.sample) if case.baseline else None
    pointer = registry.baseline_pointers().get(case.id)
    since = ours.since if ours else pointer.at if pointer else None
    return {
        "stream": case.id,
        "station": case.stream.station,
        "view": case.stream.view,
        "product": case.stream.product,
        "model": f"{case.stream.model.name} {case.stream.model.version} {case.stream.model.profile}",
        "state": case.standing.state.upper(),
        "since": rfc3339(since) if since else None,
        "false_reject_rate_valid": case.standing.state == "active",
        "certificate_expired": bool(ours and ours.certificate_expired),
        "baseline": case.standing.baseline,
        **_figures(case.baseline, made),
    }


def _figures(message: BaselineV1 | None, made: Baseline | None) -> dict[str, Any]:
    if message is None or made is None:
        return {"n": 0, "deff": 1.0, "smallest_visible_sd": None, "arl0": None, "origin": None, "generation": None}
    return {
        "n": made.n,
        "deff": round(made.deff, 2),
        "smallest_visible_sd": None if made.blind else round(made.smallest_shift, 3),
        "arl0": made.arl0,
        "origin": message.origin,
        "generation": message.generation,
        "anchor": message.anchor,
        "certificate": message.certificate.model_dump(exclude_none=True),
    }


def _history(registry: BaselineRegistry, case: Case, entry: BaselineEntry) -> dict[str, Any]:
    """CREATED: recorded, never in force; REFRESHED: another one came after it."""
    if entry.digest == case.standing.baseline:
        state = case.standing.state.upper()
    else:
        children = (one.parent for one in registry.baseline_entries().values())
        state = "REFRESHED" if entry.digest in children else "CREATED"
    return {"baseline": entry.digest, "state": state, "origin": entry.origin, "generation": entry.generation, "n": entry.n}


def _show(case: Case, row: dict[str, Any], events: list[DriftEventV1]) -> None:
    typer.echo(case.name)
    valid = "valid" if row["false_reject_rate_valid"] else "NOT valid"
    typer.echo(f"  {row['state']} since {row['since'] or 'unknown'}; the stated false-reject rate is {valid}")
    if case.baseline is not None:
        _show_baseline(case.baseline, row)
    for old in row["baselines"]:
        rank = f"generation {old['generation']}, n {old['n']:,}"
        typer.echo(f"  {old['state']:<12} {old['baseline'][:SHORT]} {old['origin']}, {rank}")
    for proof, said in row["challenge"].items():
        typer.echo(f"  {proof} proof: {said}")
    for event in events[-_EVENTS:]:
        typer.echo(f"  {event.at:%Y-%m-%d %H:%M:%S}  {event.kind:<20} {_said(event)}")


def _show_baseline(baseline: BaselineV1, row: dict[str, Any]) -> None:
    typer.echo(f"  baseline {row['baseline'][:SHORT]}: {row['origin']}, {row['n']:,} scores, deff {row['deff']:.1f}")
    smallest = row["smallest_visible_sd"]
    seen = "shows nothing: all scores are alike" if smallest is None else f"{smallest:.2f} sd"
    typer.echo(f"  smallest visible shift {seen}; a false alarm every {row['arl0']:,.0f} parts")
    anchor = baseline.anchor or digest(baseline)
    typer.echo(f"  anchor {anchor[:SHORT]}, generation {row['generation']}; certificate: {_limits(baseline.certificate)}")
    for shift in baseline.ledger:
        how = "within the limit" if shift.silent else "ACCEPTED BEYOND THE LIMIT"
        moved = f"{shift.shift_sd:+.3f} sd, spread x {shift.scale:.2f}"
        typer.echo(f"    {shift.at:%Y-%m-%d} {moved}, {how}: {shift.who}: {shift.why}")


def _said(event: DriftEventV1) -> str:
    effect = event.effect_sd
    parts = (
        effect and effect.low is not None and f"{effect.value:+.2f} sd ({effect.low:+.2f} to {effect.high:+.2f})",
        event.change_point and f"since {event.change_point}",
        event.cause and event.cause.name.replace("_", "/"),
        event.detail,
    )
    return "; ".join(str(part) for part in parts if part)


def _limits(certificate: CertificateV1) -> str:
    found = certificate.model_dump(exclude_none=True)
    return ", ".join(f"{value:g} {name.replace('_', ' ')}" for name, value in found.items()) or "without end"
