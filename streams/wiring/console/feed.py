"""Keeps the room of open reviews in step with the sink's database: a page of what is new, and a page of everything, each turn.

What was decided lately is read again and again for a while: partitions reach the database one after the other. What comes later
still is found by the round through all that is open, which never ends.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Protocol

from streams.review.queue import Floats
from streams.wiring.console.waiting import Room, Seen

PAGE = 1000
OVERLAP_US = 10_000_000
REST = timedelta(seconds=60)
MOST_SEARCHES = 20


class Log(Protocol):
    """The sink's database. All raise Unavailable."""

    def opened(self, beyond: str, most: int) -> Sequence[Any]: ...
    def changed(self, since_us: int, beyond: str, most: int) -> Sequence[Any]: ...
    def seen(self, inspections: Sequence[str]) -> Mapping[str, Seen]: ...
    def newest_us(self) -> int: ...


class Looks(Protocol):
    """How parts look. All raise Unavailable."""

    def sketches(self, inspections: Sequence[str]) -> Mapping[str, Floats]: ...
    def novelty(self, inspection: str) -> float | None: ...


class Feed:
    """`turn` as often as one likes, in one thread. looks: None: nobody knows."""

    def __init__(self, log: Log, room: Room, looks: Looks | None = None, page: int = PAGE) -> None:
        self._log, self._room, self._looks, self._page = log, room, looks, page
        self._since: tuple[int, str] | None = None
        self._beyond = ""
        self._rest_until: datetime | None = None

    def turn(self, now: datetime) -> bool:
        """Two pages at most; whether there is more to read at once. Raises Unavailable."""
        if self._since is None:
            self._since = (self._log.newest_us() - OVERLAP_US, "")
        news, round_ = self._news(), self._round(now)
        return news or round_

    def _news(self) -> bool:
        assert self._since is not None
        rows = self._log.changed(*self._since, self._page)
        self._see(rows)
        if len(rows) == self._page:
            self._since = (rows[-1].decided_us, rows[-1].inspection)
            return True
        if rows:
            self._since = (max(self._since[0], rows[-1].decided_us - OVERLAP_US), "")
        return False

    def _round(self, now: datetime) -> bool:
        if self._rest_until is not None and now < self._rest_until <= now + REST:
            return False
        rows = self._log.opened(self._beyond, self._page)
        self._see(rows)
        self._beyond = rows[-1].inspection if len(rows) == self._page else ""
        self._rest_until = None if self._beyond else now + REST
        if not self._beyond:
            self._room.loading = False
        return bool(self._beyond) and self._room.loading

    def _see(self, rows: Sequence[Any]) -> None:
        fresh = self._room.fresh(rows)
        if fresh:
            self._room.admit(fresh, self._log.seen([row.inspection for row in fresh]))
        self._teach([row.inspection for row in rows])

    def _teach(self, inspections: Sequence[str]) -> None:
        """Distances to what is labelled cost a search each: a few a turn, the others count as the middle between near and far."""
        if self._looks is None or not (unseen := self._room.unseen(inspections)):
            return
        for n, (inspection, sketch) in enumerate(self._looks.sketches(unseen).items()):
            novelty = self._looks.novelty(inspection) if n < MOST_SEARCHES else None
            self._room.teach(inspection, sketch, 1.0 if novelty is None else novelty)
