"""How large a strange region is, and how long: from a heat map in steps. Pure."""

from __future__ import annotations

import math

import numpy as np

SIDE = 32
_CELL = 1 / 12  # variance of a square cell by itself, in cells: a single one is round, not infinitely long


def region(cells: bytes, limit: float) -> tuple[float, float] | None:
    """cells: 32 x 32 steps row by row; limit: the step from which a cell is strange -> (share of the image, elongation >= 1).

    Elongation is the ratio of the axes of the ellipse with the same second moments. None: no cell is strange.
    """
    strange = np.frombuffer(cells, np.uint8).reshape(SIDE, SIDE) >= limit
    if not strange.any():
        return None
    y, x = np.nonzero(strange)
    spread = np.cov(np.stack([x, y]), bias=True) + _CELL * np.eye(2)
    small, large = np.linalg.eigvalsh(spread)
    return float(strange.mean()), math.sqrt(large / small)
