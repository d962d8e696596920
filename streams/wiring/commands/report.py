"""`verdictline report`: what happened in a shift, of a lot, or between two moments, as a page, as JSON, or in five lines."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated

import typer
from sqlalchemy import Connection

from streams.settings import Settings
from streams.wiring.adapters.behind import behind
from streams.wiring.adapters.database.ask_monitors import read_until
from streams.wiring.adapters.database.ask_report import places
from streams.wiring.adapters.database.rows import TOPICS
from streams.wiring.adapters.database.scope import asking
from streams.wiring.adapters.judged_twice import judged_twice
from streams.wiring.adapters.kafka import KafkaRefused, KafkaUnreachable, reach
from streams.wiring.commands.clear import INVALID, clear_end, end
from streams.wiring.report.compose import Report, as_json, compose
from streams.wiring.report.facts import OnBus, Question, gather, lot_question, nearest
from streams.wiring.report.window import Window, shift, shift_before, stretch, stretch_before


def report(
    shift_begin: Annotated[str | None, typer.Option("--shift", help="When it begins, `2026-11-28 06:00`; `last`.")] = None,
    lot: Annotated[str | None, typer.Option(help="From its first to its last part.")] = None,
    begin: Annotated[str | None, typer.Option("--from", help="`2026-11-28 06:00`, local.")] = None,
    until: Annotated[str | None, typer.Option("--to", help="`2026-11-28 14:00`, local; not in it.")] = None,
    shifts: Annotated[str, typer.Option(help="Local times at which shifts begin.")] = "06:00,14:00,22:00",
    zone: Annotated[str, typer.Option(help="Time zone of all local times, by its IANA name.")] = "UTC",
    station: Annotated[str | None, typer.Option(help="Pattern: `site-a/line-1/*`; all without.")] = None,
    product: Annotated[str | None, typer.Option(help="All without.")] = None,
    out: Annotated[Path | None, typer.Option(help="Write the page there: one HTML file, without script.")] = None,
    as_data: Annotated[bool, typer.Option("--json", help="The same as JSON, on standard output.")] = False,
) -> None:
    """Report a shift, a lot, or a stretch of time: five lines; with --out a page to forward, with --json the same as data.

    It asks the database that `verdictline run sink` fills (VERDICTLINE_DATABASE); where VERDICTLINE_KAFKA is set it also says how
    far that is behind, and whether verdicts were given twice.
    """
    if sum(one is not None for one in (shift_begin, lot, begin)) != 1 or (begin is None) != (until is None):
        end("report", "give one of: --shift TIME, --lot LOT, --from TIME --to TIME", code=INVALID)
    clocks = tuple(clock.strip() for clock in shifts.split(","))
    with clear_end("report"):
        settings, now = Settings(), datetime.now(UTC)
        window, before = _when(shift_begin, begin, until, clocks, zone, now)
        with asking(settings.database, settings.state) as connection:
            question = replace(_where(connection, station, product, window), before=before)
            if lot is not None:
                question = lot_question(connection, lot, zone, question)
            facts = gather(connection, question, now)
            facts = replace(facts, bus=_on_bus(settings, read_until(connection), question))
        made = compose(facts)
        if out is not None:
            from streams.wiring.report.render import html

            out.write_text(html(made), encoding="utf-8")
    _tell(made, out, as_data)


def _when(
    shift_begin: str | None, begin: str | None, until: str | None, clocks: tuple[str, ...], zone: str, now: datetime
) -> tuple[Window, Window | None]:
    """The window and the one before. Of a lot only the database knows: then the window is now, and replaced later."""
    if shift_begin is not None:
        window = shift(shift_begin, clocks, zone, now)
        return window, shift_before(window, clocks)
    if begin is not None and until is not None:
        window = stretch(begin, until, zone)
        return window, stretch_before(window)
    return Window(kind="lot", name="", begin=now, end=now, zone=zone), None


def _where(connection: Connection, station: str | None, product: str | None, window: Window) -> Question:
    """Raises ValueError for a pattern or a product that fits nothing, with the nearest names."""
    if station is None and product is None:
        return Question(window=window, before=None)
    known = places(connection)
    stations, products = sorted({one for one, _ in known}), sorted({one for _, one in known})
    if product is not None and product not in products:
        raise ValueError(f"--product: nothing was inspected of {product!r}{nearest(product, products)}")
    mine = tuple(one for one in stations if station is not None and fnmatchcase(one, station))
    if station is not None and not mine:
        raise ValueError(f"--station: {station!r} fits no station{nearest(station, stations)}")
    chosen = () if product is None else (product,)
    return Question(window=window, before=None, stations=mine, products=chosen, asked_for=station or "")


def _on_bus(settings: Settings, read: dict[tuple[str, int], int], question: Question) -> OnBus | None:
    """What Kafka says beside the database; None where none is named or none answers: the report then says so."""
    if settings.kafka is None:
        return None
    client = settings.client()
    try:
        reach(client)
        left = behind(client, TOPICS, read)
        twice = judged_twice(client, question.window.begin, question.window.end, question.stations)
    except (KafkaUnreachable, KafkaRefused) as error:
        typer.echo(f"verdictline report: {error}", err=True)
        return None
    return OnBus(behind=left, verdicts=twice.records, copies=twice.copies, conflicts=twice.conflicts)


def _tell(made: Report, out: Path | None, as_data: bool) -> None:
    if as_data:
        typer.echo(as_json(made).decode())
        return
    typer.echo(f"{made.about.kind}: {made.about.name} {made.about.zone}")
    for text in made.lacking:
        typer.echo(f"! {text}")
    for line in made.headline:
        typer.echo(f"{'!' if line.attention else ' '} {line.head + ':':<13}{line.text}")
    if out is not None:
        typer.echo(f"written: {out}")
