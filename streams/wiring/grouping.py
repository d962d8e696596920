"""What is unknown now, in clusters: made when somebody looks and it has changed, remembered while people look at them.

Only parts of one product and one trunk are held against each other. Who was named or answered meanwhile is no longer unknown.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import structlog

from streams.fates import Unavailable
from streams.review.clusters import MOST, Cluster, Unknown
from streams.review.regions import region
from streams.wiring.adapters.database.ask_console import Questions
from streams.wiring.adapters.database.ask_standing import Member
from streams.wiring.adapters.embeddings.store import Known, Store

log = structlog.get_logger("unknowns")
_REMEMBERED = 4
Threshold = Callable[[str | None, str | None, str], float | None]
Make = Callable[[Sequence[Unknown]], Sequence[Cluster]]
Taken = Callable[[], frozenset[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """threshold: as in `Ports`."""

    questions: Questions
    threshold: Threshold


@dataclass(frozen=True, slots=True, kw_only=True)
class Grouped:
    """views: inspection -> the view that was compared, the strangest one of the part."""

    product: str
    trunk: str
    cluster: Cluster
    views: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Groups:
    """The biggest first, of equal ones the newest. alone: unknown parts in no cluster. of: the parts that were compared."""

    groups: tuple[Grouped, ...]
    alone: int
    of: frozenset[str]


NOTHING = Groups(groups=(), alone=0, of=frozenset())


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """rest_s: between two groupings, while people look. patience_s: how long whoever looks first waits for the first one."""

    rest_s: float = 10.0
    patience_s: float = 5.0


class Grouping:
    """about: what a part's strange region is measured with. make: gives the clusters. taken: parts whose naming is on its way.

    May be asked from any thread; every method raises Unavailable.
    """

    def __init__(self, store: Store, about: About, taken: Taken, make: Make, pace: Pace = Pace()) -> None:
        self._store, self._about, self._taken, self._make, self._pace = store, about, taken, make, pace
        self._made: tuple[Groups, ...] = ()  # the newest first
        self._tried_at = float("-inf")
        self._working = threading.Lock()
        self._first = threading.Event()

    def now(self) -> tuple[Groups, bool]:
        """(the newest clusters, whether something has changed since and newer ones are being made)."""
        known = self._unknown_now()
        of = frozenset(one.inspection for one in known)
        if self._newest().of != of and time.monotonic() - self._tried_at >= self._pace.rest_s:
            if self._working.acquire(blocking=False):
                threading.Thread(target=self._again, args=(known,), name="grouping", daemon=True).start()
        if of and not self._made:
            self._first.wait(self._pace.patience_s)
        newest = self._newest()
        return newest, newest.of != of

    def _newest(self) -> Groups:
        return self._made[0] if self._made else NOTHING

    def find(self, id: str) -> Grouped | None:
        """Also one of a little while ago, so that nobody loses what they are looking at."""
        return next((one for made in self._made for one in made.groups if one.cluster.id == id), None)

    def still_unknown(self, inspections: Sequence[str]) -> frozenset[str]:
        return frozenset(one.inspection for one in self._store.of(inspections) if one.state == "unknown")

    def _unknown_now(self) -> list[Known]:
        taken = self._taken()
        return [one for one in self._store.unknown(MOST) if one.inspection not in taken]

    def _again(self, known: Sequence[Known]) -> None:
        """In a thread; holds the lock."""
        try:
            self._group(known)
        except Unavailable as error:
            log.warning("unknowns are not grouped now", error=str(error))
        finally:
            self._tried_at = time.monotonic()
            self._working.release()

    def _group(self, known: Sequence[Known]) -> None:
        heaps: dict[tuple[str, str], dict[str, Known]] = {}
        for one in sorted(known, key=lambda one: (one.p_value, one.view)):
            heaps.setdefault((one.product, one.trunk), {}).setdefault(one.inspection, one)
        groups = [group for heap, views in heaps.items() for group in self._of_heap(heap, views)]
        grouped = sum(len(one.cluster.members) for one in groups)
        of = frozenset(one.inspection for one in known)
        order = sorted(groups, key=lambda one: (-len(one.cluster.members), -one.cluster.newest_ms, one.cluster.id))
        made = Groups(groups=tuple(order), alone=len(of) - grouped, of=of)
        self._made = (made, *self._made[: _REMEMBERED - 1])
        self._first.set()

    def _of_heap(self, heap: tuple[str, str], views: Mapping[str, Known]) -> list[Grouped]:
        vectors = self._store.vectors([one.id for one in views.values()])
        about = self._about.questions.members(list(views))
        unknowns = [
            self._unknown(one, vectors[one.id], about[one.inspection])
            for one in views.values()
            if one.id in vectors and one.inspection in about
        ]
        names = {inspection: one.view for inspection, one in views.items()}
        return [_grouped(heap, cluster, names) for cluster in self._make(unknowns)]

    def _unknown(self, one: Known, vector: object, member: Member) -> Unknown:
        size = self._size(one.view, member)
        return Unknown(
            inspection=one.inspection,
            station=member.station,
            at_ms=member.at_us // 1000,
            embedding=vector,  # type: ignore[arg-type]
            area_share=size[0] if size else None,
            elongation=size[1] if size else None,
        )

    def _size(self, view: str, member: Member) -> tuple[float, float] | None:
        """Of what lies above the threshold in the heat map; None: there is neither."""
        seen = member.views.get(view)
        limit = self._about.threshold(member.policy, member.model_set, view)
        if seen is None or seen.heat is None or limit is None:
            return None
        top, cells = seen.heat
        return region(cells, limit * 255 / top)


def _grouped(heap: tuple[str, str], cluster: Cluster, views: Mapping[str, str]) -> Grouped:
    mine = {one.inspection: views[one.inspection] for one in cluster.members}
    return Grouped(product=heap[0], trunk=heap[1], cluster=cluster, views=mine)
