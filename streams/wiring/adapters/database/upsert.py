"""The statements that write rows: insert, or replace by the table's rule. The text is one for both databases but for the source.

SQLite gets a row at a time from a prepared statement; PostgreSQL one JSON document a table, which it takes apart itself: its
driver is pure Python, and a round trip a row would cost more than all the rest.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from sqlalchemy import Connection

from streams.wiring.adapters.database.merge import Values, key_of, keys, rank
from streams.wiring.adapters.database.tables import META, STAMPS


def upsert(connection: Connection, batch: Mapping[str, Sequence[Values]]) -> None:
    """table -> rows, each key once. Tables in the order of their names: two writers cannot wait for each other."""
    for table in sorted(batch):
        rows = sorted(batch[table], key=key_of(table))
        if connection.dialect.name == "sqlite":
            connection.exec_driver_sql(_from_values(table), rows)
        else:
            connection.exec_driver_sql(_from_json(table), (json.dumps(rows, ensure_ascii=False),))


@cache
def _from_values(table: str) -> str:
    values = ", ".join(f":{name}" for name in _columns(table))
    return f"INSERT INTO {table} ({', '.join(_columns(table))}) VALUES ({values}) {_conflict(table)}"


@cache
def _from_json(table: str) -> str:
    columns = ", ".join(_columns(table))
    source = f"json_populate_recordset(NULL::{table}, CAST(%s AS json))"
    return f"INSERT INTO {table} ({columns}) SELECT {columns} FROM {source} {_conflict(table)}"


def _conflict(table: str) -> str:
    column, sign = rank(table)
    key = ", ".join(keys(table))
    if column is None:
        return f"ON CONFLICT ({key}) DO NOTHING"
    newer = f"excluded.{column} {'>' if sign > 0 else '<'} {table}.{column}"
    stamps = STAMPS.get(table, ())
    others = [name for name in _columns(table) if name not in keys(table) and name not in stamps]
    if not stamps:
        sets = ", ".join(f"{name} = excluded.{name}" for name in others)
        return f"ON CONFLICT ({key}) DO UPDATE SET {sets} WHERE {newer}"
    chosen = [f"{name} = CASE WHEN {newer} THEN excluded.{name} ELSE {table}.{name} END" for name in others]
    kept = [
        f"{name} = CASE WHEN {newer} THEN COALESCE(excluded.{name}, {table}.{name}) "
        f"ELSE COALESCE({table}.{name}, excluded.{name}) END"
        for name in stamps
    ]
    brings = " OR ".join(f"({table}.{name} IS NULL AND excluded.{name} IS NOT NULL)" for name in stamps)
    return f"ON CONFLICT ({key}) DO UPDATE SET {', '.join([*chosen, *kept])} WHERE {newer} OR {brings}"


@cache
def _columns(table: str) -> tuple[str, ...]:
    return tuple(column.name for column in META.tables[table].columns)


def dump(connection: Connection, table: str) -> list[dict[str, Any]]:
    """Every row, in the order of its keys: for comparing two databases."""
    found = META.tables[table]
    rows = connection.execute(found.select().order_by(*found.primary_key.columns))
    return [dict(row) for row in rows.mappings()]
