"""`verdictline db migrate|status|rebuild`: the sink's database: its schema, what is in it, and making it anew from the topics."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from itertools import islice
from typing import Annotated, Any

import typer
from rich.table import Table
from sqlalchemy import Engine

from schemas.envelope import ContractError, Received, rfc3339
from streams.settings import Settings
from streams.wiring.adapters.database import ask_monitors
from streams.wiring.adapters.database.connection import NotStorable, database_url, open_engine
from streams.wiring.adapters.database.migrate import Schema, migrate, schema
from streams.wiring.adapters.database.rows import TOPICS, micros, rows_of
from streams.wiring.adapters.database.scope import asking
from streams.wiring.adapters.database.sizes import sizes
from streams.wiring.adapters.database.store import Store, Write
from streams.wiring.adapters.kafka import ends, reach, read_all, starts
from streams.wiring.commands.clear import clear_end, end
from streams.wiring.commands.printing import printer

_MANY = 4000  # records in one transaction
AsJson = Annotated[bool, typer.Option("--json", help="As one line of JSON.")]


def bring_up(as_json: AsJson = False) -> None:
    """Bring the schema to this program's version; a database of a newer program is refused. The sink does it at its start."""
    with clear_end("db migrate"):
        engine = _engine(Settings())
        before, after = schema(engine), migrate(engine)
    done = {"before": before.current, "now": after.current}
    typer.echo(json.dumps(done) if as_json else f"schema {after.current}" + ("" if before != after else ", as before"))


def status(as_json: AsJson = False) -> None:
    """Rows by table, how far the topics have been read, and what is missing for good."""
    with clear_end("db status"):
        settings = Settings()
        found = schema(_engine(settings))
        data: dict[str, Any] = {"database": _shown(settings), "schema": found.current, "program": found.head}
        if found.up_to_date:
            data |= _content(settings)
    if as_json:
        typer.echo(json.dumps(data))
    else:
        _print(data, found)


def rebuild(
    erase: Annotated[bool, typer.Option("--erase", help="Yes: what the database holds may go.")] = False, as_json: AsJson = False
) -> None:
    """Empty the database and read all topics into it again, as far as Kafka still has them."""
    with clear_end("db rebuild"):
        settings = Settings()
        client = settings.client()
        reach(client)
        engine = _engine(settings)
        migrate(engine)
        if not erase and Store(engine).positions():
            end("db rebuild", f"{_shown(settings)} is not empty: --erase says that its content may go; the topics give it again")
        first, records = starts(client, TOPICS), read_all(client, TOPICS)  # before anything is erased: they may be refused
        Store(engine).begin_rebuild(first, micros(datetime.now(UTC)))
        read, unreadable = fill(Store(engine), records)
    done = {"records": read, "unreadable": unreadable}
    typer.echo(json.dumps(done) if as_json else f"{read} records read, {unreadable} of them unreadable")


def fill(store: Store, records: Iterator[Received]) -> tuple[int, int]:
    """(records, how many could not be read or stored). A sink that runs meanwhile does no harm: the rows are the same."""
    read = unreadable = 0
    while chunk := list(islice(records, _MANY)):
        writes = [write for record in chunk if (write := _write(record)) is not None]
        unreadable += len(chunk) - len(writes)
        read += len(chunk)
        try:
            store.write(writes)
        except NotStorable:
            unreadable += sum(not _stored(store, write) for write in writes)
    store.end_rebuild()
    return read, unreadable


def _stored(store: Store, write: Write) -> bool:
    """False: the sink made it a dead letter."""
    try:
        store.write([write])
    except NotStorable:
        return False
    return True


def _write(record: Received) -> Write | None:
    """None: the sink made it a dead letter."""
    try:
        rows = rows_of(record) if record.value is not None else []
    except ContractError:
        return None
    return Write(place=(record.topic, record.partition), offset=record.offset, rows=rows)


def _engine(settings: Settings) -> Engine:
    return open_engine(database_url(settings.database, settings.state))


def _shown(settings: Settings) -> str:
    return database_url(settings.database, settings.state).render_as_string(hide_password=True)


def _content(settings: Settings) -> dict[str, Any]:
    with asking(settings.database, settings.state) as connection:
        since, rebuilding = ask_monitors.kept_since(connection), ask_monitors.rebuilding(connection)
        positions = ask_monitors.read_until(connection)
        gaps = [
            {"topic": gap.topic, "partition": gap.partition, "wanted": gap.wanted, "first": gap.first_left}
            for gap in ask_monitors.gaps(connection)
        ]
        rows = sizes(connection)
    return {
        "rows": rows,
        "kept_since": None if since is None else rfc3339(since),
        "rebuilding": rebuilding,
        "gaps": gaps,
        "behind": None if settings.kafka is None else _behind(settings.client(), positions),
    }


def _behind(client: Mapping[str, Any], positions: Mapping[tuple[str, int], int]) -> dict[str, int]:
    """topic -> records that the sink has not read: an upper bound, markers of transactions and ticks have offsets too."""
    reach(client)
    found: dict[str, int] = {}
    for place, last in ends(client, list(TOPICS)).items():
        found[place[0]] = found.get(place[0], 0) + max(last - positions.get(place, 0), 0)
    return found


def _print(data: Mapping[str, Any], found: Schema) -> None:
    typer.echo(f"{data['database']}: schema {found.current or 'none'}, this program has {found.head}")
    if not found.up_to_date:
        typer.echo("`verdictline db migrate` brings it up" if found.known else "a newer program has changed it: update this one")
        return
    table = Table("table", "rows", box=None, pad_edge=False)
    for name, rows in data["rows"].items():
        table.add_row(name, str(rows))
    printer().print(table)
    if data["rebuilding"]:
        typer.echo("it is being made anew, or that was cut off: rows are missing until `db rebuild` ends or a sink starts")
    typer.echo(f"parts older than {data['kept_since']} were removed (VERDICTLINE_DATABASE_DAYS)" if data["kept_since"] else "")
    for gap in data["gaps"]:
        typer.echo(f"{gap['topic']}/{gap['partition']}: {_lost(gap['wanted'], gap['first'])}")
    for topic, records in (data["behind"] or {}).items():
        typer.echo(f"{topic}: at most {records} records not read yet")


def _lost(wanted: int, first: int) -> str:
    if first < wanted:
        return f"the log was cut or made anew: it begins with record {first}, where record {wanted} was next"
    return f"records {wanted} to {first - 1} were gone before they were read"
