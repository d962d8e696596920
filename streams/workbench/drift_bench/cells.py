"""Cells of the experiment: a world, a reference, a change; and what the drift monitor says of many runs of one.

Run k of a cell is a function of the cell's name and k alone, whichever process judges it. No target is known here.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor, ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context

import numpy as np
from numpy.random import Generator

from streams.monitors.baseline import Baseline
from streams.monitors.evidence import Kind
from streams.workbench.drift_bench.ours import Seen, judge
from streams.workbench.drift_bench.simulator import Change, Sample, World, reference, stream

SEED = 20_260_731
CHANGE_AT = 4000
PROCESSES = 2
_AT_ONCE = 10  # runs a task
PLAIN = World()
Tell = Callable[[str], None]
BASELINE: frozenset[Kind] = frozenset({"baseline_up", "baseline_down", "baseline_shrink", "baseline_spread"})


@dataclass(frozen=True, kw_only=True)
class Cell:
    """n: scores of the reference, of which `dirty` are defects; commissioned: parts of pooled production instead, with their
    lots; parts: judged in a run, the change comes after the first `at` of them; until: events after the change that end a run.
    """

    name: str
    parts: int
    world: World = PLAIN
    change: Change | None = None
    at: int = CHANGE_AT
    n: int = 2000
    dirty: float = 0.0
    commissioned: int = 0
    arl0: float = 1e5
    until: frozenset[Kind] = frozenset()


@dataclass(frozen=True, kw_only=True)
class Run:
    """parts: judged; events: in the order of time, their places counted from 0."""

    parts: int
    events: tuple[Seen, ...]


def chance(name: str, run: int) -> Generator:
    """The run's own generator."""
    return np.random.default_rng([SEED, zlib.crc32(name.encode()), run])


def draw(cell: Cell, run: int) -> tuple[Sample, Sample]:
    """Reference and stream of a run."""
    rng = chance(cell.name, run)
    if cell.commissioned:
        normal = stream(cell.world, cell.commissioned, rng)
    else:
        normal = reference(cell.world, cell.n, rng, dirty=cell.dirty)
    return normal, stream(cell.world, cell.parts, rng, cell.change, cell.at)


def fitted(cell: Cell, normal: Sample) -> Baseline:
    """The baseline of a run."""
    lots = normal.lots.tolist() if cell.commissioned and cell.world.icc > 0 else None
    return Baseline.fit(normal.scores.tolist(), lots, arl0=cell.arl0, commissioned=cell.commissioned > 0)


def judged(cell: Cell, run: int) -> Run:
    """What the drift monitor says of a run."""
    normal, production = draw(cell, run)
    since = cell.at if cell.change is not None else 0
    parts, events = judge(fitted(cell, normal), production.scores, until=cell.until, since=since)
    return Run(parts=parts, events=tuple(events))


def _some(task: tuple[Cell, range]) -> tuple[str, list[Run]]:
    cell, runs = task
    return cell.name, [judged(cell, run) for run in runs]


def measure(pool: Executor, cells: Mapping[Cell, int], tell: Tell | None = None) -> dict[str, list[Run]]:
    """All runs of all cells, by name. cells: how many runs of each; tell: hears of every tenth of the work."""
    found: dict[str, list[Run]] = {cell.name: [] for cell in cells}
    if len(found) < len(cells):
        raise ValueError("two cells have one name")
    tasks = list(pieces(cells, _AT_ONCE))
    for done, (name, runs) in enumerate(pool.map(_some, tasks), 1):
        found[name] += runs
        if tell and 10 * done // len(tasks) > 10 * (done - 1) // len(tasks):
            tell(f"{100 * done // len(tasks)} % of the runs")
    return found


def pieces(cells: Mapping[Cell, int], most: int) -> Iterator[tuple[Cell, range]]:
    """The runs of each cell, cut into tasks of at most `most`."""
    for cell, runs in cells.items():
        for first in range(0, runs, most):
            yield cell, range(first, min(runs, first + most))


def workers(processes: int = PROCESSES) -> ProcessPoolExecutor:
    """Processes of their own, without anything of this one's."""
    return ProcessPoolExecutor(processes, mp_context=get_context("spawn"))
