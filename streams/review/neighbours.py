"""The most similar parts by embedding. Pure; knows ids and vectors, no label and no file.

Two passes: sketches of all parts (a fixed random projection to 64 dimensions: W. Johnson, J. Lindenstrauss, Contemporary
Mathematics 26 (1984) 189) give the CANDIDATES nearest ones, their full vectors the order. The rows may lie in a memory map: a
question touches only the candidates'. Speed and how many of the true neighbours it finds: docs/review.md.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

Half = NDArray[np.float16]
Floats = NDArray[np.float32]
Id = TypeVar("Id", str, int)
SKETCH = 64
CANDIDATES = 1024
_SEED = 20_261_128
_BATCH = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbour:
    """similarity: cosine, -1 to 1."""

    id: str
    similarity: float


def unit(vector: NDArray[np.floating]) -> Floats:
    """float32 of length 1. Raises ValueError for zeros, and for what is no number."""
    wide = np.asarray(vector, np.float32)
    length = float(np.linalg.norm(wide))
    if not np.isfinite(length) or length == 0:
        raise ValueError(f"an embedding of length {length}: it has no direction")
    return wide / np.float32(length)


def sketch(vector: NDArray[np.floating]) -> Floats:
    """float32 (SKETCH,) of length 1: angles between sketches are about those between vectors."""
    return unit(np.einsum("d,dk->k", unit(vector), _projection(len(vector))))


class Sketches(Generic[Id]):
    """Ids and their sketches, 0.4 kB a part, wherever their vectors lie. Rows are numbered from 0 without holes."""

    def __init__(self, room: int = 256) -> None:
        self._rows = np.zeros((room, SKETCH), np.float32)
        self.ids: list[Id] = []
        self._at: dict[Id, int] = {}

    def __len__(self) -> int:
        return len(self.ids)

    def __contains__(self, id: Id) -> bool:
        return id in self._at

    def put(self, id: Id, sketch: Floats) -> int:
        """Or replace it; its row. sketch: as `sketch` gives it."""
        at = self._at.setdefault(id, len(self.ids))
        if at == len(self.ids):
            self.ids.append(id)
            self._make_room()
        self._rows[at] = sketch
        return at

    def remove(self, id: Id) -> tuple[int, int]:
        """(its row, the last row): what lay in the last one takes its place. Raises KeyError."""
        at, last = self._at.pop(id), len(self.ids) - 1
        moved = self.ids.pop()
        if at != last:
            self._rows[at] = self._rows[last]
            self.ids[at], self._at[moved] = moved, at
        return at, last

    def near(self, wanted: Floats, n: int) -> NDArray[np.intp]:
        """The rows of the n nearest sketches, in no order; all of them where there are no more."""
        if n >= len(self):
            return np.arange(len(self))
        near = np.einsum("nk,k->n", self._rows[: len(self)], wanted)
        return np.argpartition(-near, n - 1)[:n]

    def _make_room(self) -> None:
        if len(self.ids) > len(self._rows):
            more = np.zeros((len(self.ids) + max(256, len(self.ids) // 4), SKETCH), np.float32)
            more[: len(self._rows)] = self._rows
            self._rows = more


class Neighbours:
    """Parts by id. rows: float16 (capacity, dimension), zeros or a memory map, which this fills; it grows where it is full.

    grow: more rows of the same width, the old ones copied; None: ValueError when full.
    """

    def __init__(self, rows: Half, grow: Callable[[Half], Half] | None = None) -> None:
        self._rows, self._grow = rows, grow
        self._sketches: Sketches[str] = Sketches(len(rows))

    def __len__(self) -> int:
        return len(self._sketches)

    def __contains__(self, id: str) -> bool:
        return id in self._sketches

    def add(self, id: str, vector: NDArray[np.floating]) -> None:
        """Or replace it. Raises ValueError as `unit`."""
        row = unit(vector)
        if id not in self and len(self) == len(self._rows):
            self._make_room()
        self._rows[self._sketches.put(id, sketch(row))] = row

    def remove(self, id: str) -> None:
        """The last one takes its place."""
        at, last = self._sketches.remove(id)
        self._rows[at] = self._rows[last]

    def nearest(self, vector: NDArray[np.floating], k: int, without: Collection[str] = ()) -> list[Neighbour]:
        """The k most similar, the most similar first, ties by id; approximate beyond CANDIDATES parts. without: ids left out."""
        found = self._sketches.near(sketch(vector), max(CANDIDATES, 4 * k) + len(without))
        return self._ordered(found, products(self._rows[found], unit(vector)), k, without)

    def nearest_of_all(self, vector: NDArray[np.floating], k: int, without: Collection[str] = ()) -> list[Neighbour]:
        """As `nearest`, exact: every row is read."""
        near, wide = np.empty(len(self), np.float32), unit(vector)
        for begin in range(0, len(self), _BATCH):
            end = min(begin + _BATCH, len(self))
            near[begin:end] = products(self._rows[begin:end], wide)
        return self._ordered(np.arange(len(self)), near, k, without)

    def duplicates(self, vector: NDArray[np.floating], least: float, without: Collection[str] = ()) -> list[Neighbour]:
        """Near-duplicates: those at least so similar, at most CANDIDATES of them."""
        return [one for one in self.nearest(vector, CANDIDATES, without) if one.similarity >= least]

    def novelty(self, vector: NDArray[np.floating]) -> float:
        """1 - cosine to the nearest, 0 to 2; 2 where there is none."""
        nearest = self.nearest(vector, 1)
        return 1 - nearest[0].similarity if nearest else 2.0

    def _ordered(self, found: NDArray[np.intp], near: Floats, k: int, without: Collection[str]) -> list[Neighbour]:
        ids = self._sketches.ids
        return ordered([ids[i] for i in found], near, k, without)

    def _make_room(self) -> None:
        if self._grow is None:
            raise ValueError(f"room for {len(self._rows)} parts, and all of it is taken")
        self._rows = self._grow(self._rows)


def ordered(ids: Sequence[str], similarities: Floats, k: int, without: Collection[str] = ()) -> list[Neighbour]:
    """The k most similar of these, the most similar first, ties by id. similarities: a cosine for each id."""
    near = similarities.round(5)  # equal rows need not have equal products
    most = min(len(ids), k + len(without))
    if most == 0:
        return []
    edge = near[np.argpartition(-near, most - 1)[:most]].min()
    pairs = sorted((-float(near[i]), ids[int(i)]) for i in np.flatnonzero(near >= edge))
    left = ((id, similarity) for similarity, id in pairs if id not in without)
    return [Neighbour(id=id, similarity=min(1.0, -minus)) for (id, minus), _ in zip(left, range(k), strict=False)]


def doubled(rows: Half) -> Half:
    """Twice the room, in memory."""
    more = np.zeros((2 * len(rows), rows.shape[1]), np.float16)
    more[: len(rows)] = rows
    return more


def spread(vectors: Floats, k: int, first: int = 0) -> Iterator[int]:
    """Greedy k-centre: rows of (n, d) unit vectors, each the farthest from those before it. The first is given."""
    nearest = np.full(len(vectors), np.inf, np.float32)
    at = first
    for _ in range(min(k, len(vectors))):
        yield at
        nearest = np.minimum(nearest, 1 - vectors @ vectors[at])
        nearest[at] = -np.inf
        at = int(nearest.argmax())


def products(rows: Half | Floats, wide: Floats) -> Floats:
    """(n, d) by (d,). Not @: its threads wait for each other on a busy machine (36 ms where this takes 5); their sums differ."""
    return np.asarray(np.einsum("nd,d->n", rows.astype(np.float32), wide), np.float32)


@lru_cache(maxsize=4)
def _projection(dimension: int) -> Floats:
    drawn = np.random.Generator(np.random.PCG64(_SEED)).standard_normal((dimension, SKETCH))
    return np.asarray(drawn / np.sqrt(SKETCH), np.float32)
