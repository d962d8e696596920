"""Simulated score streams with a known change: what the drift monitor and its peers are measured on. No detector is known here.

A good part has a latent value, standard normal, of which a share ICC is common to its lot; a monotone map makes it a score, which
is rounded. Defects are clear (far up the scale, long-tailed) or weak (one sd up, hidden among good parts). All chance comes from
the generator that is passed in.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from streams.workbench.drift_bench.families import Family, Values, scale_of

CLEAR = 0.8  # of the defects; the others are weak
_CLEAR_FROM = 2.3  # latent sd
_REACH, _PARETO = 0.8, 2.5  # a clear defect scores the value at 2.3 sd times 1 + .8 Pareto(2.5), the Pareto from 0 on (Lomax)
_WEAK = 1.0  # latent sd
Lots = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class World:
    """step: scores are multiples of it; defects: their share; icc: share of the latent variance between lots, which are of
    geometric length with this mean, in parts.
    """

    family: Family = "lognormal"
    step: float = 0.01
    defects: float = 0.01
    icc: float = 0.0
    lot: float = 100.0


@dataclass(frozen=True, kw_only=True)
class Moved:
    """Good parts moved and stretched, in latent sd, from the change on; `over` parts until all of it, `parts` in all."""

    shift: float = 0.0
    scale: float = 1.0
    over: int = 0
    parts: int | None = None


@dataclass(frozen=True, kw_only=True)
class Jump:
    """Another defect share from the change on; good parts stay."""

    to: float


@dataclass(frozen=True, kw_only=True)
class Frozen:
    """The same part is seen again and again. noise: of the sensor, in latent sd."""

    noise: float = 0.0


Change = Moved | Jump | Frozen


@dataclass(frozen=True, kw_only=True)
class Sample:
    """scores in the order of time; lots: number of each part's lot."""

    scores: Values
    lots: Lots


def reference(world: World, n: int, rng: Generator, *, dirty: float = 0.0) -> Sample:
    """n parts that were taken as good: `dirty` is the share of defects that nobody noticed."""
    return stream(replace(world, defects=dirty), n, rng)


def stream(world: World, parts: int, rng: Generator, change: Change | None = None, at: int = 0) -> Sample:
    """Parts of production. The change begins with part `at`, counted from 0."""
    lots = _lots(world, parts, rng)
    latent = rng.standard_normal(parts)
    if world.icc > 0:
        of_lot = rng.standard_normal(int(lots[-1]) + 1)
        latent = math.sqrt(1 - world.icc) * latent + math.sqrt(world.icc) * of_lot[lots]
    latent, defect = _with_defects(world, latent, rng, change, at)
    if isinstance(change, Moved):
        latent = _moved(latent, change, at)
    scale = scale_of(world.family)
    scores = scale.score(latent)
    clear = defect[rng.random(len(defect)) < CLEAR]
    scores[clear] = _clear(world, len(clear), rng)
    if isinstance(change, Frozen):
        held = latent[at] + change.noise * rng.standard_normal(parts - at)
        scores[at:] = scale.score(held) if change.noise > 0 else scores[at]
    return Sample(scores=np.round(np.round(scores / world.step) * world.step, 6), lots=lots)


def _lots(world: World, parts: int, rng: Generator) -> Lots:
    """The number of each part's lot; without an ICC lots are not drawn, all parts are of lot 0."""
    if world.icc == 0:
        return np.zeros(parts, dtype=np.int64)
    return np.cumsum(rng.random(parts) < 1 / world.lot)


def _with_defects(
    world: World, latent: Values, rng: Generator, change: Change | None, at: int
) -> tuple[Values, NDArray[np.intp]]:
    """Latent values, those of defects raised to the weak kind's, and where the defects are."""
    share = np.full(len(latent), world.defects)
    if isinstance(change, Jump):
        share[at:] = change.to
    defect = np.flatnonzero(rng.random(len(latent)) < share)
    latent[defect] += _WEAK
    return latent, defect


def _clear(world: World, count: int, rng: Generator) -> Values:
    base = float(scale_of(world.family).score(np.array([_CLEAR_FROM]))[0])
    return np.asarray(base * (1 + _REACH * rng.pareto(_PARETO, count)), dtype=np.float64)


def _moved(latent: Values, change: Moved, at: int) -> Values:
    after = np.arange(len(latent)) - at
    weight = (after >= 0).astype(np.float64) if change.over == 0 else np.clip((after + 1) / change.over, 0.0, 1.0)
    if change.parts is not None:
        weight[after >= change.parts] = 0.0
    return latent * (1 + weight * (change.scale - 1)) + weight * change.shift
