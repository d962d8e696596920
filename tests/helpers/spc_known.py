"""What the pure machine said, as a reader of spc.v1 would have it."""

from __future__ import annotations

from collections.abc import Iterable

from schemas.codec import record_of
from schemas.envelope import Received
from streams.monitors.spc.course import Output
from streams.wiring.adapters.spc import Known


def known_of(said: Iterable[Output], station: str) -> Known:
    found = Known()
    for offset, one in enumerate(said):
        record = record_of(one.message, id=one.id, station=station, subject=one.subject)
        found.take(
            Received(
                topic=record.topic, partition=0, offset=offset, timestamp_ms=0, key=record.key, value=record.value,
                headers=record.headers,
            )
        )  # fmt: skip
    assert not found.unreadable
    return found
