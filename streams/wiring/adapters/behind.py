"""How many records a reader has not read yet. Counts records, not offsets: those of ends of transactions hold none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from confluent_kafka import TopicPartition

from streams.wiring.adapters.kafka import Reader, ends, partitions, starts, unreachable
from streams.wiring.driver import Key

_MOST = 100_000  # of all topics together; then offsets tell the rest
_SILENCE_S = 30.0


def behind(client: Mapping[str, Any], topics: Sequence[str], read: Mapping[Key, int]) -> dict[str, int]:
    """topic -> records from where it was read up to until the end as it is now. Topics that do not exist have none.

    read: topic, partition -> next offset; a partition that is not in it was never read. Raises KafkaUnreachable, KafkaRefused.
    """
    there = sorted(partitions(client, topics))
    last, first = ends(client, there), starts(client, there)
    at = {key: max(first[key], read.get(key, 0)) for key in last}
    todo = {key for key in last if at[key] < last[key]}
    found = dict.fromkeys(there, 0)
    with Reader(client, [TopicPartition(*key, at[key]) for key in todo], wait_ms=20) as reader:
        while todo and sum(found.values()) < _MOST:
            records = reader.take(_SILENCE_S)
            if records is None:
                raise unreachable(client, TimeoutError(f"no record for {_SILENCE_S:.0f} s"))
            for record in records:
                found[record.topic] += record.offset < last[record.topic, record.partition]
            todo -= {key for key in todo if reader.at[key] >= last[key]}
        for key in todo:
            found[key[0]] += last[key] - reader.at[key]
    return found
