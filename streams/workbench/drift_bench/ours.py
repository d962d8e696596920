"""The drift monitor on a whole array of scores: which events, at which parts. Knows no simulated world."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass

from streams.monitors.baseline import Baseline
from streams.monitors.detector import init
from streams.monitors.evidence import DriftEvent, Kind
from streams.monitors.segments import apply, numbered
from streams.workbench.drift_bench.families import Values

_PIECE = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """at: the part that decided; start: the change-point it gives, None where it gives none. Both counted from 0."""

    kind: Kind
    at: int
    start: int | None


def seen(event: DriftEvent) -> Seen:
    start = None if event.change_point is None else event.change_point.n
    return Seen(kind=event.kind, at=event.at.n, start=start)


def judge(baseline: Baseline, scores: Values, *, until: Set[Kind], since: int) -> tuple[int, list[Seen]]:
    """How many scores were judged, and the events. Ends after an event of `until` at or after the part `since`."""
    state, found = init(baseline), list[Seen]()
    for first in range(0, len(scores), _PIECE):
        state, events = apply(baseline, state, numbered(baseline, scores[first : first + _PIECE], first))
        for event in map(seen, events):
            found.append(event)
            if event.kind in until and event.at >= since:
                return event.at + 1, found
    return len(scores), found
