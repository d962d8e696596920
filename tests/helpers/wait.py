"""Waiting for a condition with a deadline: the tests' replacement for sleeping."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

Answer = TypeVar("Answer")


def wait_until(predicate: Callable[[], Answer], timeout_s: float = 20.0, what: str = "") -> Answer:
    """The first true answer. Raises AssertionError, which names `what` and the last answer, when the time is over."""
    end = time.monotonic() + timeout_s
    while not (answer := predicate()):
        if time.monotonic() > end:
            raise AssertionError(f"not within {timeout_s} s: {what or predicate} (last: {answer!r})")
        time.sleep(0.02)
    return answer
