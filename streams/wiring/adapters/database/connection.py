"""Where the database is, how it is opened, and what its errors mean. Knows no table.

SQLite runs in WAL: readers and the one writer do not wait for each other. `synchronous` is NORMAL: a power failure may take the
last transactions, and their positions with them, so they are read from Kafka again. Where a database holds what no topic has,
it has to be FULL.
"""

from __future__ import annotations

import sqlite3
import ssl
from collections.abc import Iterator, Mapping, Sequence
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
_MODES = ("disable", "prefer", "require", "verify-ca", "verify-full")
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
        _check(url.query)
        return url.set(drivername="postgresql+pg8000")
    raise ValueError(f"VERDICTLINE_DATABASE: {url.drivername!r} is not known: sqlite or postgresql")


def _check(query: Mapping[str, Any]) -> None:
    """What may stand behind `?`, as PostgreSQL's own clients write it. Raises ValueError."""
    if strange := sorted(query.keys() - {"host", "sslmode", "sslrootcert"}):
        raise ValueError(
            f"VERDICTLINE_DATABASE: ?{strange[0]}= is not known: sslmode, sslrootcert, or host with a socket's folder"
        )
    mode, root, host = query.get("sslmode", "prefer"), query.get("sslrootcert"), query.get("host", "/")
    if mode not in _MODES:
        raise ValueError(f"VERDICTLINE_DATABASE: ?sslmode={mode} is not known: {', '.join(_MODES)}")
    if root is not None and not Path(str(root)).is_file():
        raise ValueError(f"VERDICTLINE_DATABASE: ?sslrootcert={root}: there is no such file")
    if not str(host).startswith("/"):
        raise ValueError(f"VERDICTLINE_DATABASE: ?host={host}: a server stands before the name of the database; here is a folder")


def _driver(url: URL) -> tuple[URL, dict[str, Any]]:
    """The URL without its query, and the driver's arguments for that."""
    arguments: dict[str, Any] = {"timeout": 10}
    if folder := url.query.get("host"):
        arguments["unix_sock"] = f"{folder}/.s.PGSQL.{url.port or 5432}"
    if (mode := url.query.get("sslmode", "prefer")) != "prefer":  # then it is encrypted where the server can
        arguments["ssl_context"] = False if mode == "disable" else _tls(str(mode), url.query.get("sslrootcert"))
    return url.set(query={}), arguments


def _tls(mode: str, root: Any) -> ssl.SSLContext:
    """As libpq does: `require` only encrypts, unless roots are named; `verify-full` also wants the host's name in it."""
    context = ssl.create_default_context(cafile=root)
    context.check_hostname = mode == "verify-full"
    if mode == "require" and root is None:
        context.verify_mode = ssl.CERT_NONE
    return context


def open_engine(url: URL, synchronous: Literal["NORMAL", "FULL"] = "NORMAL", cache_kib: int = 32 << 10) -> Engine:
    """Opens nothing yet. Connections are checked before they are used. synchronous, cache_kib (a connection): of SQLite."""
    if url.drivername != "sqlite":
        server, arguments = _driver(url)
        return create_engine(server, pool_size=2, max_overflow=2, pool_pre_ping=True, connect_args=arguments)
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


def portions(names: Sequence[Any], size: int = 500) -> Iterator[Sequence[Any]]:
    """So many at a time: a statement takes only so many names."""
    yield from (names[begin : begin + size] for begin in range(0, len(names), size))


def _of_the_row(error: DBAPIError) -> bool:
    original = error.orig
    if isinstance(original, sqlite3.Error):
        return not isinstance(error, (OperationalError, InterfaceError)) and isinstance(
            original, (sqlite3.DataError, sqlite3.IntegrityError)
        )
    facts = original.args[0] if original is not None and original.args else None
    return isinstance(facts, dict) and str(facts.get("C", ""))[:2] in _OF_THE_ROW
