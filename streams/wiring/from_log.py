"""A database for one question, filled from the topics themselves: for small windows, and where no sink runs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

from schemas.envelope import ContractError, Received, from_millis, taken_at, to_millis
from schemas.evidence import AnnouncedV1
from schemas.topics import EVIDENCE, LABEL, MODEL_SET, POLICY, VERDICT
from streams.wiring.adapters.database.connection import database_url, open_engine
from streams.wiring.adapters.database.migrate import migrate
from streams.wiring.adapters.database.rows import rows_of
from streams.wiring.adapters.database.store import Store, Write
from streams.wiring.adapters.kafka import read_all, read_since

_MANY = 4000  # records in one transaction
_NEVER = datetime.max.replace(tzinfo=UTC)
_EARLIER_MS = 3_600_000  # a part may have been captured before it could be announced


def filled_from_log(client: Mapping[str, Any], folder: Path, begin: datetime | None, end: datetime | None) -> None:
    """The parts that were captured between begin and end, and some before, into a file of that folder.

    The log is read to its end: what a gateway kept in its outbox is announced late. Raises KafkaUnreachable, KafkaRefused.
    """
    engine = open_engine(database_url(None, folder))
    migrate(engine)
    store = Store(engine)
    _fill(store, list(read_all(client, [POLICY, MODEL_SET])))
    since_ms = None if begin is None else to_millis(begin) - _EARLIER_MS
    records = captured_before(end, read_since(client, [EVIDENCE, VERDICT, LABEL], since_ms))
    while batch := list(islice(records, _MANY)):
        _fill(store, batch)
    engine.dispose()


def captured_before(end: datetime | None, records: Iterable[Received]) -> Iterator[Received]:
    """Announcements of parts captured before, what is said of those later, and all labels. Not what cannot be read."""
    mine: set[str] = set()
    for record in records:
        subject = record.header("ce_subject") or ""
        if end is not None and record.header("ce_type") == AnnouncedV1.TYPE and _captured(record) < end:
            mine.add(subject)
        if end is None or record.topic == LABEL or subject in mine:
            yield record


def _captured(record: Received) -> datetime:
    try:
        found = AnnouncedV1.read(record.value or b"")
    except ContractError:
        return _NEVER
    return taken_at(found.captured_at, from_millis(record.timestamp_ms))


def _fill(store: Store, records: list[Received]) -> None:
    writes = []
    for record in records:
        try:
            rows = rows_of(record) if record.value is not None else []
        except ContractError:
            continue  # the sink, too, leaves out what cannot be read
        writes.append(Write(place=(record.topic, record.partition), offset=record.offset, rows=rows))
    store.write(writes)
