"""Input that retention removed before it was read: reported. Knows no message."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import structlog

from streams.metrics import GAPS

log = structlog.get_logger("gaps")


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """Offsets `wanted` to `first` - 1 are gone. first < wanted: the log was cut at its end, or made anew."""

    topic: str
    partition: int
    wanted: int
    first: int


OnGap = Callable[[str, Gap], None]


def report_gap(group: str, gap: Gap) -> None:
    """Log it and count it: `first` - `wanted` is an upper bound of the records, transaction markers have offsets too."""
    log.error(
        "input removed before it was read",
        group=group,
        topic=gap.topic,
        partition=gap.partition,
        wanted=gap.wanted,
        first=gap.first,
    )
    GAPS.labels(group, gap.topic).inc(max(gap.first - gap.wanted, 1))
