"""Which parts a question is about, and opening the database to ask. Knows the columns that most tables share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy import ColumnElement, Connection, Table

from schemas.common import Purpose
from streams.wiring.adapters.database.connection import database_url, open_engine, reading
from streams.wiring.adapters.database.migrate import schema
from streams.wiring.adapters.database.rows import micros


class NoDatabase(ValueError):
    """There is none yet: no sink has run here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """begin <= at < end, by the time of capture (of a subgroup: its end); empty or None: all of them.

    lots and purposes hold where a table tells them.
    """

    begin: datetime | None = None
    end: datetime | None = None
    stations: tuple[str, ...] = ()
    products: tuple[str, ...] = ()
    lots: tuple[str, ...] = ()
    purposes: tuple[Purpose, ...] = ("production",)


def within(scope: Scope, table: Table) -> list[ColumnElement[bool]]:
    """The conditions for a table's `where`."""
    found: list[ColumnElement[bool]] = []
    if scope.begin is not None:
        found.append(table.c.at_us >= micros(scope.begin))
    if scope.end is not None:
        found.append(table.c.at_us < micros(scope.end))
    pairs = (("station", scope.stations), ("product", scope.products), ("lot", scope.lots), ("purpose", scope.purposes))
    return found + [table.c[name].in_(allowed) for name, allowed in pairs if allowed and name in table.c]


@contextmanager
def asking(database: str | None, state: Path) -> Iterator[Connection]:
    """One snapshot to ask questions of. database, state: as in Settings.

    Raises NoDatabase, ValueError where it is one of another version, Unavailable.
    """
    url = database_url(database, state)
    if url.drivername == "sqlite" and not Path(str(url.database)).is_file():
        raise NoDatabase(f"{url.database}: no database yet: `verdictline run sink` fills it (VERDICTLINE_DATABASE names another)")
    engine = open_engine(url)
    try:
        found = schema(engine)
        if not found.up_to_date:
            older = f"database has schema {found.current or 'none'}, this program has {found.head}"
            raise ValueError(f"{older}: `verdictline db migrate`" if found.known else f"{older}: update this program")
        with reading(engine) as connection:
            yield connection
    finally:
        engine.dispose()
