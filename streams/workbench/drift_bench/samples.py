"""Targets 14 and 15: what is decided on samples alone. A refresh against the anchor, defects inside a reference."""

from __future__ import annotations

from concurrent.futures import Executor

from numpy.random import Generator

from streams.monitors.baseline import Baseline
from streams.monitors.dirt import top_ratio
from streams.monitors.refresh import LIMIT_SD, Ledger, gate_refresh
from streams.workbench.drift_bench.cells import chance
from streams.workbench.drift_bench.dirt_cuts import LAWS
from streams.workbench.drift_bench.estimate import Estimate, share
from streams.workbench.drift_bench.families import FAMILIES, Family
from streams.workbench.drift_bench.rows import Row
from streams.workbench.drift_bench.simulator import Moved, World, reference, stream

_N, _DIRT_N, _DIRT = 2000, 1000, 0.02
_AT_ONCE = 50


def rows(pool: Executor, runs: int) -> list[Row]:
    """runs: of each decision; of dirt, of each family."""
    return [*_refresh(pool, runs), *_dirt(pool, runs)]


def _refresh(pool: Executor, runs: int) -> list[Row]:
    tasks = [range(first, min(runs, first + _AT_ONCE)) for first in range(0, runs, _AT_ONCE)]
    accepted = [pair for pairs in pool.map(_accepted, tasks) for pair in pairs]
    moved, same = share(sum(pair[0] for pair in accepted), runs), share(sum(not pair[1] for pair in accepted), runs)
    bad = f"refresh: a sample that is {LIMIT_SD} sd off is accepted, n={_N}"
    good = f"refresh: a sample of the same process is blocked, n={_N}"
    return [
        Row(target=14, name=bad, unit="share", found=moved, goal=0.05),
        Row(target=14, name=good, unit="share", found=same, goal=0.01, prototype="0"),
    ]


def _accepted(runs: range) -> list[tuple[bool, bool]]:
    return [(_passes(run, LIMIT_SD if run % 2 else -LIMIT_SD), _passes(run, 0.0)) for run in runs]


def _passes(run: int, shift: float) -> bool:
    """Whether a sample of good parts that moved is accepted."""
    rng, world = chance(f"refresh {shift}", run), World(family=FAMILIES[run % len(FAMILIES)], defects=0.0)
    anchor = Baseline.fit(_good(world, rng, 0.0), arl0=1e5)
    return gate_refresh(anchor, Baseline.fit(_good(world, rng, shift), arl0=1e5), Ledger()).accepted


def _good(world: World, rng: Generator, shift: float) -> list[float]:
    scores: list[float] = stream(world, _N, rng, Moved(shift=shift)).scores.tolist()
    return scores


def _dirt(pool: Executor, runs: int) -> list[Row]:
    tasks = [(family, dirty, runs) for dirty in (0.0, _DIRT) for family in LAWS]
    flagged = dict(zip([task[:2] for task in tasks], pool.map(_flagged, tasks), strict=True))
    clean = {family: flagged[family, 0.0] for family in LAWS}
    dirty = {family: flagged[family, _DIRT] for family in LAWS}
    least, most = min(dirty.values(), key=_value), max(clean.values(), key=_value)
    name = f"{_DIRT:.0%} defects in a reference of {_DIRT_N} flagged, worst score law"
    false = f"clean reference of {_DIRT_N} flagged, worst score law"
    return [
        Row(target=15, name=name, unit="share", found=least, goal=0.85, at_most=False, prototype="85-90 %", note=_each(dirty)),
        Row(target=15, name=false, unit="share", found=most, goal=0.05, note=_each(clean)),
    ]


def _flagged(task: tuple[Family, float, int]) -> Estimate:
    family, dirty, runs = task
    world = World(family=family)
    samples = (reference(world, _DIRT_N, chance(f"dirt {family} {dirty}", run), dirty=dirty) for run in range(runs))
    return share(sum(top_ratio(sample.scores.tolist()).flagged for sample in samples), runs)


def _value(found: Estimate) -> float:
    return found.value


def _each(found: dict[Family, Estimate]) -> str:
    return ", ".join(f"{family} {100 * estimate.value:.1f} %" for family, estimate in found.items())
