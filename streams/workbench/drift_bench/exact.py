"""Target 16: a stream judged again, in pieces, or from joined pieces, gives the same events and the same state."""

from __future__ import annotations

from concurrent.futures import Executor
from functools import reduce
from itertools import pairwise

import numpy as np

from streams.monitors.baseline import Baseline
from streams.monitors.detector import init, step
from streams.monitors.evidence import DriftEvent
from streams.monitors.packing import pack, pack_evidence
from streams.monitors.score import Score
from streams.monitors.segments import apply, join, numbered
from streams.monitors.state import State
from streams.workbench.drift_bench.cells import Cell, chance, draw, fitted
from streams.workbench.drift_bench.estimate import Estimate
from streams.workbench.drift_bench.families import FAMILIES, Values
from streams.workbench.drift_bench.plan import FROZEN, ICC, JUMPS, SHIFTS
from streams.workbench.drift_bench.rows import Row
from streams.workbench.drift_bench.simulator import Change, World

_AT, _PARTS, _CUTS = 2500, 6000, 12
_CHANGES: dict[str, Change] = {**SHIFTS, **JUMPS, **FROZEN}
Outcome = tuple[bytes, bytes, list[DriftEvent]]


def rows(pool: Executor, runs: int) -> list[Row]:
    """Every kind of change, every score law, large and small references, with and without lots."""
    wrong = sum(pool.map(differs, range(runs), chunksize=5))
    name = "replay, split or join: runs with another event or state"
    return [Row(target=16, name=name, unit="runs", found=Estimate(value=wrong, se=0.0, runs=runs), goal=0, prototype="0")]


def differs(run: int) -> bool:
    """Whether any way of judging this run's stream differs from judging it part by part."""
    change = list(_CHANGES)[run % len(_CHANGES)]
    world = World(family=FAMILIES[run % len(FAMILIES)], step=(0.01, 0.1)[run % 5 == 0], icc=(0.0, ICC)[run % 3 == 0])
    cell = Cell(name=f"exact {run}", world=world, change=_CHANGES[change], at=_AT, parts=_PARTS, n=(2000, 100)[run % 7 == 0])
    normal, production = draw(cell, run)
    baseline, rng = fitted(cell, normal), chance("cuts", run)
    cuts = [0, *sorted(rng.choice(np.arange(1, _PARTS), _CUTS, replace=False).tolist()), _PARTS]
    once = _stepped(baseline, production.scores)
    return any(
        other != once
        for other in (
            _stepped(baseline, production.scores),
            _split(baseline, production.scores, cuts),
            _joined(baseline, production.scores, cuts),
        )
    )


def _stepped(baseline: Baseline, values: Values) -> Outcome:
    state, events = init(baseline), list[DriftEvent]()
    for n, value in enumerate(values.tolist()):
        state, said = step(baseline, state, Score(value, 0, n, n))
        events += said
    return _outcome(state, events)


def _split(baseline: Baseline, values: Values, cuts: list[int]) -> Outcome:
    state, events = init(baseline), list[DriftEvent]()
    for low, high in pairwise(cuts):
        state, said = apply(baseline, state, numbered(baseline, values[low:high], low))
        events += said
    return _outcome(state, events)


def _joined(baseline: Baseline, values: Values, cuts: list[int]) -> Outcome:
    pieces = [numbered(baseline, values[low:high], low) for low, high in pairwise(cuts)]
    return _outcome(*apply(baseline, init(baseline), reduce(join, pieces)))


def _outcome(state: State, events: list[DriftEvent]) -> Outcome:
    return pack(state), pack_evidence(state), events
