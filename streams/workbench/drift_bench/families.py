"""Score scales of simulated good parts: monotone maps from a standard normal latent value. Know no stream and no defect.

Each is tabulated once on a fine grid of latent values from its own survival function, then interpolated, so a draw costs the same
for all of them.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Family = Literal["lognormal", "gamma", "weibull", "bimodal"]
FAMILIES: tuple[Family, ...] = ("lognormal", "gamma", "weibull", "bimodal")
Values = NDArray[np.float64]
_SPAN, _PER_SD = 8.0, 200
_HALVINGS = 80
_MODES = ((0.6, 1.0, 0.12), (0.4, 1.6, 0.15))  # share, mean, sd


@dataclass(frozen=True, kw_only=True)
class Scale:
    """scores: at latent values -8, -7.995, .. 8, ascending."""

    scores: Values

    def score(self, latent: Values) -> Values:
        """Scores of latent values; beyond 8 sd those at 8 sd."""
        place = np.clip((latent + _SPAN) * _PER_SD, 0.0, len(self.scores) - 1.001)
        low = place.astype(np.intp)
        below = self.scores[low]
        return below + (place - low) * (self.scores[low + 1] - below)


@functools.cache
def scale_of(family: Family) -> Scale:
    """Lognormal with sigma .4, gamma and Weibull of shape 3, two normals of 60 and 40 % that are 4 sd apart."""
    latent = np.linspace(-_SPAN, _SPAN, int(2 * _SPAN * _PER_SD) + 1)
    if family == "lognormal":
        return Scale(scores=np.exp(0.4 * latent))
    above = np.array([_above(value) for value in latent])
    if family == "weibull":
        return Scale(scores=np.cbrt(-np.log(above)))
    survival = _gamma if family == "gamma" else _bimodal
    return Scale(scores=_inverse(survival, above))


def _above(value: float) -> float:
    """P(Z > value) of a standard normal, with all its digits in the upper tail."""
    return math.erfc(value / math.sqrt(2)) / 2


def _gamma(x: float) -> float:
    """Survival of a gamma of shape 3 (an Erlang, so a finite sum)."""
    return math.exp(-x) * (1 + x + x * x / 2) if x > 0 else 1.0


def _bimodal(x: float) -> float:
    return math.fsum(share * _above((x - mean) / sd) for share, mean, sd in _MODES)


def _inverse(survival: Callable[[float], float], above: Values) -> Values:
    """x with survival(x) = above, by halving [0, 64]."""
    low, high = np.zeros_like(above), np.full_like(above, 64.0)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        right = np.array([survival(x) for x in middle]) > above
        low, high = np.where(right, middle, low), np.where(right, high, middle)
    return np.asarray((low + high) / 2, dtype=np.float64)
