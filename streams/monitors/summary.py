"""Counts of a score stream's scores and p-values, window by window: what the drift statistics will stand on.

Pure: time is the append time of the evidence. Knows no judgement. A window opens with a score and holds all that were
appended less than `every_ms` later; it closes when the log is known to have gone past its end. Copies are not counted.
"""

from __future__ import annotations

import hashlib
import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from schemas.common import canonical
from schemas.drift import DriftSummaryV1, ScoreStreamV1
from schemas.envelope import from_millis
from schemas.evidence import AnomalyV1
from schemas.ids import parse_inspection
from streams.monitors.seen import Seen

P_BINS = 10
QUANTILES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0)
FIXED_EDGES = (-8.0, -4.0, -2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0)
FORGET_MS = 7 * 24 * 3_600_000  # evidence.v1 keeps no copy for longer


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """first, last: inspections, in the order of the log. edges: as in DriftSummaryV1, fixed when the window opened."""

    opened_ms: int
    first: str
    last: str
    edges: tuple[float, ...]
    score_counts: tuple[int, ...]
    p_counts: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamState:
    """One score stream. latest_ms: append time of its latest score."""

    stream: ScoreStreamV1
    seen: Seen
    window: Window | None
    latest_ms: int


def stream_of(evidence: AnomalyV1) -> ScoreStreamV1:
    return ScoreStreamV1(
        station=evidence.station,
        view=evidence.view,
        product=evidence.product,
        acquisition=evidence.acquisition,
        model=evidence.model,
    )


def stream_digest(stream: ScoreStreamV1) -> str:
    """SHA-256 of its canonical JSON: the key of its state."""
    return hashlib.sha256(canonical(stream.model_dump(mode="json"))).hexdigest()


def edges_of(calibration: Sequence[float]) -> tuple[float, ...]:
    """Bin edges from calibration scores (ascending): their quantiles x[ceil(q n)], doubles merged; a fixed table without any."""
    if not calibration:
        return FIXED_EDGES
    n = len(calibration)
    return tuple(sorted({calibration[math.ceil(q * n - 1e-9) - 1] for q in QUANTILES}))


def step(
    state: StreamState | None, evidence: AnomalyV1, now_ms: int, *, every_ms: int, edges: tuple[float, ...]
) -> tuple[StreamState, list[DriftSummaryV1]]:
    """Count one score; first close the window that it comes too late for. now_ms: its append time; edges: for a new window."""
    part = parse_inspection(evidence.inspection)
    if state is None:
        state = StreamState(stream=stream_of(evidence), seen=Seen(), window=None, latest_ms=now_ms)
    state, closed = expire(state, now_ms, every_ms=every_ms)
    seen = state.seen.add(part.epoch, part.n)
    if seen is None:
        return state, closed
    window = state.window or _opened(evidence, now_ms, edges)
    return replace(state, seen=seen, window=_counted(window, evidence), latest_ms=max(state.latest_ms, now_ms)), closed


def due(state: StreamState, *, every_ms: int) -> int:
    """When something is to be done without a new score: the window's end, else the time to forget the stream."""
    return state.latest_ms + FORGET_MS if state.window is None else state.window.opened_ms + every_ms


def expire(state: StreamState, now_ms: int, *, every_ms: int) -> tuple[StreamState, list[DriftSummaryV1]]:
    """Close the window where the log has gone past its end."""
    if state.window is None or now_ms < state.window.opened_ms + every_ms:
        return state, []
    return replace(state, window=None), [_summary(state.stream, state.window, every_ms)]


def forgotten(state: StreamState, now_ms: int) -> bool:
    """Nothing of it can come twice any more."""
    return state.window is None and now_ms >= state.latest_ms + FORGET_MS


def _opened(evidence: AnomalyV1, now_ms: int, edges: tuple[float, ...]) -> Window:
    return Window(
        opened_ms=now_ms,
        first=evidence.inspection,
        last=evidence.inspection,
        edges=edges,
        score_counts=(0,) * (len(edges) + 1),
        p_counts=(0,) * P_BINS,
    )


def _counted(window: Window, evidence: AnomalyV1) -> Window:
    return replace(
        window,
        last=evidence.inspection,
        score_counts=_one_more(window.score_counts, bisect_left(window.edges, evidence.score)),
        p_counts=_one_more(window.p_counts, p_bin(evidence.p_value)),
    )


def p_bin(p_value: float) -> int:
    """Which tenth, right-closed: 0 for (0, 0.1], 9 for (0.9, 1]."""
    return min(max(math.ceil(p_value * P_BINS - 1e-9) - 1, 0), P_BINS - 1)


def _one_more(counts: tuple[int, ...], index: int) -> tuple[int, ...]:
    return (*counts[:index], counts[index] + 1, *counts[index + 1 :])


def _summary(stream: ScoreStreamV1, window: Window, every_ms: int) -> DriftSummaryV1:
    return DriftSummaryV1(
        stream=stream,
        opened_at=from_millis(window.opened_ms),
        closed_at=from_millis(window.opened_ms + every_ms),
        first=window.first,
        last=window.last,
        n=sum(window.p_counts),
        score_edges=window.edges,
        score_counts=window.score_counts,
        p_counts=window.p_counts,
    )


def dump(state: StreamState) -> dict[str, Any]:
    """As JSON data; `load(dump(state)) == state`."""
    window = state.window
    return {
        "stream": state.stream.model_dump(mode="json"),
        "seen": state.seen.dump(),
        "latest_ms": state.latest_ms,
        "window": None if window is None else {name: getattr(window, name) for name in Window.__slots__},
    }


def load(data: dict[str, Any]) -> StreamState:
    window = data["window"]
    lists = ("edges", "score_counts", "p_counts")
    return StreamState(
        stream=ScoreStreamV1.model_validate(data["stream"]),
        seen=Seen.load(data["seen"]),
        latest_ms=data["latest_ms"],
        window=None if window is None else Window(**{**window, **{name: tuple(window[name]) for name in lists}}),
    )
