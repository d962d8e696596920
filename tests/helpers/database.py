"""A database for a test, empty but for its schema, and records written to it as the sink writes them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from sqlalchemy import Engine

from schemas.envelope import Received
from streams.wiring.adapters.database.connection import FILE, database_url, open_engine, reading
from streams.wiring.adapters.database.migrate import migrate
from streams.wiring.adapters.database.rows import rows_of
from streams.wiring.adapters.database.store import Store, Write
from streams.wiring.adapters.database.tables import content
from streams.wiring.adapters.database.upsert import dump


def fresh_engine(named: str | None, folder: Path) -> Engine:
    """named: None is a file in the folder."""
    if named is None:
        return _copied(_file(()), folder)
    engine = open_engine(database_url(named, folder))
    migrate(engine)
    return engine


def filled_engine(records: tuple[Received, ...], folder: Path) -> Engine:
    """A file in the folder, with these records in it."""
    return _copied(_file(records), folder)


def _copied(content: bytes, folder: Path) -> Engine:
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / FILE).open("xb") as file:
        file.write(content)
    return open_engine(database_url(None, folder))


@lru_cache(16)
def _file(records: tuple[Received, ...]) -> bytes:
    """Made once, and copied for each test."""
    with TemporaryDirectory() as folder:
        engine = open_engine(database_url(None, Path(folder)))
        migrate(engine)
        write(Store(engine), records)
        engine.dispose()
        return (Path(folder) / FILE).read_bytes()


def write(store: Store, records: Sequence[Received], size: int = 100) -> None:
    """In transactions of so many records."""
    for i in range(0, len(records), size):
        store.write([Write(place=(r.topic, r.partition), offset=r.offset, rows=rows_of(r)) for r in records[i : i + size]])


def everything(engine: Engine) -> dict[str, list[dict[str, Any]]]:
    """Every table's rows in the order of their keys, without what is the sink's own."""
    with reading(engine) as connection:
        return {table.name: dump(connection, table.name) for table in content()}
