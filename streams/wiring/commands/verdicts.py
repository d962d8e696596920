"""`verdictline verdicts`: what verdict.v1 says, as lines for people or as JSON. Judges nothing."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Annotated, Any

import typer
from confluent_kafka import TopicPartition
from rich.console import Console
from rich.markup import escape

from schemas.codec import Reader as Codec
from schemas.envelope import ContractError, Received, rfc3339
from schemas.topics import VERDICT
from schemas.verdict import VerdictV1
from streams.settings import Settings
from streams.wiring.adapters.kafka import Reader, ends, reach, starts, unreachable
from streams.wiring.commands.clear import clear_end
from streams.wiring.commands.printing import printer
from streams.wiring.driver import Key

_SILENCE_S = 30.0
_COLOURS = {"pass": "green", "rework": "yellow", "scrap": "red", "review": "cyan", "no_verdict": "magenta"}


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """Empty: all of them."""

    stations: tuple[str, ...]
    products: tuple[str, ...]
    dispositions: tuple[str, ...]

    def has(self, verdict: VerdictV1) -> bool:
        pairs = (
            (self.stations, verdict.station),
            (self.products, verdict.product),
            (self.dispositions, verdict.disposition),
        )
        return all(not allowed or value in allowed for allowed, value in pairs)


@dataclass
class Seen:
    """Verdicts by inspection and revision: a copy counts once, the highest revision is the one in effect."""

    found: dict[tuple[str, int], VerdictV1] = field(default_factory=dict)
    highest: dict[str, int] = field(default_factory=dict)
    unreadable: int = 0

    def take(self, received: Received, codec: Codec) -> VerdictV1 | None:
        """The verdict; None for a copy, and for a record that is none (counted where it should be one)."""
        try:
            read = codec.read(received)
        except ContractError:
            self.unreadable += 1
            return None
        if read is None or not isinstance(verdict := read[1], VerdictV1):
            return None
        key = (verdict.inspection, verdict.revision)
        if key in self.found:
            return None
        self.found[key] = verdict
        self.highest[verdict.inspection] = max(verdict.revision, self.highest.get(verdict.inspection, 0))
        return verdict


def verdicts(
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Stay, and show each as it comes, until Ctrl-C.")] = False,
    station: Annotated[list[str] | None, typer.Option(help="SITE/LINE/STATION; may be given several times.")] = None,
    product: Annotated[list[str] | None, typer.Option(help="May be given several times.")] = None,
    disposition: Annotated[list[str] | None, typer.Option(help="pass, rework, scrap, review or no_verdict.")] = None,
    last: Annotated[int | None, typer.Option(min=0, help="The latest N, 0 for all. Default: 50, none with --follow.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="A line of JSON each; `effective` tells the highest revision.")] = False,
) -> None:
    """Show verdicts. Of several revisions the highest is in effect.

    `rate not valid`: the policy's false-reject rate does not hold, because the baseline of a view is not active.
    """
    wanted = Wanted(
        stations=tuple(station or ()),
        products=tuple(product or ()),
        dispositions=_known(disposition or []),
    )
    many = last if last is not None else (None if follow else 50)
    tell = _json_line if as_json else _line
    with clear_end("verdicts"):
        try:
            client = Settings().client()
            reach(client)
            at, more = _show_last(client, wanted, many, tell)
            if more and last is None:
                typer.echo("there are earlier ones: --last 0 shows all", err=True)
            if follow:
                _show_new(client, wanted, at, tell)
        except KeyboardInterrupt:
            raise typer.Exit(0) from None


def _known(names: list[str]) -> tuple[str, ...]:
    if strangers := [name for name in names if name not in _COLOURS]:
        raise typer.BadParameter(f"{', '.join(strangers)}: use {', '.join(_COLOURS)}", param_hint="--disposition")
    return tuple(names)


def _show_last(
    client: Mapping[str, Any], wanted: Wanted, many: int | None, tell: Callable[[VerdictV1, bool], None]
) -> tuple[dict[Key, int], bool]:
    """Shows the latest of what is there; (the ends that it was read to, whether there are earlier ones)."""
    end = ends(client, [VERDICT])
    if many is None:
        return end, False
    first = starts(client, [VERDICT])
    window = 4 * many or max(end.values(), default=0)
    while True:  # further back, until there are enough: a topic may hold years
        begin = {key: max(first[key], end[key] - window) for key in end}
        seen = Seen()
        codec = Codec(VerdictV1)
        found = [v for r in _between(client, begin, end) if (v := seen.take(r, codec)) is not None and wanted.has(v)]
        if begin == first or (many and len(found) >= many):
            break
        window *= 8
    found.sort(key=lambda v: (v.decided_at, v.inspection, v.revision))
    for verdict in found[-many:] if many else found:
        tell(verdict, seen.highest[verdict.inspection] == verdict.revision)
    _tell_unreadable(seen)
    return end, bool(many) and (begin != first or len(found) > many)


def _tell_unreadable(seen: Seen) -> None:
    if seen.unreadable:
        typer.echo(f"{seen.unreadable} records in {VERDICT} are no readable verdicts", err=True)


def _between(client: Mapping[str, Any], begin: Mapping[Key, int], end: Mapping[Key, int]) -> Iterator[Received]:
    todo = {key for key in end if begin[key] < end[key]}
    if not todo:
        return
    with Reader(client, [TopicPartition(*key, begin[key]) for key in todo]) as reader:
        while todo:
            records = reader.take(_SILENCE_S)
            if records is None:
                raise unreachable(client, TimeoutError(f"no record for {_SILENCE_S:.0f} s"))
            yield from (r for r in records if r.offset < end[r.topic, r.partition])
            todo -= {key for key in todo if reader.at[key] >= end[key]}


def _show_new(client: Mapping[str, Any], wanted: Wanted, at: Mapping[Key, int], tell: Callable[[VerdictV1, bool], None]) -> None:
    """As they come, for ever. A verdict that comes is in effect: revisions of a part come in order."""
    codec = Codec(VerdictV1)
    with Reader(client, [TopicPartition(*key, offset) for key, offset in at.items()]) as reader:
        while True:
            for received in reader.take(0.5) or ():
                one = Seen()
                verdict = one.take(received, codec)
                _tell_unreadable(one)
                if verdict is not None and wanted.has(verdict):
                    tell(verdict, True)


def _json_line(verdict: VerdictV1, effective: bool) -> None:
    typer.echo(json.dumps({**verdict.model_dump(mode="json", exclude_none=True), "effective": effective}))


def _line(verdict: VerdictV1, effective: bool) -> None:
    why = verdict.reasons[0]
    place = f" in {why.view}" if why.view else ""
    more = f" (+{len(verdict.reasons) - 1})" if len(verdict.reasons) > 1 else ""
    marks = [
        f"revision {verdict.revision}" if verdict.revision > 1 else "",
        "" if effective else "superseded",
        f"by {verdict.who}" if verdict.who else "",
        "late" if verdict.late else "",
        "audit" if verdict.audit else "",
        _doubt(verdict),
    ]
    colour = _COLOURS[verdict.disposition] if effective else "dim"
    cells = (
        rfc3339(verdict.decided_at)[:23].replace("T", " "),
        f"[{colour}]{verdict.disposition:<10}[/]",
        escape(verdict.inspection),
        escape(verdict.product),
        escape(verdict.label or "-"),
        escape(f"{why.code}{place}{f': {why.detail}' if why.detail else ''}{more}"),
        escape(f"[{', '.join(m for m in marks if m)}]") if any(marks) else "",
    )
    _console().print("  ".join(cell for cell in cells if cell), highlight=False, soft_wrap=True)


def _doubt(verdict: VerdictV1) -> str:
    """Why the policy's false-reject rate is not valid for this part; empty where it is, or where there is none."""
    if verdict.false_reject_rate_valid is not False:
        return ""
    states = [f"{view} {stamp.state}" for view, stamp in sorted(verdict.baselines.items()) if stamp.state != "active"]
    return f"rate not valid: {', '.join(states) or 'no baseline known'}"


@cache
def _console() -> Console:
    return printer()
