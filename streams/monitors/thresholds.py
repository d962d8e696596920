"""Thresholds of CUSUMs, computed from the mean time between false alarms that is allowed. Nothing here is tuned.

The CUSUM is a Markov chain on [0, h); its mean run length m solves (I - R) m = 1, R the moves that do not cross: D. Brook,
D. Evans, An approach to the probability distribution of CUSUM run length, Biometrika 59 (1972) 539. A value between two cells
is shared by both.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from contextlib import AbstractContextManager

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController

from streams.monitors.symbols import BODY
from streams.monitors.tables import Alternative, ratios

CELLS = 240
PER_OCTAVE = 4
_FINEST = 0.001  # nats
_BEYOND = 1e12  # above it the solution has lost its digits: taken as endless
_STRAIGHT = 1e10  # above it the log of the mean run length rises as h does, for ratios: no need to solve


def octave_of(arl: float) -> int:
    """Quarter octaves of a mean run length, rounded up: the grid on which thresholds are computed and kept. arl >= 1."""
    return math.ceil(PER_OCTAVE * math.log2(arl) - 1e-9)


def run_length(steps: Sequence[float], shares: Sequence[float], h: float, cells: int = CELLS) -> float:
    """Mean parts until a CUSUM from 0 reaches h. steps: nats that each symbol adds; shares: the symbols' probabilities."""
    width = h / cells
    start = np.arange(cells)
    moves = np.eye(cells)
    for step, share in zip(steps, shares, strict=True):
        to = np.maximum(0.0, start + step / width)
        low = np.floor(to).astype(np.intp)
        upper = to - low
        _take(moves, start, low, share * (1 - upper))
        _take(moves, start, low + 1, share * upper)
    arl = float(np.linalg.solve(moves, np.ones(cells))[0])
    return arl if 0 < arl < _BEYOND else math.inf


def _take(moves: NDArray[np.float64], rows: NDArray[np.intp], columns: NDArray[np.intp], weight: NDArray[np.float64]) -> None:
    inside = columns < len(moves)
    moves[rows[inside], columns[inside]] -= weight[inside]


def threshold(steps: Sequence[float], shares: Sequence[float], arl: float, cells: int = CELLS) -> float:
    """The smallest h (nats, to .001) on [1, ln arl + 2] whose mean run length is at least arl.

    The log of the mean run length rises about as fast as h, so what is missing is added; halving where that leaves the bracket.
    """
    if arl > _STRAIGHT:
        return threshold(steps, shares, _STRAIGHT, cells) + math.log(arl / _STRAIGHT)
    wanted = math.log(max(arl, 1.0))
    low, high = 1.0, wanted + 2
    h = min(max(wanted, low), high)
    with _one_thread():
        while high - low > _FINEST:
            missing = wanted - math.log(max(1.0, run_length(steps, shares, h, cells)))
            low, high = (low, h) if missing <= 0 else (h, high)
            if missing <= 0 and (h <= 1 or missing > -_FINEST):
                return h
            aim = h + missing + _FINEST / 4
            h = aim if low < aim < high else (low + high) / 2
    return high


def _one_thread() -> AbstractContextManager[object]:
    """These systems are small: a second thread of the linear algebra would wait a hundred times longer than it works."""
    limited: AbstractContextManager[object] = _controller().limit(limits=1, user_api="blas")
    return limited


@functools.cache
def _controller() -> ThreadpoolController:
    return ThreadpoolController()


@functools.cache
def table_thresholds(body: int, alternatives: tuple[Alternative, ...], octave: int) -> tuple[float, ...]:
    """Thresholds in nats of all tables together at a mean run length of 2 ** (octave / 4): each gets an equal part of the alarms.

    For a body of `body` equal bins, under the least favourable member of the null. 20 ms, then kept.
    """
    masses = [BODY / body] * body + [1 - BODY]
    arl = len(alternatives) * 2.0 ** (octave / PER_OCTAVE)
    return tuple(_one(tuple(masses), body, alternative, arl) for alternative in alternatives)


def _one(masses: tuple[float, ...], body: int, alternative: Alternative, arl: float) -> float:
    found = ratios(masses, body, alternative)
    return threshold([math.log(value) for value in found.values], found.null, arl)
