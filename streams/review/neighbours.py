"""The most similar parts by embedding. Pure; knows ids and vectors, no label and no file.

Two passes: sketches of all parts (a fixed random projection to 64 dimensions: W. Johnson, J. Lindenstrauss, Contemporary
Mathematics 26 (1984) 189) give the CANDIDATES nearest ones, their full vectors the order. The rows may lie in a memory map: a
question touches only the candidates'. Speed and how many of the true neighbours it finds: docs/review.md.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Half = NDArray[np.float16]
Floats = NDArray[np.float32]
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


class Neighbours:
    """Parts by id. rows: float16 (capacity, dimension), zeros or a memory map, which this fills; it grows where it is full.

    grow: more rows of the same width, the old ones copied; None: ValueError when full.
    """

    def __init__(self, rows: Half, grow: Callable[[Half], Half] | None = None) -> None:
        self._rows, self._grow = rows, grow
        self._sketches = np.zeros((len(rows), SKETCH), np.float32)
        self._ids: list[str] = []
        self._at: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._ids)

    def __contains__(self, id: str) -> bool:
        return id in self._at

    def add(self, id: str, vector: NDArray[np.floating]) -> None:
        """Or replace it. Raises ValueError as `unit`."""
        row = unit(vector)
        at = self._at.get(id, len(self._ids))
        if at == len(self._rows):
            self._make_room()
        self._rows[at], self._sketches[at] = row, sketch(row)
        if at == len(self._ids):
            self._ids.append(id)
            self._at[id] = at

    def remove(self, id: str) -> None:
        """The last one takes its place."""
        at, last = self._at.pop(id), len(self._ids) - 1
        moved = self._ids.pop()
        if at != last:
            self._rows[at], self._sketches[at] = self._rows[last], self._sketches[last]
            self._ids[at], self._at[moved] = moved, at

    def nearest(self, vector: NDArray[np.floating], k: int, without: Collection[str] = ()) -> list[Neighbour]:
        """The k most similar, the most similar first, ties by id; approximate beyond CANDIDATES parts. without: ids left out."""
        wanted = min(len(self), max(CANDIDATES, 4 * k) + len(without))
        near = np.einsum("nk,k->n", self._sketches[: len(self)], sketch(vector))
        found = np.argpartition(-near, wanted - 1)[:wanted] if wanted < len(self) else np.arange(len(self))
        return self._ordered(found, _products(self._rows[found], unit(vector)), k, without)

    def nearest_of_all(self, vector: NDArray[np.floating], k: int, without: Collection[str] = ()) -> list[Neighbour]:
        """As `nearest`, exact: every row is read."""
        near, wide = np.empty(len(self), np.float32), unit(vector)
        for begin in range(0, len(self), _BATCH):
            end = min(begin + _BATCH, len(self))
            near[begin:end] = _products(self._rows[begin:end], wide)
        return self._ordered(np.arange(len(self)), near, k, without)

    def duplicates(self, vector: NDArray[np.floating], least: float, without: Collection[str] = ()) -> list[Neighbour]:
        """Near-duplicates: those at least so similar, at most CANDIDATES of them."""
        return [one for one in self.nearest(vector, CANDIDATES, without) if one.similarity >= least]

    def novelty(self, vector: NDArray[np.floating]) -> float:
        """1 - cosine to the nearest, 0 to 2; 2 where there is none."""
        nearest = self.nearest(vector, 1)
        return 1 - nearest[0].similarity if nearest else 2.0

    def _ordered(self, found: NDArray[np.intp], near: Floats, k: int, without: Collection[str]) -> list[Neighbour]:
        near = near.round(5)  # equal rows need not have equal products
        most = min(len(found), k + len(without))
        best = np.argpartition(-near, most - 1)[:most] if most else found[:0]
        edge = near[best].min() if most else np.float32(0)
        pairs = sorted((-float(near[i]), self._ids[found[i]]) for i in np.flatnonzero(near >= edge)) if most else []
        left = ((id, similarity) for similarity, id in pairs if id not in without)
        return [Neighbour(id=id, similarity=min(1.0, -minus)) for (id, minus), _ in zip(left, range(k), strict=False)]

    def _make_room(self) -> None:
        if self._grow is None:
            raise ValueError(f"room for {len(self._rows)} parts, and all of it is taken")
        self._rows = self._grow(self._rows)
        more = np.zeros((len(self._rows), SKETCH), np.float32)
        more[: len(self._sketches)] = self._sketches
        self._sketches = more


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


def _products(rows: Half, wide: Floats) -> Floats:
    """Not @: its threads wait for each other on a busy machine (36 ms where this takes 5), and their sums differ."""
    return np.asarray(np.einsum("nd,d->n", rows.astype(np.float32), wide), np.float32)


@lru_cache(maxsize=4)
def _projection(dimension: int) -> Floats:
    drawn = np.random.Generator(np.random.PCG64(_SEED)).standard_normal((dimension, SKETCH))
    return np.asarray(drawn / np.sqrt(SKETCH), np.float32)
