"""One life of a labeller: parts are labelled in an order, the head is fitted again every few labels, and tested on other groups.

The order of the review queue is the queue itself (streams/review/queue.py), with parts that are alike in kind, deadline and
strangeness: what is left is what they teach. It begins without any label. Chance takes the same pool in a random order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from streams.review.neighbours import sketch, unit
from streams.review.queue import Queue, Waiting, unsure
from streams.training.features import FloatArray, IntArray, softmax
from streams.training.heads.logistic import fit_logistic
from streams.workbench.label_bench.sets import Classed

EVERY = 10
POOL_SHARE = 0.6
_C = 0.1
Head = Callable[[FloatArray], FloatArray]


@dataclass(frozen=True, kw_only=True, eq=False)
class Life:
    """pool, test: rows of the set, of different groups. target: class of every row."""

    data: Classed
    pool: IntArray
    test: IntArray
    target: IntArray
    chance: np.random.Generator

    @property
    def classes(self) -> int:
        return len(self.data.classes)


def life(data: Classed, seed: int) -> Life:
    """60 % of the groups of each class are the pool."""
    rng = np.random.default_rng(seed)
    inside = np.zeros(len(data.kind), bool)
    for kind in data.classes:
        groups = rng.permutation(sorted(set(data.group[data.kind == kind].tolist())))
        chosen = groups[: max(1, round(POOL_SHARE * len(groups)))]
        inside |= np.isin(data.group, chosen) & (data.kind == kind)
    outside = ~inside & ~np.isin(data.group, data.group[inside])
    target = np.searchsorted(data.classes, data.kind)
    return Life(data=data, pool=np.flatnonzero(inside), test=np.flatnonzero(outside), target=target, chance=rng)


def by_chance(one: Life, counts: Sequence[int]) -> list[float]:
    """Macro-F1 after so many labels each."""
    order = one.chance.permutation(one.pool)
    return [_tested(one, _fitted(one, order[:n])) for n in counts]


def by_queue(one: Life, most: int) -> list[float]:
    """Macro-F1 after EVERY, 2 EVERY, ... up to `most` labels."""
    vectors = {int(row): unit(one.data.embedding[row]) for row in one.pool}
    sketches = {row: sketch(vector) for row, vector in vectors.items()}
    labelled: list[int] = []
    head: Head | None = None
    curve = []
    while len(labelled) < most:
        left = sorted(set(vectors) - set(labelled))
        labelled += _shown(one, left, labelled, vectors, sketches, head)
        head = _fitted(one, np.array(labelled))
        curve.append(_tested(one, head))
    return curve


def _shown(
    one: Life,
    left: Sequence[int],
    labelled: Sequence[int],
    vectors: dict[int, FloatArray],
    sketches: dict[int, FloatArray],
    head: Head | None,
) -> list[int]:
    """The next EVERY parts that the queue shows."""
    doubt = [0.0] * len(left)
    if head is not None:
        doubt = [unsure(shares) for shares in head(one.data.embedding[list(left)]).tolist()]
    known = np.stack([vectors[row] for row in labelled]) if labelled else np.zeros((1, one.data.embedding.shape[1]), np.float32)
    novelty = 1 - (np.stack([vectors[row] for row in left]) @ known.T).max(1) if labelled else np.full(len(left), 2.0)
    queue = Queue()
    for row, doubtful, new in zip(left, doubt, novelty.tolist(), strict=True):
        queue.add(Waiting(inspection=_name(row), kind="other", uncertainty=doubtful, novelty=max(0.0, new), sketch=sketches[row]))
    found: list[int] = []
    while len(found) < EVERY and (first := queue.next()) is not None:
        queue.shown(first.inspection)
        queue.remove(first.inspection)
        found.append(int(first.inspection[-12:]))
    return found


def _name(row: int) -> str:
    return f"a/b/c:1-{row:012d}"


def _tested(one: Life, head: Head | None) -> float:
    """Macro-F1 on the groups outside the pool."""
    return 0.0 if head is None else _f1(head(one.data.embedding[one.test]).argmax(1), one.target[one.test], one.classes)


def _fitted(one: Life, labelled: IntArray) -> Head | None:
    """Probabilities of all classes, by the product's own fit; None where there is only one class yet.

    The weights lie in the span of the rows (they are penalised), so they are sought there: the same optimum, in fewer dimensions.
    """
    x, target = one.data.embedding[labelled], one.target[labelled]
    there, own = np.unique(target, return_inverse=True)
    if len(there) < 2:
        return None
    mean, std = x.mean(0), x.std(0) + np.float32(1e-6)
    span, rows = np.linalg.qr(((x - mean) / std).T)
    inside, b = fit_logistic(np.asarray(rows.T, np.float32), own, len(there), _C)
    w = span @ inside

    def answer(asked: FloatArray) -> FloatArray:
        shares = np.zeros((len(asked), one.classes), np.float32)
        shares[:, there] = softmax(np.asarray((asked - mean) / std @ w + b, np.float32))
        return shares

    return answer


def _f1(said: IntArray, true: IntArray, classes: int) -> float:
    """Mean over the classes of 2 right / (said + true)."""
    each: list[npt.NDArray[np.float64]] = []
    for k in range(classes):
        both = ((said == k) & (true == k)).sum()
        each.append(2 * both / max(1, (said == k).sum() + (true == k).sum()))
    return float(np.mean(each))
