"""Peers and ours side by side at equal mean run length: delays, and what of a change of the defect rate is called drift."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from typing import Any

from streams.workbench.drift_bench.calibrate import CELL, OURS, calibrated
from streams.workbench.drift_bench.cells import BASELINE, CHANGE_AT, Cell, Tell, measure
from streams.workbench.drift_bench.estimate import quantile, run_length, share
from streams.workbench.drift_bench.peer_runs import alarms
from streams.workbench.drift_bench.peers import CHARTS, LEARNERS
from streams.workbench.drift_bench.plan import IN_CONTROL, JUMPS, Size, jump, moved
from streams.workbench.drift_bench.rows import finite

DELAYS = ("+.25", "+.5", "+1", "-.5", "shrink .7", "creep")
STATED = "Verdictline, as stated"
CONTROL = Cell(name="peers control", parts=IN_CONTROL, until=BASELINE)
Firsts = Callable[[Cell], list[int | None]]


def rows(pool: Executor, size: Size, *, river: bool, tell: Tell) -> list[dict[str, Any]]:
    """A row of JSON a detector. river: whether its detectors can run."""
    sensitivity, found = calibrated(), []
    for name, arl0 in ((STATED, CELL.arl0), (OURS, sensitivity[OURS])):
        tell(f"peers: {name}")
        found.append(_row(name, arl0, size.peers, _ours(pool, arl0, size.peers)))
    for chart in CHARTS:
        tell(f"peers: {chart.name}")
        at = sensitivity[chart.name]
        found.append(_row(chart.name, at, size.peers, _peer(pool, chart.name, at, size.peers)))
    for learner in LEARNERS if river else ():
        runs = size.slow if learner.slow else size.peers
        if runs == 0:
            continue
        tell(f"peers: {learner.name}")
        at = sensitivity[learner.name]
        found.append(_row(learner.name, at, runs, _peer(pool, learner.name, at, runs), control=not learner.slow))
    return found


def _peer(pool: Executor, name: str, sensitivity: float, runs: int) -> Firsts:
    return lambda cell: alarms(pool, name, sensitivity, cell, runs)


def _ours(pool: Executor, arl0: float, runs: int) -> Firsts:
    """First baseline events, whatever their direction: peers name none."""

    def firsts(cell: Cell) -> list[int | None]:
        at = replace(cell, arl0=arl0, until=BASELINE)
        return [next((e.at for e in run.events if e.kind in BASELINE), None) for run in measure(pool, {at: runs})[at.name]]

    return firsts


def _row(name: str, sensitivity: float, runs: int, firsts: Firsts, *, control: bool = True) -> dict[str, Any]:
    length = run_length(firsts(CONTROL), CONTROL.parts) if control else None
    return {
        "name": name,
        "runs": runs,
        "sensitivity": sensitivity,
        "arl0": None if length is None else finite(length.value),
        "arl0_low": None if length is None else finite(length.low),
        "median_delay": {label: _delay(firsts(moved(label, "lognormal"))) for label in DELAYS},
        "called_drift": {label: _share(firsts(jump(label, "lognormal"))) for label in JUMPS},
    }


def _delay(firsts: Sequence[int | None]) -> float | None:
    """Median from the change on, of the runs that were quiet before it; None where it is never found in half of them."""
    later = [math.inf if first is None else first - CHANGE_AT + 1.0 for first in firsts if first is None or first >= CHANGE_AT]
    return finite(quantile(later, 0.5).value)


def _share(firsts: Sequence[int | None]) -> float:
    """Alarms within 10,000 parts of the change, of the runs that were quiet before it."""
    later = [first for first in firsts if first is None or first >= CHANGE_AT]
    return share(sum(first is not None for first in later), len(later)).value
