"""The file's tables, and how it is opened. A file of another layout, or a broken one, is removed: the topic gives it again.

* known: one row a view. state: what the part stands for (`streams/review/keeping.py`); answer, label, taxonomy: what is said of
  this view. p_value: how strange it is, 1 where that is not known. sketch: float32. at_us: append time of the embedding.
* vectors: by the same id, apart: whoever reads `known` reads no vector. positions: where reading goes on.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import structlog
from sqlalchemy import URL, BigInteger, Column, Double, Engine, Index, Integer, LargeBinary, MetaData, Table, Text

from streams.wiring.adapters.database.connection import open_engine, writing

log = structlog.get_logger("embeddings")
FILE = "embeddings.db"
LAYOUT = 1
META = MetaData()


def _text(name: str, *, key: bool = False, nullable: bool = False) -> Column[Any]:
    return Column(name, Text, primary_key=key, nullable=nullable)


def _int(name: str, *, key: bool = False) -> Column[Any]:
    return Column(name, BigInteger().with_variant(Integer, "sqlite"), primary_key=key, nullable=False)


KNOWN = Table(
    "known",
    META,
    _int("id", key=True),
    _text("inspection"),
    _text("view"),
    _text("trunk"),
    _text("product"),
    _text("state"),
    *(_text(name, nullable=True) for name in ("answer", "label", "taxonomy")),
    Column("p_value", Double, nullable=False),
    _int("at_us"),
    Column("sketch", LargeBinary, nullable=False),
    Index("known_part", "inspection", "view", unique=True),
    Index("known_state", "state", "at_us"),
)
VECTORS = Table("vectors", META, _int("id", key=True), Column("vector", LargeBinary, nullable=False))
POSITIONS = Table("positions", META, _text("topic", key=True), _int("partition_no", key=True), _int("next_offset"))


def open_kept(state: Path) -> Engine:
    """state: the state folder. Raises Unavailable."""
    path = state / FILE
    if path.is_file() and not _readable(path):
        log.warning("the file of embeddings is read again from the topic: it is broken or of another layout", file=str(path))
        for name in (path, Path(f"{path}-wal"), Path(f"{path}-shm")):
            name.unlink(missing_ok=True)
    engine = open_engine(URL.create("sqlite", database=str(path)), cache_kib=2 << 10)
    with writing(engine) as connection:
        META.create_all(connection)
        connection.exec_driver_sql(f"PRAGMA user_version = {LAYOUT}")
    return engine


def _readable(path: Path) -> bool:
    try:
        with sqlite3.connect(path) as connection:
            (layout,) = connection.execute("PRAGMA user_version").fetchone()
            return bool(layout == LAYOUT and connection.execute("PRAGMA quick_check(1)").fetchone()[0] == "ok")
    except sqlite3.OperationalError:
        return True  # locked or not to be opened now: not a reason to remove it
    except sqlite3.DatabaseError:
        return False
    finally:
        connection.close()
