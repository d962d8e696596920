"""What is looked at next: deadline and risk first, then what teaches most. Pure; knows no person, no page and no clock.

Order: what holds a gate, then containment, then unknown defects, then other strange parts, then the rest; within a kind the
earliest deadline, then the stranger half (p-values that differ by less than a factor of two count alike). Parts that are alike
in all this are chosen by what they teach: how unsure the classifier is, plus how far the part is from everything labelled and
from what was shown last, as a share of how far those that compete are from each other, at most 1 (greedy k-centre: T. Gonzalez,
Theoretical Computer Science 38 (1985) 293), among the WINDOW of them that were most promising when they came. Ties go by id, so
the order is a function of what was added and taken.

A heap with late deletion: add and remove O(log n); the next one is found by reading its top, WINDOW entries at most.
Embeddings come as sketches (streams/review/neighbours.py): 100,000 of them take 26 MB.
"""

from __future__ import annotations

import heapq
import math
from collections import deque
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Kind = Literal["gate", "containment", "unknown_defect", "strange", "other"]
KINDS: tuple[Kind, ...] = ("gate", "containment", "unknown_defect", "strange", "other")
WINDOW = 128
RECENT = 32
MANY = 10_000
NEVER = 2**62
_SAME = 1e-6
Band = tuple[int, int, int]
Entry = tuple[int, int, int, float, str, int]  # band, promise, inspection, number of its adding


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """One open review. due_ms: when the gate or the line needs an answer. p_value: smallest of its views; 1 without one.

    uncertainty: `unsure` of the classifier's answer, 0 to 1. novelty: distance (1 - cosine) to the nearest labelled
    embedding when it was added, 0 to 2. sketch: unit length; None without an embedding.
    """

    inspection: str
    kind: Kind
    due_ms: int | None = None
    p_value: float = 1.0
    uncertainty: float = 0.0
    novelty: float = 0.0
    sketch: Floats | None = None


class Queue:
    """Open reviews in their order."""

    def __init__(self) -> None:
        self._waiting: dict[str, tuple[int, Waiting]] = {}
        self._heap: list[Entry] = []
        self._added = 0
        self._passed_by = 0  # entries that no longer stand, met since the last tidying
        self._recent: deque[Floats] = deque(maxlen=RECENT)

    def __len__(self) -> int:
        return len(self._waiting)

    def __contains__(self, inspection: str) -> bool:
        return inspection in self._waiting

    def add(self, one: Waiting) -> None:
        """Or put it anew, where something about it has changed."""
        self._added += 1
        self._waiting[one.inspection] = (self._added, one)
        heapq.heappush(self._heap, (*band(one), -promise(one), one.inspection, self._added))
        if len(self._heap) > 2 * len(self._waiting) + WINDOW:
            self._tidy()

    def get(self, inspection: str) -> Waiting | None:
        found = self._waiting.get(inspection)
        return None if found is None else found[1]

    def remove(self, inspection: str) -> None:
        """Answered, or no longer open. One that is not there is none to remove."""
        self._waiting.pop(inspection, None)

    def shown(self, inspection: str) -> None:
        """Somebody was given it: what is like it teaches less now."""
        found = self._waiting.get(inspection)
        if found is not None and found[1].sketch is not None:
            self._recent.append(found[1].sketch)

    def next(self, skip: Collection[str] = ()) -> Waiting | None:
        """The one to look at next. skip: what others hold, or this person has answered. None: nothing is left."""
        first: list[Waiting] = []
        of: Band | None = None
        for entry in self._in_order():
            if of is not None and entry[:3] != of:
                break
            if entry[4] not in skip:
                of = entry[:3]
                first.append(self._waiting[entry[4]][1])
            if len(first) == WINDOW:
                break
        if self._passed_by > MANY:
            self._tidy()
        return self._most_teaching(first) if first else None

    def _in_order(self) -> Iterator[Entry]:
        """Entries that stand, the first one first: down the heap from its root, which stays as it is."""
        heap = self._heap
        while heap and not self._stands(heap[0]):
            heapq.heappop(heap)
        edge = [(heap[0], 0)] if heap else []
        while edge:
            entry, at = heapq.heappop(edge)
            for child in range(2 * at + 1, min(2 * at + 3, len(heap))):
                heapq.heappush(edge, (heap[child], child))
            if self._stands(entry):
                yield entry
            else:
                self._passed_by += 1

    def _tidy(self) -> None:
        self._heap = [entry for entry in self._heap if self._stands(entry)]
        heapq.heapify(self._heap)
        self._passed_by = 0

    def _stands(self, entry: Entry) -> bool:
        found = self._waiting.get(entry[4])
        return found is not None and found[0] == entry[5]

    def _most_teaching(self, these: list[Waiting]) -> Waiting:
        distances, wide = self._distances(these), _spread(these)
        return min(
            zip(these, distances, strict=True),
            key=lambda pair: (-(pair[0].uncertainty + min(1.0, min(pair[0].novelty, pair[1]) / wide)), pair[0].inspection),
        )[0]

    def _distances(self, these: list[Waiting]) -> list[float]:
        """1 - cosine to the nearest of those shown last; infinite where there is none, or no sketch."""
        if not self._recent:
            return [math.inf] * len(these)
        recent = _rows(self._recent)
        blank = np.zeros(recent.shape[1], np.float32)
        sketches = _rows([blank if one.sketch is None else one.sketch for one in these])
        nearest = 1 - np.einsum("wd,rd->wr", sketches, recent).max(axis=1)  # not @: its threads cost 3 ms on a busy machine
        return [math.inf if one.sketch is None else float(d) for one, d in zip(these, nearest, strict=True)]


