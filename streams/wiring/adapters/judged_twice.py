"""Verdicts on verdict.v1 in a stretch of time: how many records, which are copies, which conflict. Reads; knows no rule.

The database keeps one row an inspection and revision, so only the topic can tell a copy (harmless) from a conflict (never).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from confluent_kafka import TopicPartition

from schemas.envelope import Received, to_millis
from schemas.topics import VERDICT
from streams.wiring.adapters.kafka import Reader, ends, offsets_at, unreachable

_AFTER = timedelta(minutes=10)  # verdicts of parts that were captured at the end
_SILENCE_S = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Twice:
    """records: of verdict.v1; copies: an id again with the same content; conflicts: ids with another content, sorted."""

    records: int
    copies: int
    conflicts: tuple[str, ...]


def judged_twice(client: Mapping[str, Any], begin: datetime, end: datetime, stations: tuple[str, ...] = ()) -> Twice:
    """Appended from begin until ten minutes after the end. Raises KafkaUnreachable, KafkaRefused."""
    first = offsets_at(client, [VERDICT], to_millis(begin))
    last = {key: min(at, end_of) for key, at, end_of in _last(client, end)}
    todo = {key for key in first if first[key] < last[key]}
    found: list[tuple[str, bytes]] = []
    with Reader(client, [TopicPartition(*key, first[key]) for key in todo], wait_ms=20) as reader:
        while todo:
            records = reader.take(_SILENCE_S)
            if records is None:
                raise unreachable(client, TimeoutError(f"no record for {_SILENCE_S:.0f} s"))
            found += [_marked(r) for r in records if r.offset < last[r.topic, r.partition] and _of(r, stations)]
            todo -= {key for key in todo if reader.at[key] >= last[key]}
    return told_apart(found)


def told_apart(found: Iterable[tuple[str, bytes]]) -> Twice:
    """found: id and digest of each record."""
    seen: dict[str, bytes] = {}
    records, copies, conflicts = 0, 0, set()
    for id, digest in found:
        records += 1
        before = seen.setdefault(id, digest)
        if before is digest:
            continue
        if before == digest:
            copies += 1
        else:
            conflicts.add(id)
    return Twice(records=records, copies=copies, conflicts=tuple(sorted(conflicts)))


def _last(client: Mapping[str, Any], end: datetime) -> list[tuple[tuple[str, int], int, int]]:
    at, end_of = offsets_at(client, [VERDICT], to_millis(end + _AFTER)), ends(client, [VERDICT])
    return [(key, at[key], end_of[key]) for key in end_of]


def _of(record: Received, stations: tuple[str, ...]) -> bool:
    return not stations or (record.key or b"").decode(errors="replace") in stations


def _marked(record: Received) -> tuple[str, bytes]:
    return record.header("ce_id") or "", hashlib.blake2b(record.value or b"", digest_size=8).digest()
