"""What becomes of records of embedding.v1: they wait until the sink's database has their part's verdict, then stay or go.

Knows no Kafka client and no thread.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Protocol

import structlog

from schemas.envelope import ContractError, Received
from streams.metrics import CONSOLE_EMBEDDINGS, CONSOLE_EMBEDDINGS_READ, GAPS
from streams.wiring.adapters.database.ask_standing import Word
from streams.wiring.adapters.database.connection import portions
from streams.wiring.adapters.embeddings.record import Embedded, embedded
from streams.wiring.adapters.embeddings.similar import Embeddings
from streams.wiring.adapters.embeddings.store import Place, Store
from streams.wiring.adapters.embeddings.waiting import ROOM, Now, Waiting

log = structlog.get_logger("embeddings")
MOST = 100_000
_WHOLE_S = 3600.0
_OVERLAP_US = 600 * 10**6  # partitions need not arrive in the order of their times; what lags more is seen within the hour
_MANY = 2000


class Stands(Protocol):
    """The sink's database. Both raise Unavailable."""

    def now(self, inspections: Sequence[str]) -> tuple[Mapping[str, Now], int]:
        """(inspection -> how it stands, of those that are known; how far the sink has come, microseconds since 1970)."""

    def words(self, since_us: int) -> set[Word]:
        """What people said since then: (inspection, which word of it, when)."""


class Intake:
    """most: views kept; room: that wait. read: topic, partition -> next offset."""

    def __init__(self, store: Store, embeddings: Embeddings, stands: Stands, most: int = MOST, room: int = ROOM) -> None:
        self._store, self._embeddings, self._stands, self._most, self._room = store, embeddings, stands, most, room
        self._waiting = Waiting(room)
        self._widths: dict[str, int] = {}
        self._stored: dict[Place, int] = {}
        self._heard: set[Word] = set()
        self._whole_at = float("-inf")
        self.read: dict[Place, int] = {}

    def load(self) -> None:
        """What the file holds, for whoever asks for similar parts. Raises Unavailable."""
        self._embeddings.load()

    def begin(self, first: Mapping[Place, int], last: Mapping[Place, int]) -> dict[Place, int]:
        """Where to read from: where it was read to, else the first that is left. first, last: of each partition, last not in it.

        Raises Unavailable.
        """
        self._waiting = Waiting(self._room)
        self._widths, self._stored = self._store.widths(), self._store.positions()
        self.read = {}
        for place, begin in first.items():
            wanted = self._stored.get(place, begin)
            self.read[place] = wanted if begin <= wanted <= last[place] else begin
            if self.read[place] != wanted:
                _gap(place, wanted, begin)
        return dict(self.read)

    @property
    def full(self) -> bool:
        """No more should be read until some of them have their verdicts."""
        return self._waiting.full

    def take(self, records: Sequence[Received]) -> None:
        for record in records:
            place = (record.topic, record.partition)
            if record.offset > (wanted := self.read.get(place, record.offset)):
                _gap(place, wanted, record.offset)
            self.read[place] = record.offset + 1
            if (one := self._opened(record)) is not None:
                self._waiting.add(one, place, record.offset)

    def turn(self) -> None:
        """Ask how those that wait stand, and what people said since. Raises Unavailable: then nothing is lost."""
        self._settle()
        self._follow_people()

    def _opened(self, record: Received) -> Embedded | None:
        try:
            one = embedded(record)
            if one is not None and (width := self._widths.setdefault(one.trunk, len(one.vector))) != len(one.vector):
                raise ContractError("other_width", f"{one.inspection}: {len(one.vector)} values, this trunk gives {width}")
        except ContractError as error:
            CONSOLE_EMBEDDINGS_READ.labels("passed_over").inc()
            log.warning("an embedding is passed over", partition=record.partition, offset=record.offset, error=str(error))
            return None
        return one

    def _settle(self) -> None:
        now, clock_us = self._stands.now(self._waiting.inspections()) if len(self._waiting) else ({}, 0)
        keep, drop = self._waiting.settled(now, clock_us)
        done = [*(one for one, _ in keep), *drop]
        positions = self._waiting.positions(self.read, done)
        if keep or positions != self._stored:
            self._embeddings.changed(self._store.keep(keep, positions))
            self._stored = positions
        self._waiting.forget(done)
        CONSOLE_EMBEDDINGS_READ.labels("kept").inc(len(keep))
        CONSOLE_EMBEDDINGS_READ.labels("dropped").inc(len(drop))

    def _follow_people(self) -> None:
        """What people said since the last turn; once an hour, and first of all, of every part that is kept."""
        whole = time.monotonic() - self._whole_at >= _WHOLE_S
        since_us = max((at_us for _, _, at_us in self._heard), default=0) - _OVERLAP_US
        heard = self._stands.words(since_us)
        self._restate(self._store.inspections() if whole else sorted({one for one, _, _ in heard - self._heard}))
        self._heard = heard
        if whole:
            self._whole_at = time.monotonic()
        counts = self._store.counts()
        if sum(counts.values()) > self._most:
            self._embeddings.changed(self._store.trim(self._most))
            counts = self._store.counts()
        for state, n in {**dict.fromkeys(("open", "unknown", "labelled"), 0), **counts}.items():
            CONSOLE_EMBEDDINGS.labels(state).set(n)

    def _restate(self, inspections: Sequence[str]) -> None:
        """A part that the sink has forgotten, or not read again yet, stays as it is."""
        for some in portions(inspections, _MANY):
            now, _ = self._stands.now(some)
            judged = {inspection: found for inspection, found in now.items() if found.judged}
            self._embeddings.changed(self._store.restate(judged))


def _gap(place: Place, wanted: int, first: int) -> None:
    log.warning("embeddings were removed before they were read", partition=place[1], wanted=wanted, first=first)
    GAPS.labels("console", place[0]).inc(max(first - wanted, 1))
