"""What waits for people, in memory and in order, and who must not be given what. Knows no database; a hint, never the truth.

Passes drawn for audit wait apart: they are mixed in. Parts where no two agree wait for an engineer.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from schemas.envelope import to_millis
from streams.review.docket import Docket
from streams.review.queue import Floats, Queue, Waiting, kind_of

_PAUSE = timedelta(seconds=5)
Seen = tuple[float | None, float | None]  # p-value, uncertainty
_PATIENCE = 5  # turns that a part may wait for its evidence, which comes from another topic


def place(part: Any, p_value: float | None, uncertainty: float | None) -> Waiting:
    """Where a part belongs. part: as the database has it (`ask_open`)."""
    due_ms = None if part.gate_us is None else part.gate_us // 1000
    return Waiting(
        inspection=part.inspection,
        kind=kind_of("review", part.codes, due_ms),
        due_ms=due_ms,
        p_value=1.0 if p_value is None else p_value,
        uncertainty=uncertainty or 0.0,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """For one person. left: parts that they may be given; theirs: answered by them, waiting for another opinion; contested: for
    an engineer. loading: not everything that waits was read yet.
    """

    left: int
    theirs: int
    contested: int
    loading: bool


class Room:
    """May be used from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._reviews, self._audits = Queue(), Queue()
        self._contested: dict[str, None] = {}
        self._held: dict[str, tuple[str, int]] = {}
        self._answered: dict[str, set[str]] = {}
        self._decided: dict[str, int] = {}
        self._taken_back: dict[str, int] = {}
        self._skipped: dict[str, dict[str, datetime]] = {}
        self._incomplete: dict[str, int] = {}
        self.loading = True

    # ---------------------------------------------------------------- what the log says
    def fresh(self, parts: Iterable[Any]) -> list[Any]:
        """Of these rows of the sink's database, open or not, those that wait and are not known here. What is over goes."""
        with self._lock:
            return [part for part in parts if self._is_fresh(part)]

    def _is_fresh(self, part: Any) -> bool:
        inspection = part.inspection
        if not part.is_open:
            if inspection in self._decided or inspection in self:
                self._over(part)
            return False
        if inspection in self or self._decided.get(inspection, 0) > part.revision:
            return False
        return bool(part.purpose != "challenge" and part.acquisition is not None)

    def _over(self, part: Any) -> None:
        """Decided, by us or elsewhere. What was taken back here, and is not yet taken back in the log, stays."""
        if self._taken_back.get(part.inspection, 0) > part.revision:
            return
        if self._decided.get(part.inspection, 0) <= part.revision:
            self._decided.pop(part.inspection, None)
            self._forget(part.inspection)

    def admit(self, parts: Iterable[Any], seen: Mapping[str, Seen]) -> None:
        """Fresh ones with what the models saw. Where that has not come yet, from another topic, they wait a few turns for it."""
        with self._lock:
            for part in parts:
                inspection, known = part.inspection, seen.get(part.inspection)
                tries = self._incomplete.pop(inspection, 0) + 1
                if known is None and tries < _PATIENCE:
                    self._incomplete[inspection] = tries
                else:
                    self._decided.pop(inspection, None)
                    self._add(part, part.disposition == "pass", known or (None, None))

    def _add(self, part: Any, audit: bool, seen: Seen) -> None:
        """One audited pass is like another: their order says nothing."""
        if audit:
            self._audits.add(Waiting(inspection=part.inspection, kind="other"))
        else:
            self._reviews.add(place(part, *seen))

    def unseen(self, inspections: Iterable[str]) -> list[str]:
        """Those of them that wait, and of which nobody has said how they look."""
        with self._lock:
            found = [self._reviews.get(one) for one in inspections]
        return [one.inspection for one in found if one is not None and one.sketch is None]

    def teach(self, inspection: str, sketch: Floats, novelty: float) -> None:
        """How it looks, and how far that is from everything labelled (0 to 2)."""
        with self._lock:
            one = self._reviews.get(inspection)
            if one is not None:
                self._reviews.add(replace(one, sketch=sketch, novelty=novelty))

    def __contains__(self, inspection: str) -> bool:
        return inspection in self._reviews or inspection in self._audits or inspection in self._contested

    # ---------------------------------------------------------------- what people do
    def heard(self, docket: Docket, now_ms: int) -> None:
        """A docket as it is filed now. A challenge waits for nobody here: it was given to one person."""
        if docket.shown == "challenge":
            return
        with self._lock:
            self._heard(docket, now_ms)

    def _heard(self, docket: Docket, now_ms: int) -> None:
        case, inspection = docket.case, docket.case.inspection
        for answered in self._answered.values():
            answered.discard(inspection)
        self._held.pop(inspection, None)
        if not docket.is_open:
            self._taken_back.pop(inspection, None)
            self._decided[inspection] = case.revision
            self._forget(inspection)
            return
        self._decided.pop(inspection, None)
        if case.lease is not None and case.lease.until_ms > now_ms:
            self._held[inspection] = (case.lease.who, case.lease.until_ms)
        for one in case.said:
            self._answered.setdefault(one.who, set()).add(inspection)
        if docket.is_contested:
            self._reviews.remove(inspection)
            self._audits.remove(inspection)
            self._contested[inspection] = None

    def reopened(self, part: Any, docket: Docket, now_ms: int) -> None:
        """Somebody took back what they said. part: as it was before they said it."""
        if docket.shown == "challenge":
            return
        with self._lock:
            self._contested.pop(part.inspection, None)
            if part.inspection not in self:
                self._add(part, docket.shown == "audit", (part.p_value, part.uncertainty))
            self._heard(docket, now_ms)
            self._taken_back[part.inspection] = docket.case.revision

    def remove(self, inspection: str) -> None:
        with self._lock:
            self._forget(inspection)

    def _forget(self, inspection: str) -> None:
        self._reviews.remove(inspection)
        self._audits.remove(inspection)
        self._contested.pop(inspection, None)
        self._held.pop(inspection, None)

    def skip(self, inspection: str, who: str, until: datetime) -> None:
        with self._lock:
            self._skipped.setdefault(who, {})[inspection] = until

    def pass_by(self, inspection: str, who: str, now: datetime) -> None:
        """It could not be taken just now."""
        self.skip(inspection, who, now + _PAUSE)

    def shown(self, inspection: str) -> None:
        with self._lock:
            self._reviews.shown(inspection)

    # ---------------------------------------------------------------- asking
    def next(self, who: str, decides: bool, audit: bool, now: datetime) -> str | None:
        """The part to look at next; decides: it may be one where no two agree."""
        with self._lock:
            skip = self._not_for(who, now)
            if decides and (found := next((one for one in self._contested if one not in skip), None)) is not None:
                return found
            skip |= self._answered.get(who, set())
            order = (self._audits, self._reviews) if audit else (self._reviews, self._audits)
            first = next((one for queue in order if (one := queue.next(skip)) is not None), None)
            return None if first is None else first.inspection

    def _not_for(self, who: str, now: datetime) -> set[str]:
        now_ms = to_millis(now)
        self._held = {one: held for one, held in self._held.items() if held[1] > now_ms}
        skipped = {one: until for one, until in self._skipped.get(who, {}).items() if until > now}
        self._skipped[who] = skipped
        return {*self._held, *skipped}

    def waiting(self) -> tuple[int, int]:
        """(reviews, audits)."""
        with self._lock:
            return len(self._reviews), len(self._audits)

    def counts(self, who: str) -> Counts:
        with self._lock:
            mine: Collection[str] = self._answered.get(who, ())
            theirs = sum(one in self._reviews or one in self._audits for one in mine)
            everything = len(self._reviews) + len(self._audits)
            return Counts(left=everything - theirs, theirs=theirs, contested=len(self._contested), loading=self.loading)
