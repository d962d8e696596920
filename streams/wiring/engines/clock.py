"""The broker's time, estimated from what it stamps: this machine's clock decides nothing on its own. Knows no message."""

from __future__ import annotations

import time
from collections.abc import Callable


def wall_ms() -> float:
    return time.time() * 1000


class BrokerClock:
    """Own clock plus an offset taken from delivery reports with an append time.

    A record sent at `sent` and acknowledged at `acked` was stamped in between, so the offset is known to half of the round
    trip (Cristian's algorithm): the report with the shortest round trip of the last `window` is the best. A record that was
    read can only have been stamped in the past, which corrects a clock that is behind before anything was sent.
    """

    def __init__(self, wall: Callable[[], float] = wall_ms, window: int = 64) -> None:
        self._wall, self._window = wall, window
        self._best = (float("inf"), 0.0)  # round trip, offset; both in ms
        self._age = 0

    def now_ms(self) -> float:
        """The broker's time, milliseconds since 1970."""
        return self._wall() + self._best[1]

    def wall_ms(self) -> float:
        """Own clock, uncorrected: what `reported` takes."""
        return self._wall()

    def reported(self, sent_ms: float, trip_ms: float, append_ms: float) -> None:
        """sent_ms: own clock at sending; trip_ms: until the acknowledgement arrived; append_ms: the broker's stamp."""
        trip = max(trip_ms, 0.0)
        self._age += 1
        if trip <= self._best[0] or self._age > self._window:
            self._best, self._age = (trip, append_ms - (sent_ms + trip / 2)), 0

    def seen(self, append_ms: float) -> None:
        """A record with this stamp was read just now."""
        behind_ms = append_ms - self.now_ms()
        if behind_ms > 0:
            self._best = (self._best[0], self._best[1] + behind_ms)