def unsure(shares: Sequence[float]) -> float:
    """How close the two most probable classes are: 1 - (best - second), 0 to 1; 0 for a single class.

    T. Scheffer et al., Active Hidden Markov Models for Information Extraction, 2001. Measured in docs/learning.md.
    """
    if len(shares) < 2:
        return 0.0
    second, best = sorted(shares)[-2:]
    return min(1.0, max(0.0, 1.0 - (best - second)))


def band(one: Waiting) -> Band:
    """(kind, deadline, strangeness): what comes before what, whatever it teaches."""
    due = NEVER if one.due_ms is None else one.due_ms
    return KINDS.index(one.kind), due, math.ceil(math.log2(max(one.p_value, 1e-12)))


def _spread(these: list[Waiting]) -> float:
    """Mean distance (1 - cosine) between them: what a distance is a share of. Images of one product differ by some .002 only.

    Of unit vectors it is 1 - |their mean|^2. 1 where there are not two with a sketch, or all are the same.
    """
    sketches = [one.sketch for one in these if one.sketch is not None]
    if len(sketches) < 2:
        return 1.0
    apart = 1 - float(np.square(_rows(sketches).mean(axis=0, dtype=np.float64)).sum())
    return apart if apart > _SAME else 1.0


def _rows(sketches: Collection[Floats]) -> Floats:
    """One below the other. Not `stack`, which looks at each of them several times."""
    return np.concatenate(tuple(sketches)).reshape(len(sketches), -1)


def promise(one: Waiting) -> float:
    """What it teaches by itself."""
    return one.uncertainty + one.novelty


def kind_of(disposition: str, reasons: Collection[str], due_ms: int | None) -> Kind:
    """From the verdict: a review with a deadline holds a gate; a part that passed and is bad must be found."""
    if "containment" in reasons:
        return "containment"
    if disposition == "review" and due_ms is not None:
        return "gate"
    if "unknown_defect" in reasons:
        return "unknown_defect"
    return "strange" if {"anomalous", "contradiction", "never_pass", "near_limit"} & set(reasons) else "other"
