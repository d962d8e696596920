"""Many rows for one transaction: by table, each key once. Pure: order and repeats of the rows do not matter.

The rules are those of the upsert (`upsert.py`): what this merges, and what the table holds, are compared alike.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cache
from operator import itemgetter
from typing import Any

from streams.wiring.adapters.database.rows import Row
from streams.wiring.adapters.database.tables import FIRST, HIGHEST, LATEST, META, STAMPS

Values = dict[str, Any]


def merged(rows: Iterable[Row]) -> dict[str, list[Values]]:
    """table -> its rows. Of two with one key the one that the table's rule keeps, with both's stamps; of equals the first."""
    kept: dict[str, dict[tuple[Any, ...], Values]] = {}
    for table, row in rows:
        mine = kept.setdefault(table, {})
        key = key_of(table)(row)
        before = mine.get(key)
        mine[key] = row if before is None else _of_two(table, row, before)
    return {table: list(found.values()) for table, found in kept.items()}


def _of_two(table: str, row: Values, before: Values) -> Values:
    kept, other = (row, before) if _replaces(table, row, before) else (before, row)
    stamps = {name: other[name] for name in STAMPS.get(table, ()) if kept[name] is None and other[name] is not None}
    return {**kept, **stamps} if stamps else kept


def _replaces(table: str, row: Mapping[str, Any], before: Mapping[str, Any]) -> bool:
    column, sign = rank(table)
    return column is not None and bool(sign * row[column] > sign * before[column])


@cache
def rank(table: str) -> tuple[str | None, int]:
    """The column that decides between two rows of one key, and whether the higher (1) or the lower (-1) value stays."""
    if table in HIGHEST:
        return HIGHEST[table], 1
    if table in LATEST:
        return "log_offset", 1
    return ("log_offset", -1) if table in FIRST else (None, 0)


@cache
def key_of(table: str) -> Callable[[Values], tuple[Any, ...]]:
    """Gives a row's key."""
    names = keys(table)
    return itemgetter(*names) if len(names) > 1 else lambda row: (row[names[0]],)


@cache
def keys(table: str) -> tuple[str, ...]:
    return tuple(column.name for column in META.tables[table].primary_key.columns)
