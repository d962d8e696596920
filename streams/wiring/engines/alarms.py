"""When which key has something to do as time goes on, and how long one waits that could not do it. Knows no message, no clock."""

from __future__ import annotations

import heapq
import math

import structlog

from streams.metrics import RETRIES

log = structlog.get_logger("alarms")
_LONGEST_S = 3600.0


class Alarms:
    """When which key is due. Of several settings of a key the last one counts."""

    def __init__(self) -> None:
        self._due: dict[str, float] = {}
        self._heap: list[tuple[float, str]] = []

    def set(self, key: str, due_ms: float | None) -> None:
        if due_ms is None:
            self._due.pop(key, None)
        elif self._due.get(key) != due_ms:
            self._due[key] = due_ms
            heapq.heappush(self._heap, (due_ms, key))

    def hasten(self, key: str, due_ms: float | None) -> None:
        """No later than this. For a due time that moves on with every record: asked too early, its owner sets it anew."""
        if due_ms is not None and due_ms < self._due.get(key, math.inf):
            self.set(key, due_ms)

    def pop(self, now_ms: float) -> str | None:
        """The key that has been due the longest."""
        while self._heap and self._heap[0][0] <= now_ms:
            due_ms, key = heapq.heappop(self._heap)
            if self._due.get(key) == due_ms:
                del self._due[key]
                return key
        return None


class Patience:
    """Of keys that cannot expire. There is no message to bury, a tick says nothing; and ending would begin with it again."""

    def __init__(self, app: str) -> None:
        self._app = app
        self._failed: dict[str, int] = {}  # how often, one after the other

    def wait_ms(self, key: str, error: Exception) -> float:
        """Twice as long each time, an hour at most."""
        failed = self._failed[key] = self._failed.get(key, 0) + 1
        again_s = min(2.0 ** (failed - 1), _LONGEST_S)
        RETRIES.labels(self._app, "bug").inc()
        log.error("a state cannot expire", key=key, attempts=failed, again_s=again_s, exc_info=error)
        return 1000 * again_s

    def well(self, key: str) -> None:
        """It could."""
        self._failed.pop(key, None)
