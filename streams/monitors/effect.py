"""How far a baseline has moved, from counts alone: shift or scale of the good parts in latent sd, with an interval.

Profile likelihood over the alternatives of `tables`: good parts moved, any share of defects up to 30 % in the tail. The interval
is Wilks's (Ann. Math. Stat. 9 (1938) 60), widened for dependent parts and for a reference that is itself a sample. It was read
off at an alarm, so it leans away from zero.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from streams.monitors.tables import MOST_DEFECTS, Alternative, Direction, moved

_CHI2 = 3.841  # 95 %, one degree of freedom
_SHIFTS = np.round(np.arange(-6.0, 6.001, 0.05), 2)
_SCALES = np.round(np.exp(np.arange(-2.0, 2.001, 0.02)), 4)
Grid = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Effect:
    """unit: `sd` for a shift, `scale` for a factor of the spread; low, high: 95 % interval, None where it is open."""

    unit: Literal["sd", "scale"]
    value: float
    low: float | None
    high: float | None


def effect(
    masses: Sequence[float], body: int, counts: Sequence[int], direction: Direction, *, deff: float, n: int
) -> Effect | None:
    """None without parts. counts: since the change, in the bins of the reference's masses; n: reference scores."""
    parts = sum(counts)
    if parts == 0:
        return None
    shifts = direction in ("up", "down")
    grid = _SHIFTS if shifts else _SCALES
    log = _profile(_grid(tuple(masses), shifts), body, np.asarray(counts, dtype=np.float64))
    inside = np.flatnonzero(2 * (log.max() - log) <= _CHI2 * deff * (1 + parts / n))
    low = None if inside[0] == 0 else float(grid[inside[0]])
    high = None if inside[-1] == len(grid) - 1 else float(grid[inside[-1]])
    return Effect(unit="sd" if shifts else "scale", value=float(grid[int(log.argmax())]), low=low, high=high)


@functools.lru_cache(maxsize=32)
def _grid(masses: tuple[float, ...], shifts: bool) -> Grid:
    """Masses of the bins for each point of the grid."""
    if shifts:
        return np.array([moved(masses, Alternative(direction="up", shift=float(shift))) for shift in _SHIFTS])
    return np.array([moved(masses, Alternative(direction="spread", scale=float(scale))) for scale in _SCALES])


def _profile(after: Grid, body: int, counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Log likelihood at the most likely share of defects."""
    tail = after[:, body:].sum(axis=1)
    outside = counts[body:].sum() / counts.sum()
    share = np.clip((outside - tail) / np.maximum(1 - tail, 1e-9), 0, MOST_DEFECTS)
    inside = np.log(after[:, :body]) @ counts[:body] + counts[:body].sum() * np.log1p(-share)
    return np.asarray(inside + counts[body:].sum() * np.log(tail + share * (1 - tail)))
