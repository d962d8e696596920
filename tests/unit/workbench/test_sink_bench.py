"""The sink's bench writes rows by itself, for speed: they are those that its messages would become."""

from __future__ import annotations

from datetime import UTC, datetime

from schemas.envelope import Received
from streams.wiring.adapters.database.rows import Row, rows_of
from streams.workbench.sink_bench.parts import Parts

START = datetime(2026, 1, 5, 6, tzinfo=UTC)
BY_CHANCE = {"log_offset", "at_us", "announced_us", "decided_us", "cells", "heat", "reasons", "used"}  # of the log, or left out


def written(rows: list[Row]) -> dict[tuple[str, str | None], dict[str, object]]:
    """By table, and stage where there are several."""
    return {(table, str(row["stage"]) if "stage" in row else None): dict(row) for table, row in rows}


def test_rows_are_those_of_the_messages() -> None:
    parts = Parts(START)
    received = [
        Received(topic=r.topic, partition=0, offset=n, timestamp_ms=0, key=r.key, value=r.value, headers=r.headers)
        for n, r in enumerate(parts.records(0, 1))
    ]
    expected = written([row for record in received for row in rows_of(record)])
    (found,) = (written(rows) for rows in parts.rows(0, 1))
    assert found.keys() == expected.keys()
    for place, row in found.items():
        assert row.keys() == expected[place].keys(), place
        known = row.keys() - BY_CHANCE
        assert {name: row[name] for name in known} == {name: expected[place][name] for name in known}, place
