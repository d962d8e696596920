"""The mean number of points to the first signal of a set of run rules, exactly: the rules' own step as a Markov chain.

Knows where a point can fall and how likely, no chart. The chain's states are the counters that `rules` keeps; rules of trends and
alternation need the last point's place too. Method: D. Brook, D. Evans, Biometrika 59 (1972) 539; C. Champ, W. Woodall,
Technometrics 29 (1987) 393.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from streams.monitors.spc.rules import Counters, Rule, Step, counted, zone_of

Floats = NDArray[np.float64]
ORDERED: frozenset[Rule] = frozenset({"nelson_3", "nelson_4"})  # they ask how a point lies to the one before
_ZONES = range(-4, 5)
_DIRECTIONS = (-1, 0, 1)
_CLOSE = 1e-9  # of the mean run length: relative
_FEWEST_STEPS = 50  # before it no rule of fourteen points has had its say
_MOST_STEPS = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Where a point can fall, from low to high: zones as in `rules.Step`, shares that add up to 1 (what is left never happens).

    level: the chance that two points of one place are level; the rest of them is as often up as down. 1 for counts, where a place
    is a count; 0 for measurements, where it is a narrow cell.
    """

    zones: tuple[int, ...]
    shares: tuple[float, ...]
    level: float


def places(zs: Sequence[float], shares: Sequence[float], level: float) -> Places:
    """zs: ascending, on the scale of the rules."""
    return Places(zones=tuple(zone_of(z) for z in zs), shares=tuple(float(share) for share in shares), level=level)


def mean_run_length(where: Places, rules: tuple[Rule, ...]) -> float:
    """Points to the first signal, from a start without history; infinite where no signal can come."""
    if ORDERED.intersection(rules):
        return _ordered(where, rules)
    shares = np.zeros(9)
    np.add.at(shares, np.asarray(where.zones) + 4, where.shares)
    return _unordered(shares, rules)


@functools.cache
def _machine(rules: tuple[Rule, ...]) -> NDArray[np.intp]:
    """Next state by state, zone (low to high) and direction (down, level, up); -1 where a rule holds. State 0 is the start."""
    known, queue, rows = {Counters(): 0}, [Counters()], []
    for state in queue:  # grows as it goes
        row = []
        for zone in _ZONES:
            for direction in _DIRECTIONS:
                after = counted(state, Step(zone, direction), rules)
                if after.held:
                    row.append(-1)
                    continue
                if after not in known:
                    known[after] = len(queue)
                    queue.append(after)
                row.append(known[after])
        rows.append(row)
    return np.array(rows, dtype=np.intp).reshape(len(rows), 9, 3)


def _unordered(shares: Floats, rules: tuple[Rule, ...]) -> float:
    """Solves (I - Q) m = 1."""
    to = _machine(rules)[:, :, 1]
    moves = np.eye(len(to))
    rows, zones = np.nonzero(to >= 0)
    np.subtract.at(moves, (rows, to[rows, zones]), shares[zones])
    if shares[(to < 0).any(axis=0)].sum() == 0:
        return math.inf
    return float(np.linalg.solve(moves, np.ones(len(to)))[0])


def _ordered(where: Places, rules: tuple[Rule, ...]) -> float:
    """Adds up the chance of no signal yet, point by point, until what is left falls by the same factor each time.

    `alive`: (place of the last point, state).
    """
    zones, shares = np.asarray(where.zones), np.asarray(where.shares)
    inside = np.abs(zones) < 4
    zones, shares = zones[inside], shares[inside]
    machine = _machine(rules)
    maps = {(zone, turn): _map(machine[:, zone + 4, turn + 1]) for zone in set(zones.tolist()) for turn in _DIRECTIONS}
    start = np.zeros((len(zones), len(machine)))
    start[:, 0] = 1.0
    alive = _moved((np.zeros_like(start), start, np.zeros_like(start)), zones, shares, maps)
    total, left, before = 1.0, float(alive.sum()), 0.0
    for steps in range(_MOST_STEPS):
        alive = _moved(_origins(alive, where.level), zones, shares, maps)
        now = float(alive.sum())
        factor = now / left if left else 0.0
        estimate = total + left / (1 - factor) if factor < 1 else math.inf
        if steps > _FEWEST_STEPS and (abs(estimate - before) <= _CLOSE * estimate or factor >= 1):
            return estimate
        total, left, before = total + left, now, estimate
    return before


def _map(to: NDArray[np.intp]) -> csr_array:
    rows = np.flatnonzero(to >= 0)
    return csr_array((np.ones(len(rows)), (rows, to[rows])), shape=(len(to), len(to)))


def _origins(alive: Floats, level: float) -> tuple[Floats, Floats, Floats]:
    """By place of the next point: what it comes from going down, level and up."""
    below = np.cumsum(alive, axis=0) - alive
    split = alive * ((1 - level) / 2)
    return alive.sum(axis=0) - below - alive + split, alive * level, below + split


def _moved(
    origins: tuple[Floats, Floats, Floats], zones: NDArray[np.int_], shares: Floats, maps: dict[tuple[int, int], csr_array]
) -> Floats:
    alive = np.zeros_like(origins[0])
    for zone in set(zones.tolist()):
        rows = zones == zone
        for turn, origin in zip(_DIRECTIONS, origins, strict=True):
            alive[rows] += origin[rows] @ maps[zone, turn]
    alive *= shares[:, None]
    return alive
