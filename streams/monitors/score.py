"""One part's score, and the inspection it belongs to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


class Point(NamedTuple):
    """An inspection: its place in the station's sequence, and the append time of its score in ms since 1970."""

    epoch: int
    n: int
    at_ms: int


@dataclass(frozen=True, slots=True)
class Score:
    """epoch, n: place in the station's sequence; at_ms: append time, it only stamps events; lot: where the line knows it."""

    value: float
    epoch: int
    n: int
    at_ms: int
    lot: str | None = None
