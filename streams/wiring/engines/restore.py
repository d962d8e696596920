"""Reading the changelog of some partitions to its real end, a slice at a time, so that others go on meanwhile.

Knows keys and bytes, no state.
"""

from __future__ import annotations

import time
from typing import Any

import structlog
from confluent_kafka import Consumer, IsolationLevel, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._listoffsets import OffsetSpec

from streams.effects import Shard
from streams.wiring.driver import again, consumer_config, insist

log = structlog.get_logger("restore")


class Restore:
    """Fills one shard per partition. `turn` until `todo` is empty; `done` hands over each shard once."""

    def __init__(self, client: dict[str, Any], changelog: str, shards: dict[int, Shard]) -> None:
        self._changelog, self._shards, self._began = changelog, shards, time.monotonic()
        self._records = 0
        self._ends = self._real_ends(client)
        self.todo = {number for number in shards if self._ends[number] > 0}
        self._ready = sorted(set(shards) - self.todo)
        self._reader = (
            None
            if not self.todo
            else Consumer(
                consumer_config(
                    client,
                    **{
                        "group.id": "verdictline-restore",
                        "auto.offset.reset": "earliest",
                        "enable.partition.eof": True,
                        "fetch.wait.max.ms": 20,  # the end of a partition is told by an empty answer
                        "queued.max.messages.kbytes": 8 << 10,
                    },
                )
            )
        )
        if self._reader is not None:
            self._reader.assign([TopicPartition(changelog, number, 0) for number in self.todo])

    def _real_ends(self, client: dict[str, Any]) -> dict[int, int]:
        """High watermarks: they also count transactions that are not finished, whose end must be waited for."""
        admin = AdminClient(client)  # kept: its futures die with it

        def ask() -> dict[int, int]:
            spec = OffsetSpec.latest()  # type: ignore[no-untyped-call]
            futures = admin.list_offsets(
                {TopicPartition(self._changelog, number): spec for number in self._shards},
                isolation_level=IsolationLevel.READ_UNCOMMITTED,
                request_timeout=10,
            )
            return {place.partition: future.result(15).offset for place, future in futures.items()}

        return dict(insist(ask, "changelog ends"))

    def turn(self, wait_s: float = 0.05, records: int = 2000) -> None:
        """Read one slice. Raises KafkaException where the changelog cannot be read."""
        if self._reader is None:
            return
        for message in self._reader.consume(records, wait_s):
            error, number = message.error(), message.partition()
            if error is None and number in self._shards:
                self._records += 1
                self._shards[number].restore((message.key() or b"").decode(), message.value())
            elif error is not None and error.code() == KafkaError._PARTITION_EOF:
                if number in self.todo and (message.offset() or 0) >= self._ends[number]:  # less: one is still open
                    self.todo.discard(number)
                    self._ready.append(number)
            elif error is not None and not again(error):
                raise KafkaException(error)

    def done(self) -> dict[int, Shard]:
        """Shards that are complete and were not handed over yet."""
        ready, self._ready = self._ready, []
        return {number: self._shards.pop(number) for number in ready if number in self._shards}

    def forget(self, number: int) -> None:
        """The partition went elsewhere."""
        self._shards.pop(number, None)
        self.todo.discard(number)

    def close(self) -> None:
        log.info("restored", changelog=self._changelog, records=self._records, seconds=round(time.monotonic() - self._began, 3))
        if self._reader is not None:
            self._reader.close()
