"""A database for one question, filled from the topics themselves: for small windows, and where no sink runs."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from schemas.envelope import ContractError, Received, to_millis
from schemas.topics import EVIDENCE, LABEL, MODEL_SET, POLICY, VERDICT
from streams.wiring.adapters.database.connection import database_url, open_engine
from streams.wiring.adapters.database.migrate import migrate
from streams.wiring.adapters.database.rows import rows_of
from streams.wiring.adapters.database.store import Store, Write
from streams.wiring.adapters.kafka import read_all, read_since

_MANY = 4000  # records in one transaction
_EARLIER_MS = 3_600_000  # a part may have been captured before it could be announced


def filled_from_log(client: Mapping[str, Any], folder: Path, begin: datetime | None, end: datetime | None) -> None:
    """The parts that were announced between begin (less an hour) and end, into a file of that folder.

    Raises KafkaUnreachable, KafkaRefused.
    """
    engine = open_engine(database_url(None, folder))
    migrate(engine)
    store = Store(engine)
    _fill(store, list(read_all(client, [POLICY, MODEL_SET])))
    since_ms = None if begin is None else to_millis(begin) - _EARLIER_MS
    until_ms = None if end is None else to_millis(end)
    batch: list[Received] = []
    for record in read_since(client, [EVIDENCE, VERDICT, LABEL], since_ms):
        if until_ms is None or record.topic == LABEL or record.timestamp_ms < until_ms:
            batch.append(record)
        if len(batch) == _MANY:
            _fill(store, batch)
            batch = []
    _fill(store, batch)
    engine.dispose()


def _fill(store: Store, records: list[Received]) -> None:
    writes = []
    for record in records:
        try:
            rows = rows_of(record) if record.value is not None else []
        except ContractError:
            continue  # the sink, too, leaves out what cannot be read
        writes.append(Write(place=(record.topic, record.partition), offset=record.offset, rows=rows))
    store.write(writes)
