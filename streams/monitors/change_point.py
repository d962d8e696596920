"""When a change began: what the latest symbols leave possible, and which inspection that was.

A CUSUM's start is where its own alternative is most likely to have begun. Where a strong one crosses first, a weaker shift began
earlier than that; so the latest symbols are weighed again, now that the direction is known, for shifts of several sizes (A.
Shiryaev, On optimum methods in quickest detection problems, Theory Probab. Appl. 8 (1963) 22: the posterior of the begin; every
part and every size is as likely as another). Its median has the smallest mean error. More defects need not be ruled out any more,
so the tail counts in full. Knows symbols and marks, no state.
"""

from __future__ import annotations

import functools
import math
from bisect import bisect_left
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from streams.monitors.marks import Mark
from streams.monitors.tables import DEFECTS, Alternative, Direction, moved

_SHIFTS = (0.25, 0.35, 0.5, 0.7, 1.0, 1.4, 2.0)
_SCALES = (1.25, 1.4, 1.6, 2.0)
Nats = NDArray[np.float64]


def begun(masses: tuple[float, ...], body: int, direction: Direction, symbols: bytes, deff: float) -> int:
    """Place of the first symbol after the change. symbols: at least one, the last of which is after it; deff: see `lots`."""
    nats = _nats(masses, body, direction)[:, np.frombuffer(symbols, dtype=np.uint8)] / deff
    since = np.cumsum(nats[:, ::-1], axis=1)[:, ::-1]  # log likelihood ratio of a begin at each place, a row a size
    weight = np.cumsum(np.exp(since - since.max()).sum(axis=0))
    return int(np.searchsorted(weight, weight[-1] / 2))


def located(wanted: int, known: Sequence[Mark]) -> Mark:
    """The mark of a part. known: marks by ascending part, at least one.

    Where the numbers between its neighbours have no gap it follows from them, its time as if parts came evenly; else the nearest
    known mark, which may be of another part.
    """
    behind = bisect_left(known, wanted, key=lambda mark: mark[0])
    if behind == 0 or behind == len(known):
        return known[min(behind, len(known) - 1)]
    low, high = known[behind - 1], known[behind]
    parts, done = high[0] - low[0], wanted - low[0]
    if low[1] == high[1] and high[2] - low[2] == parts:
        return wanted, low[1], low[2] + done, low[3] + (high[3] - low[3]) * done // parts, None
    return low if 2 * done < parts else high


@functools.lru_cache(maxsize=64)
def _nats(masses: tuple[float, ...], body: int, direction: Direction) -> Nats:
    """Log ratio of moved to unmoved masses, a row a size, a column a bin; the defects are the same in both."""
    before = _with_defects(masses, body)
    after = [_with_defects(moved(masses, alternative), body) for alternative in _alternatives(direction)]
    tails = len(masses) - body
    rows = [[math.log(a / b) for a, b in zip(row, before, strict=True)] for row in after]
    return np.array([[*row[:-1], *[row[-1]] * tails] for row in rows])


def _with_defects(masses: Sequence[float], body: int) -> list[float]:
    """Of each body bin, then of the tail."""
    good = [*masses[:body], math.fsum(masses[body:])]
    return [*((1 - DEFECTS) * mass for mass in good[:-1]), (1 - DEFECTS) * good[-1] + DEFECTS]


def _alternatives(direction: Direction) -> list[Alternative]:
    match direction:
        case "up":
            return [Alternative(direction=direction, shift=shift) for shift in _SHIFTS]
        case "down":
            return [Alternative(direction=direction, shift=-shift) for shift in _SHIFTS]
        case "shrink":
            return [Alternative(direction=direction, scale=1 / scale) for scale in _SCALES]
        case "spread":
            return [Alternative(direction=direction, scale=scale) for scale in _SCALES]
