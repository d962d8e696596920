"""The most similar parts among those with a label, of the same product and trunk. May be asked from any thread.

Sketches of labelled views lie in memory, 0.4 kB each; vectors are read from the file for the candidates alone.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from schemas.label import Answer
from streams.review.neighbours import CANDIDATES, Neighbour, Sketches, ordered, products, unit
from streams.wiring.adapters.embeddings.store import Known, Store

Floats = NDArray[np.float32]
Heap = tuple[str, str]  # trunk, product: only within one of them is anything compared
_FEW = 32  # candidates of `novelty`, which wants the nearest alone
_NOVEL = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Similar:
    """One labelled view. label: a class of that taxonomy version; None: it is good, or its kind has no name."""

    inspection: str
    view: str
    similarity: float
    answer: Answer
    label: str | None
    taxonomy: str | None


class Embeddings:
    """Every method raises Unavailable."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._heaps: dict[Heap, Sketches[int]] = {}

    # ---------------------------------------------------------------- keeping up with the file
    def load(self) -> None:
        """All labelled ones anew."""
        heaps: dict[Heap, Sketches[int]] = {}
        for id, trunk, product, sketch in self._store.labelled():
            heaps.setdefault((trunk, product), Sketches()).put(id, sketch)
        with self._lock:
            self._heaps = heaps

    def changed(self, ids: Sequence[int]) -> None:
        """These rows were added, changed or removed."""
        there = {one.id: one for one in self._store.these(ids)}
        with self._lock:
            for id in ids:
                self._drop(id)
                if id in there and there[id].answer is not None:
                    self._put(there[id])

    def _put(self, one: Known) -> None:
        self._heaps.setdefault((one.trunk, one.product), Sketches()).put(one.id, one.sketch)

    def _drop(self, id: int) -> None:
        for heap in self._heaps.values():
            if id in heap:
                heap.remove(id)

    # ---------------------------------------------------------------- asking
    def similar(self, inspection: str, view: str, n: int) -> Sequence[Similar]:
        """The n nearest labelled views of other parts, the nearest first; none where this view's embedding is not kept."""
        mine = self._store.of([inspection])
        one = next((known for known in mine if known.view == view), None)
        if one is None:
            return ()
        nearest = self._nearest(one, n, max(CANDIDATES, 4 * n), {known.id for known in mine})
        there = {known.id: known for known in self._store.these([int(found.id) for found in nearest])}
        pairs = ((there.get(int(found.id)), found.similarity) for found in nearest)
        return [_similar(known, similarity) for known, similarity in pairs if known is not None and known.answer is not None]

    def sketches(self, inspections: Sequence[str]) -> dict[str, Floats]:
        """Of the strangest view of each; without those that are not kept."""
        found = sorted(self._store.of(inspections), key=lambda one: (one.inspection, one.p_value, one.view), reverse=True)
        return {one.inspection: one.sketch for one in found}

    def novelty(self, inspection: str) -> float | None:
        """How far its most novel view is from everything labelled: 1 - cosine, 2 where nothing is; None: it is not kept."""
        mine = self._store.of([inspection])
        own = {known.id for known in mine}
        found = (self._nearest(one, 1, _FEW, own) for one in mine)
        return max((1 - nearest[0].similarity if nearest else _NOVEL for nearest in found), default=None)

    def _nearest(self, one: Known, n: int, candidates: int, without: Collection[int]) -> list[Neighbour]:
        """Ids as text of one width, so that ties go by their number."""
        with self._lock:
            sketches = self._heaps.get((one.trunk, one.product))
            if not sketches:
                return []
            found = [sketches.ids[row] for row in sketches.near(one.sketch, candidates + len(without))]
        return self._ordered(one, [id for id in found if id not in without], n)

    def _ordered(self, one: Known, ids: Iterable[int], n: int) -> list[Neighbour]:
        vectors = self._store.vectors([one.id, *ids])
        mine = vectors.pop(one.id, None)
        if mine is None or not vectors:
            return []
        rows = np.stack(list(vectors.values())).astype(np.float32)
        lengths = np.sqrt(np.einsum("nd,nd->n", rows, rows))
        return ordered([f"{id:020d}" for id in vectors], products(rows, unit(mine)) / lengths, n)


def _similar(known: Known, similarity: float) -> Similar:
    assert known.answer is not None
    names = ("inspection", "view", "answer", "label", "taxonomy")
    return Similar(**{name: getattr(known, name) for name in names}, similarity=similarity)
