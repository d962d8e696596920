"""Whether every process takes part: one that stands still would make the others' figures look cheaper than they are."""

from __future__ import annotations

import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping

_ASK_S, _TURN_S = 1.0, 0.2


class NotReady(Exception):
    """A processor has no part in the work: nothing that is measured now would be true."""


def wait_all_ready(ports: Mapping[str, int], timeout_s: float, meanwhile: Callable[[], None]) -> None:
    """Return when each answers on its health port (name -> port) that it is ready. Raises NotReady with their names."""
    end = time.monotonic() + timeout_s
    while waiting := [name for name, port in ports.items() if not _ready(port)]:
        if time.monotonic() > end:
            raise NotReady(f"not ready after {timeout_s:.0f} s: {', '.join(waiting)}; their figures would be too low")
        meanwhile()
        time.sleep(_TURN_S)


def _ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health/ready", timeout=_ASK_S):
            return True
    except (urllib.error.URLError, OSError):
        return False
