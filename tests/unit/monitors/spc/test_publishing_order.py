"""A subgroup never overtakes the one before it, and what waits behind does not hold up the clock."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from streams.monitors.spc.publishing import next_due


def test_the_time_of_the_first_that_waits_counts() -> None:
    """It was the earliest of all: its publishing then did nothing, again and again, and the station stood still for ever."""
    closed = [SimpleNamespace(revision=revision, due_ms=due_ms) for revision, due_ms in ((0, 5), (-1, 20), (-1, 10))]
    course: Any = SimpleNamespace(closed=tuple(closed))
    assert next_due(course) == 20
    assert next_due(None) is None
