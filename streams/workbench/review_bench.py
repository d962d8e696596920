"""How fast the rules of review are, and what they find on real images: the queue, similar parts, clusters. No server.

Random vectors have the shape of a trunk's embeddings (not negative, in clumps); with a folder of classed images, the real ones.
"""

from __future__ import annotations

import resource
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streams.review.clusters import Unknown, clustered
from streams.review.neighbours import Neighbours, doubled
from streams.review.queue import Queue, Waiting

Floats = NDArray[np.float32]
Row = tuple[str, str]  # what, figure
PARTS = 100_000
DIMENSION = 1280
QUESTIONS = 100
_STATION = "plant/line-1/cam-1"


def bench_review(folder: Path | None, tell: Callable[[str], None]) -> list[Row]:
    chance = np.random.default_rng(1)
    rows: list[Row] = []
    for measure in (_queue, _neighbours, _clusters):
        tell(f"measuring: {measure.__name__.strip('_')}")
        rows += measure(chance)
    if folder is not None:
        tell(f"embedding the images of {folder}")
        vectors, kinds = _embedded(folder)
        rows += _real(vectors, kinds)
    return [*rows, ("memory, at most", f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")]


def _queue(chance: np.random.Generator) -> Iterator[Row]:
    queue, sketches = Queue(), chance.normal(size=(PARTS, 64)).astype(np.float32)
    sketches /= np.linalg.norm(sketches, axis=1, keepdims=True)
    begin = time.process_time()
    for n in range(PARTS):
        unsure = float(chance.random())
        queue.add(Waiting(inspection=_part(n), kind="other", uncertainty=unsure, novelty=0.5, sketch=sketches[n]))
    yield f"queue of {PARTS}: add one", f"{1e6 * (time.process_time() - begin) / PARTS:.1f} us"

    def one() -> None:
        first = queue.next()
        assert first is not None
        queue.shown(first.inspection)
        queue.remove(first.inspection)

    yield f"queue of {PARTS}: next one, taken out", _timed(one for _ in range(QUESTIONS * 10))


def _neighbours(chance: np.random.Generator) -> Iterator[Row]:
    centres = np.abs(chance.normal(size=(300, DIMENSION))).astype(np.float32)
    parts = Neighbours(np.zeros((PARTS, DIMENSION), np.float16))
    begin = time.process_time()
    for n in range(PARTS):
        noise = chance.standard_normal(DIMENSION, np.float32)
        parts.add(_part(n), np.abs(centres[n % 300] + np.float32(0.5) * noise))
    yield f"{PARTS} x {DIMENSION}: make and add one", f"{1e6 * (time.process_time() - begin) / PARTS:.0f} us"
    questions = [np.abs(centres[n % 300] + 0.5 * chance.normal(size=DIMENSION)).astype(np.float32) for n in range(QUESTIONS)]
    yield f"{PARTS} x {DIMENSION}: 8 nearest", _timed((lambda q=q: parts.nearest(q, 8)) for q in questions)
    exact = questions[: QUESTIONS // 5]
    yield f"{PARTS} x {DIMENSION}: 8 nearest, every row read", _timed((lambda q=q: parts.nearest_of_all(q, 8)) for q in exact)
    yield f"{PARTS} x {DIMENSION}: of the true 8 found", f"{100 * _recall(parts, exact):.1f} %"


def _clusters(chance: np.random.Generator) -> Iterator[Row]:
    for n in (1000, 4000):
        centres = np.abs(chance.normal(size=(12, DIMENSION)))
        points = [np.abs(centres[i % 12] + 0.5 * chance.normal(size=DIMENSION)) for i in range(n)]
        these = [Unknown(inspection=_part(i), station=_STATION, at_ms=i, embedding=p) for i, p in enumerate(points)]
        found: list[int] = []
        yield f"{n} unknowns: clusters", _timed([lambda these=these, found=found: found.append(len(clustered(these)))])
        yield f"{n} unknowns of 12 kinds: clusters found", str(found[0])


def _real(vectors: Floats, kinds: Sequence[str]) -> Iterator[Row]:
    """Each image asks for the 8 most similar others, and the kinds are clustered as if nobody knew them."""
    parts = Neighbours(np.zeros((64, vectors.shape[1]), np.float16), doubled)
    for n, vector in enumerate(vectors):
        parts.add(_part(n), vector)
    asked = list(range(0, len(vectors), max(1, len(vectors) // 200)))
    same = [np.mean([kinds[int(one.id[-12:])] == kinds[n] for one in parts.nearest(vectors[n], 8, {_part(n)})]) for n in asked]
    by_chance = sum((n / len(kinds)) ** 2 for n in Counter(kinds).values())
    yield (
        f"{len(kinds)} images: of the 8 nearest, the same class",
        f"{100 * np.mean(same):.1f} % (chance {100 * by_chance:.1f})",
    )
    yield f"{len(kinds)} images: of the true 8 found", f"{100 * _recall(parts, [vectors[n] for n in asked]):.1f} %"
    chance = np.random.default_rng(2)
    for size in (None, 30):
        told = np.mean([_sorted_out(vectors, kinds, size, chance) for _ in range(1 if size is None else 10)], axis=0)
        name = "all" if size is None else f"{size} each of 4 classes, 10 draws"
        yield f"{name}: clusters; share in one; of those in its main class", "{:.1f}; {:.2f}; {:.2f}".format(*told)


def _sorted_out(
    vectors: Floats, kinds: Sequence[str], size: int | None, chance: np.random.Generator
) -> tuple[float, float, float]:
    """(clusters, share of the images in one, share of those that are of their cluster's main class)."""
    of = np.array(kinds)
    chosen = chance.permutation(sorted(set(kinds)))[: None if size is None else 4]
    rows = np.concatenate([chance.permutation(np.flatnonzero(of == kind))[:size] for kind in chosen])
    found = clustered([Unknown(inspection=_part(n), station=_STATION, at_ms=int(n), embedding=vectors[n]) for n in rows])
    inside = [Counter(kinds[int(one.inspection[-12:])] for one in cluster.members) for cluster in found]
    members = sum(counts.total() for counts in inside)
    return len(found), members / len(rows), sum(counts.most_common(1)[0][1] for counts in inside) / max(1, members)


def _recall(parts: Neighbours, questions: Sequence[Floats]) -> float:
    hits = [len({a.id for a in parts.nearest(q, 8)} & {a.id for a in parts.nearest_of_all(q, 8)}) for q in questions]
    return float(np.mean(hits)) / 8


def _timed(calls: Any) -> str:
    """Wall and CPU time of each call: median, 95th percentile."""
    wall, cpu = [], []
    for call in calls:
        begin, busy = time.perf_counter(), time.process_time()
        call()
        wall.append(1e3 * (time.perf_counter() - begin))
        cpu.append(1e3 * (time.process_time() - busy))
    if len(wall) == 1:
        return f"{wall[0]:.0f} ms (CPU {cpu[0]:.0f})"
    return f"p50 {np.median(wall):.2f} ms, p95 {np.quantile(wall, 0.95):.2f} ms (CPU p50 {np.median(cpu):.2f} ms)"


def _embedded(folder: Path) -> tuple[Floats, list[str]]:
    """Embeddings of the defect images, and their classes."""
    from schemas.model_set import PreparationV1
    from streams.capture.image import prepare
    from streams.training.dataset import read_dataset
    from streams.training.trunk import load_trunk

    dataset, trunk = read_dataset(folder), load_trunk()
    items = [item for kind in dataset.kinds if kind != "good" for item in dataset.of(kind)]
    images = [prepare(item.read(), PreparationV1()) for item in items]
    return trunk.features(images, ("embedding",))["embedding"], [item.kind for item in items]


def _part(n: int) -> str:
    return f"{_STATION}:1700000000000-{n:012d}"
