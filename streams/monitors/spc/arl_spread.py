"""Mean points between two false signals of the charts of scatter, whose one rule is to be beyond a limit: computed.

Values are normal and limits taken as known. Successive moving ranges share a value, so theirs is an integral equation:
S. Crowder, J. Quality Technology 19 (1987) 98. Loads scipy.
"""

from __future__ import annotations

import functools
import math

import numpy as np
from scipy.special import chdtr, chdtrc, ndtr

from streams.monitors.spc.attributes import D2, K_SIGMA
from streams.monitors.spc.variables import VariableChart, VariableLimits, spread_limits

_REACH, _CELLS = 6.0, 480  # standard deviations of a value that are looked at, and in how many cells


@functools.lru_cache(maxsize=256)
def arl_deviation(n: int, k_sigma: float = K_SIGMA) -> float:
    """Of the standard deviation of n >= 2 values; infinite where none can come."""
    drawn = spread_limits(_unit("xbar_s", k_sigma), n)
    share = float(chdtrc(n - 1, (n - 1) * drawn.ucl**2) + chdtr(n - 1, (n - 1) * drawn.lcl**2))
    return 1 / share if share else math.inf


@functools.lru_cache(maxsize=256)
def arl_moving_range(k_sigma: float = K_SIGMA) -> float:
    """Of the moving range of two; the first point has none, and counts."""
    reach = spread_limits(_unit("i_mr", k_sigma), 1).ucl
    edges = np.linspace(-_REACH, _REACH, _CELLS + 1)
    shares, middles, cell = np.diff(ndtr(edges)), (edges[:-1] + edges[1:]) / 2, edges[1] - edges[0]
    apart = np.abs(middles[:, None] - middles)
    stays = np.clip((reach - apart) / cell + 0.5, 0, 1) * shares  # part of a cell where the limit cuts it
    further = np.linalg.solve(np.eye(_CELLS) - stays, np.ones(_CELLS))
    return float(1 + shares @ further)


def _unit(chart: VariableChart, k_sigma: float) -> VariableLimits:
    """Limits where a value's standard deviation is 1."""
    return VariableLimits(chart=chart, center=0.0, sigma=1.0, method="mr", d2=D2, subgroups=(), k_sigma=k_sigma)
