"""What the next transaction will hold, and when it is due. Knows records and offsets, no message and no Kafka."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from schemas.envelope import Received, Record
from streams.effects import Effects, Pack
from streams.wiring.driver import Key


@dataclass(frozen=True, kw_only=True)
class Batching:
    """How long a transaction collects, by what waits for it; `records` at most.

    batch_ms: the broker gathers records for so long before it answers a fetch; what they cause is committed at once. That
    costs half of it on average, and fewer requests than gathering here. answer_ms: since the first output; the driver hands over
    one fetch partition by partition. quiet_ms: since the first change of a state, which nobody sees, so that all evidence of a
    part that comes in this time costs one transaction and one changelog record. idle_ms: since the first record without any
    effect; done again after a crash, it has no effect again.
    """

    batch_ms: float = 20.0
    answer_ms: float = 2.0
    quiet_ms: float = 250.0
    idle_ms: float = 5000.0
    records: int = 500


class Batch:
    """Effects of records in the order of their steps; of several states of a key only the last is kept, with its record."""

    def __init__(self, batching: Batching, clock: Callable[[], float] = time.monotonic) -> None:
        self._batching, self._clock = batching, clock
        self.outputs: list[tuple[Received, Record]] = []
        self.changed: dict[tuple[int, str], tuple[Received, bytes | Pack | None]] = {}
        self.offsets: dict[Key, int] = {}
        self.records = self.dead = self.ignored = 0
        self.began = self.due = float("inf")

    def __bool__(self) -> bool:
        return self.records > 0

    @property
    def full(self) -> bool:
        return self.records >= self._batching.records

    def add(self, record: Received, effects: Effects) -> None:
        now = self._clock()
        self._count(record, now)
        self.ignored += effects.ignored
        if effects.outputs:
            self._wanted(record, effects.outputs, now)
        if effects.changed or effects.unpacked:
            self.due = min(self.due, now + self._batching.quiet_ms / 1000)
            for key, value in (*effects.changed.items(), *effects.unpacked.items()):
                self.changed[record.partition, key] = record, value

    def add_dead(self, record: Received, letters: Sequence[Record]) -> None:
        now = self._clock()
        self._count(record, now)
        self._wanted(record, letters, now)
        self.dead += 1

    def _count(self, record: Received, now: float) -> None:
        if not self.records:
            self.began, self.due = now, now + self._batching.idle_ms / 1000
        self.records += 1
        self.offsets[record.topic, record.partition] = record.offset + 1

    def _wanted(self, record: Received, outputs: Sequence[Record], now: float) -> None:
        self.due = min(self.due, now + self._batching.answer_ms / 1000)
        self.outputs += [(record, output) for output in outputs]
