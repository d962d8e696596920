"""Challenge parts among those that wait: which there are now, and who gets one. Knows no page and no database driver.

A hint in memory says whether somebody is due; the console's database, in one transaction, decides. A showing is given to one
person only, and not while another one has the same part. Its images must be there: a blank picture tests nobody.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from typing import Any, Protocol

from schemas.common import ImageRef
from schemas.envelope import to_millis
from streams.fates import Unavailable, Unprocessable
from streams.review import docket as dockets
from streams.review.docket import Stood
from streams.review.known import answers_between, in_order, is_due

AGE = timedelta(hours=6)  # as long as Kafka keeps images; an older one would be a blank picture
REST = timedelta(seconds=60)
_TRIES = 3


class KnownPart(Protocol):
    """One showing of a part with a known answer; `ask_known` says which there are."""

    @property
    def inspection(self) -> str: ...
    @property
    def part(self) -> str: ...
    @property
    def images(self) -> Sequence[ImageRef]: ...


class Parts(Protocol):
    """The sink's database. All raise Unavailable."""

    def known_parts(self, begin: datetime, now: datetime) -> Sequence[KnownPart]: ...
    def standing(self, inspection: str) -> Any | None: ...


class Desk(Protocol):
    """One transaction of the console's database; see the adapter. All raise Unavailable."""

    def find(self, inspection: str) -> Any | None: ...
    def file(self, inspection: str, state: str, lease: tuple[str, int] | None, data: str) -> None: ...
    def tested(self, who: str) -> Mapping[str, int]: ...
    def answers_since_test(self, who: str) -> int: ...
    def is_looked_at(self, part: str, now_ms: int) -> bool: ...
    def test(self, who: str, part: str, inspection: str, instead_of: str) -> None: ...


class Dockets(Protocol):
    def change(self, now_us: int) -> AbstractContextManager[Desk]: ...
    def look(self) -> AbstractContextManager[Desk]: ...


class Challenges:
    """May be used from any thread; raises Unavailable. share: of what a person answers, at most; 0: none is ever given.

    read: an image's bytes; raises Unprocessable where there is none, Unavailable.
    """

    def __init__(self, parts: Parts, desk: Dockets, read: Callable[[ImageRef], bytes], share: float) -> None:
        self._parts, self._desk, self._read, self._share = parts, desk, read, share
        self._lock = threading.Lock()
        self._known: dict[str, KnownPart] = {}
        self._given: set[str] = set()
        self._answers: dict[str, int] = {}
        self._rest_until: datetime | None = None

    def refresh(self, now: datetime) -> None:
        """Learn which there are; once a minute, however often it is called."""
        if self._share == 0 or (self._rest_until is not None and now < self._rest_until <= now + REST):
            return
        found = {one.inspection: one for one in self._parts.known_parts(now - AGE, now)}
        with self._lock:
            self._given &= found.keys()
            self._known = {inspection: one for inspection, one in found.items() if inspection not in self._given}
        self._rest_until = now + REST

    def answered(self, who: str) -> None:
        with self._lock:
            if who in self._answers:
                self._answers[who] += 1

    def instead(self, found: str, who: str, now: datetime) -> str | None:
        """The challenge that this person gets in the place of the part `found`; None: that part. Filed, not yet leased."""
        with self._lock:
            known = list(self._known.values())
        if not known or not is_due(who, found, self._answers_of(who), self._share):
            return None
        now_ms = to_millis(now)
        with self._desk.look() as desk:
            had = desk.tested(who)
        for one in in_order(who, known, had, 1000 * now_ms)[:_TRIES]:
            if self._is_there(one) and self._give(one, found, who, now_ms):
                return one.inspection
        return None

    def _answers_of(self, who: str) -> int:
        with self._lock:
            found = self._answers.get(who)
        if found is None:
            with self._desk.look() as desk:
                found = desk.answers_since_test(who)
            with self._lock:
                self._answers[who] = found
        return found

    def _is_there(self, one: KnownPart) -> bool:
        try:
            for image in one.images:
                self._read(image)
        except Unprocessable:
            self._drop(one)
            return False
        except Unavailable:
            return False
        return True

    def _give(self, one: KnownPart, found: str, who: str, now_ms: int) -> bool:
        part = self._parts.standing(one.inspection)
        if part is None or part.acquisition is None:
            self._drop(one)
            return False
        stands = Stood(disposition=part.disposition, label=part.label)
        docket = dockets.open_docket(one.inspection, part.revision, stands, "challenge", 0.0)
        with self._desk.change(1000 * now_ms) as desk:
            answers, used = desk.answers_since_test(who), desk.find(one.inspection) is not None
            may = answers >= answers_between(self._share) and not used and not desk.is_looked_at(one.part, now_ms)
            if may:
                desk.file(one.inspection, "open", None, dockets.dump(docket))
                desk.test(who, one.part, one.inspection, found)
        if may or used:
            self._drop(one)
        with self._lock:
            self._answers[who] = 0 if may else answers
        return may

    def _drop(self, one: KnownPart) -> None:
        with self._lock:
            self._known.pop(one.inspection, None)
            self._given.add(one.inspection)
