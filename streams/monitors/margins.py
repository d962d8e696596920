"""Challenge parts: a miss alarms at once; their margins, followed from set to set, tell before there is one.

A margin is how far a known defect scores above the threshold. Knows margins, no image and no schedule. The CUSUM sums the fall of
all parts of a set together, in repeatability sd, designed for a fall of one sd (E. Page, Biometrika 41 (1954) 100).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, Self

import numpy as np

from streams.monitors.evidence import DriftEvent
from streams.monitors.score import Point

PASSES = 20  # sets that passed, from which margins are learnt
H = 5.0  # nats: a false alarm about every 4600 sets, a fall of one sd found in about 5
_ALLOWANCE = 1.645
_FINEST = 0.01  # of the mean margin: an injected image repeats exactly, and a smaller change than that is none


@dataclass(frozen=True, slots=True, kw_only=True)
class ChallengeReference:
    """means: margin of each part; sd: of a part from set to set; passes: sets it was learnt from."""

    means: tuple[float, ...]
    sd: float
    passes: int

    @classmethod
    def fit(cls, passes: Sequence[Sequence[float]]) -> Self:
        """passes: the margins of the same parts in the same order, a row a set. Raises ValueError for fewer than two sets, sets
        of different parts, margins that are not finite.
        """
        if len(passes) < 2 or not passes[0] or len({len(margins) for margins in passes}) > 1:
            raise ValueError(f"margins are learnt from two or more sets of the same parts, not of {[*map(len, passes)]}")
        rows = np.asarray(passes, dtype=np.float64)
        if not np.isfinite(rows).all():
            raise ValueError("a margin is not finite")
        means = rows.mean(axis=0)
        sd = math.sqrt(float(rows.var(axis=0, ddof=1).mean()))
        finest = max(_FINEST * float(np.abs(means).mean()), 1e-9)
        return cls(means=tuple(means.tolist()), sd=max(sd, finest), passes=len(passes))


@dataclass(frozen=True, slots=True, kw_only=True)
class ChallengeSet:
    """at: its last answer; margins: in the order of the reference's parts; missed: a part got a verdict that it must not get."""

    at: Point
    margins: tuple[float, ...]
    missed: bool


class ChallengeState(NamedTuple):
    """cusum: nats; start: first set of the fall; last_pass: where the suspect window of a miss begins."""

    cusum: float = 0.0
    start: Point | None = None
    last_pass: Point | None = None


def challenge_init() -> ChallengeState:
    return ChallengeState()


def challenge_step(
    reference: ChallengeReference, state: ChallengeState, result: ChallengeSet
) -> tuple[ChallengeState, list[DriftEvent]]:
    """Take one set. Raises ValueError for another number of margins, or one that is not finite."""
    cusum = moved(reference, state.cusum, result.margins)
    start = None if cusum == 0 else state.start or result.at
    events = []
    if result.missed:
        events.append(_event("challenge_miss", result.at, state.last_pass))
    if cusum >= H:
        events.append(_event("challenge_margin", result.at, start))
        cusum, start = 0.0, None
    return ChallengeState(cusum, start, state.last_pass if result.missed else result.at), events


def moved(reference: ChallengeReference, cusum: float, margins: Sequence[float]) -> float:
    """The CUSUM after one more set."""
    k = len(reference.means)
    if len(margins) != k or not all(map(math.isfinite, margins)):
        raise ValueError(f"a set of {k} finite margins is wanted, not {list(margins)}")
    off = math.fsum(x - mean for x, mean in zip(margins, reference.means, strict=True)) / (reference.sd * math.sqrt(k))
    theta = math.sqrt(k)
    return max(0.0, cusum - theta * (off + _ALLOWANCE / math.sqrt(reference.passes)) - theta * theta / 2)


def _event(kind: Literal["challenge_miss", "challenge_margin"], at: Point, since: Point | None) -> DriftEvent:
    return DriftEvent(kind=kind, at=at, change_point=since, direction="down", evidence=None)
