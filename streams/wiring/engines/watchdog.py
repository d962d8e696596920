"""Ends the process when an expected thing does not happen in time. A thread, so it also sees a blocked event loop."""

from __future__ import annotations

import faulthandler
import os
import threading
import time
from collections.abc import Callable, Hashable, Mapping, Sequence

STALLED = 71  # exit status


class Deadlines:
    """Things that must happen again and again, each within its time (seconds)."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._due: dict[Hashable, float] = {}

    def expect(self, wanted: Mapping[Hashable, float]) -> None:
        """Expect exactly these; a deadline that is already running keeps running."""
        now = self._clock()
        self._due = {what: self._due.get(what, now + within_s) for what, within_s in wanted.items()}

    def met(self, what: Hashable, within_s: float) -> None:
        """It happened; the next time must come within `within_s`. Ignored where it is not expected."""
        if what in self._due:
            self._due[what] = self._clock() + within_s

    def late(self) -> Sequence[str]:
        now = self._clock()
        return [str(what) for what, end in self._due.items() if now > end]


def turning(turned: Callable[[], float], within_s: float) -> Callable[[], Sequence[str]]:
    """A check that a loop turned lately. turned: when it last did, by `time.monotonic`."""
    return lambda: ["loop"] if time.monotonic() - turned() > within_s else ()


class Watchdog(threading.Thread):
    """late: names of what is overdue, empty while all is well. Writes all stacks to descriptor 2 and exits with STALLED.

    Descriptor 2 and not `sys.stderr`, which a framework may have replaced by an object without one.
    """

    def __init__(self, late: Callable[[], Sequence[str]], poll_s: float = 1.0) -> None:
        super().__init__(daemon=True, name="watchdog")
        self._late, self._poll_s = late, poll_s

    def run(self) -> None:
        while True:
            time.sleep(self._poll_s)
            if late := self._late():
                try:
                    os.write(2, f"watchdog: stalled: {', '.join(late)}\n".encode())
                    faulthandler.dump_traceback(2, all_threads=True)
                finally:
                    os._exit(STALLED)
