"""Where the database is, how it is opened, and what its errors mean. Knows no table.

SQLite runs in WAL: readers and the one writer do not wait for each other. `synchronous` is NORMAL: a power failure may take the
last transactions, and their positions with them, so they are read from Kafka again. Where a database holds what no topic has,
it has to be FULL.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Literal

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, InterfaceError, OperationalError, TimeoutError

from streams.fates import Unavailable, Unprocessable

FILE = "verdictline.db"
_BUSY_S = 5.0
_OF_THE_ROW = ("22", "23", "54")  # SQLSTATE classes: data exception, integrity, a limit of the program


class NotStorable(Unprocessable):
    """The database refuses these values, to keep them or to look for them: trying again cannot help."""

    def __init__(self, detail: str) -> None:
        super().__init__("not_storable", detail)


def database_url(database: str | None, state: Path) -> URL:
    """database: VERDICTLINE_DATABASE; None: a file in the state folder. Raises ValueError."""
    if database is None:
        return URL.create("sqlite", database=str(state / FILE))
    try:
        url = make_url(database)
    except ArgumentError as error:
        raise ValueError(
            "VERDICTLINE_DATABASE is no URL: write sqlite:///path or postgresql://user:password@host/name"
        ) from error
    if url.drivername == "sqlite" and url.database:
        return url
    if url.drivername in ("postgresql", "postgres", "postgresql+pg8000"):
        return _through_socket(url.set(drivername="postgresql+pg8000"))
    raise ValueError(f"VERDICTLINE_DATABASE: {url.drivername!r} is not known: sqlite or postgresql")


def _through_socket(url: URL) -> URL:
    """`?host=/folder`, as PostgreSQL's own clients write it, in the driver's words."""
    folder = url.query.get("host")
    if not isinstance(folder, str) or not folder.startswith("/"):
        return url
    return url.difference_update_query(["host"]).update_query_dict({"unix_sock": f"{folder}/.s.PGSQL.{url.port or 5432}"})


def open_engine(url: URL, synchronous: Literal["NORMAL", "FULL"] = "NORMAL", cache_kib: int = 32 << 10) -> Engine:
    """Opens nothing yet. Connections are checked before they are used. synchronous, cache_kib (a connection): of SQLite."""
    if url.drivername != "sqlite":
        return create_engine(url, pool_size=2, max_overflow=2, pool_pre_ping=True, connect_args={"timeout": 10})
    Path(str(url.database)).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(url, connect_args={"timeout": _BUSY_S})
    event.listen(engine, "connect", partial(_prepare, synchronous=synchronous, cache_kib=cache_kib))
    event.listen(engine, "begin", _begin)
    return engine


def _prepare(connection: sqlite3.Connection, _: Any, *, synchronous: str, cache_kib: int) -> None:
    connection.isolation_level = None  # transactions are begun below: the driver would begin them too late
    for line in (
        "journal_mode=WAL",
        f"synchronous={synchronous}",
        f"cache_size=-{cache_kib}",
        "journal_size_limit=67108864",
    ):
        connection.execute(f"PRAGMA {line}")


def _begin(connection: Connection) -> None:
    writes = connection.get_execution_options().get("writes")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """One transaction; of several writers of a file the others wait. Raises Unavailable, NotStorable."""
    with told_apart(engine), engine.connect() as connection, connection.execution_options(writes=True).begin():
        yield connection


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """One snapshot. Raises Unavailable, NotStorable."""
    with told_apart(engine), engine.connect() as connection:
        if engine.dialect.name == "postgresql":
            connection = connection.execution_options(isolation_level="REPEATABLE READ")
        with connection.begin():
            yield connection


@contextmanager
def told_apart(engine: Engine) -> Iterator[None]:
    """The driver's errors as one of two: the database is away, full, locked or not as it should be; or these values cannot be."""
    try:
        yield
    except (OverflowError, UnicodeError) as error:  # a number or text that the driver cannot hand over
        raise NotStorable(f"{type(error).__name__}: {error}") from error
    except (DBAPIError, TimeoutError, OSError) as error:
        if isinstance(error, DBAPIError) and _of_the_row(error):
            raise NotStorable(str(error.orig)) from error
        engine.dispose()
        said = error.orig if isinstance(error, DBAPIError) else error
        raise Unavailable(f"database {engine.url.render_as_string(hide_password=True)}: {said}") from error


def _of_the_row(error: DBAPIError) -> bool:
    original = error.orig
    if isinstance(original, sqlite3.Error):
        return not isinstance(error, (OperationalError, InterfaceError)) and isinstance(
            original, (sqlite3.DataError, sqlite3.IntegrityError)
        )
    facts = original.args[0] if original is not None and original.args else None
    return isinstance(facts, dict) and str(facts.get("C", ""))[:2] in _OF_THE_ROW
