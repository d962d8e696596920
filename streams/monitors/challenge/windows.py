"""A suspect window's parts, page by page, as they are read back from verdict.v1. Knows no log."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from schemas.challenge import SuspectPartV1, SuspectWindowV1
from schemas.envelope import from_millis
from schemas.verdict import VerdictV1
from streams.monitors.challenge.memory import StationState, Window
from streams.monitors.challenge.turn import Said

PAGE = 2000


def belongs(window: Window, station: str, verdict: VerdictV1) -> bool:
    """A production part's first verdict."""
    mine = (verdict.station, verdict.product) == (station, window.product)
    return mine and verdict.purpose == "production" and verdict.revision == 1


def pages(window: Window) -> int:
    """At least one: a window without parts says so."""
    return max(1, -(-window.count // PAGE))


def page(station: str, window: Window, parts: Sequence[VerdictV1]) -> Said:
    message = SuspectWindowV1(
        station=station,
        product=window.product,
        proof=window.proof,
        set=window.set,
        page=window.page,
        pages=pages(window),
        count=window.count,
        parts=tuple(SuspectPartV1(inspection=v.inspection, serial=v.serial, lot=v.lot, disposition=v.disposition) for v in parts),
        last_pass=window.last_pass,
        last_pass_at=None if window.last_pass_ms is None else from_millis(window.last_pass_ms),
        at=from_millis(window.at_ms),
    )
    return Said(id=f"{station}/{window.set}/window/{window.page}", subject=window.set, message=message)


def turned(state: StationState, read_to: int) -> StationState:
    """After the first window's next page, which ended at offset `read_to`."""
    window, *rest = state.windows
    after = replace(window, after=read_to, page=window.page + 1)
    over = after.page > pages(window) or read_to >= window.until
    return replace(state, windows=tuple(rest) if over else (after, *rest))
