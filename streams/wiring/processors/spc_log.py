"""How far the time of verdict.v1 has gone in one partition: by what was read of it, and by its silence. Knows no rule."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import structlog

from schemas.codec import Reader
from schemas.envelope import ContractError, Received
from schemas.topics import VERDICT
from schemas.verdict import VerdictV1
from streams.wiring.adapters.kafka import KafkaRefused, KafkaUnreachable, ends, read_between

log = structlog.get_logger("spc")
_MARGIN_MS = 5_000  # by which the clocks of two brokers, of the tick's and of the verdicts', may differ
_STILL_MS = 2_000
_AGAIN_S, _ASK_S = 2.0, 10.0  # ticks that waited come in a heap; nothing else is done while Kafka is asked
_NOW = 1 << 62  # an offset that no log reaches: read to its end
_VERDICTS = Reader(VerdictV1)


class LogTime:
    """heard: every record of verdict.v1, as it is read. read: an offset that was read before this process began.

    Time that is said here is never taken back, and may be too early: then what is due is done later.
    """

    def __init__(self, client: Mapping[str, Any], partition: int, read: Callable[[], int]) -> None:
        self._client, self._place, self._known = client, (VERDICT, partition), read
        self._now_ms, self._read = 0, -1
        self._still = -2, 0  # offset read, and the tick that saw it first or asked last
        self._asked = float("-inf")

    def heard(self, record: Received) -> None:
        self._read = record.offset
        self._now_ms = max(self._now_ms, record.timestamp_ms)

    def until(self, due_ms: int, tick_ms: int) -> int:
        """How far it has gone; where that is not enough for `due_ms`, also by its silence. tick_ms: append time of a tick."""
        if self._now_ms < due_ms <= tick_ms - _MARGIN_MS and self._silent(tick_ms):
            self._now_ms = tick_ms - _MARGIN_MS
        return self._now_ms

    def _silent(self, tick_ms: int) -> bool:
        """Whether no verdict lies behind those that were read. Kafka is only asked where none was read for a while: with work
        waiting, and ticks read ahead of it, the answer is no, and asking for every station would hold the work up further.
        """
        before, since_ms = self._still
        if before != self._read:
            self._still = self._read, tick_ms
            return False
        if tick_ms - since_ms < _STILL_MS or time.monotonic() - self._asked < _AGAIN_S:
            return False
        self._still, self._asked = (before, tick_ms), time.monotonic()
        return self._at_end()

    def _at_end(self) -> bool:
        """Also where a transaction is open: what it holds may have been appended before the tick."""
        read = max(self._read, self._known())
        try:
            finished = ends(self._client, [VERDICT], timeout_s=_ASK_S)[self._place]
            if finished < ends(self._client, [VERDICT], timeout_s=_ASK_S, isolation="read_uncommitted")[self._place]:
                return False
            behind = read_between(self._client, self._place, read + 1, _NOW, timeout_s=_ASK_S)
            return not any(_readable(record) for record in behind)
        except (KafkaUnreachable, KafkaRefused) as error:
            log.warning("verdicts cannot be read", error=str(error))
            return False


def _readable(record: Received) -> bool:
    try:
        return _VERDICTS.read(record) is not None
    except ContractError:
        return False
