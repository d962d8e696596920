"""Sensitivities at which every peer has the same mean run length without a change: found by simulation, kept in calibrated.json.

`verdictline bench drift --calibrate` writes the table anew, in about ten minutes. KSWIN, which tests at every part and so takes
.2 ms for each, is calibrated on fewer parts, and that roughly.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from streams.workbench.drift_bench.cells import BASELINE, Cell, Tell, draw, judged, pieces, workers
from streams.workbench.drift_bench.estimate import run_length
from streams.workbench.drift_bench.families import Values
from streams.workbench.drift_bench.inputs import fed
from streams.workbench.drift_bench.peer_runs import alarms
from streams.workbench.drift_bench.peers import CHARTS, KSWIN_WINDOW, LEARNERS, Chart, Learner, kswin, require_river
from streams.workbench.drift_bench.plan import IN_CONTROL
from streams.workbench.drift_bench.simulator import World

TABLE = Path(__file__).with_name("calibrated.json")
OURS = "Verdictline, equal ARL0"
ARL0 = 1e5
CELL = Cell(name="calibration", world=World(), parts=IN_CONTROL, until=BASELINE)
"""n = 2000, independent lognormal scores, 1 % defects."""
_CHART_RUNS, _RUNS, _HALVINGS = 400, 200, 10
_THIN, _AT_ONCE = 20, 25
_KSWIN_RUNS, _KSWIN_PARTS = 40, 15_000


def calibrated() -> dict[str, float]:
    """Sensitivity of each peer by its name."""
    found: dict[str, float] = json.loads(TABLE.read_text(encoding="utf-8"))["sensitivity"]
    return found


def _peaks(task: tuple[str, range]) -> Values:
    """Running maxima of a chart, every 20 parts, a run a column."""
    name, runs = task
    (chart,) = [chart for chart in CHARTS if chart.name == name]
    columns = [fed(chart.takes, *draw(CELL, run)).production for run in runs]
    path = chart.path(np.column_stack(columns))
    return np.asarray(np.maximum.accumulate(path, axis=0)[_THIN - 1 :: _THIN], dtype=np.float64)


def of_chart(pool: Executor, chart: Chart) -> float:
    """Its threshold."""
    tasks = [(chart.name, runs) for _, runs in pieces({CELL: _CHART_RUNS}, _AT_ONCE)]
    peaks = np.hstack(list(pool.map(_peaks, tasks)))

    def length(threshold: float) -> float:
        firsts = [None if run[-1] < threshold else _THIN * int(np.searchsorted(run, threshold)) for run in peaks.T]
        return run_length(firsts, CELL.parts).value

    return bisect(length, 0.0, float(peaks.max()), 30)


def of_learner(pool: Executor, learner: Learner) -> float:
    """Its threshold, or its level."""

    def length(log: float) -> float:
        sensitivity = math.exp(-log if learner.level else log)
        return run_length(alarms(pool, learner.name, sensitivity, CELL, _RUNS), CELL.parts).value

    low, high = (0.0, math.log(1e30)) if learner.level else (math.log(1.0), math.log(1e4))
    log = bisect(length, low, high, _HALVINGS)
    return math.exp(-log if learner.level else log)


def _p_values(run: int) -> Values:
    """What KSWIN tests, part by part, while nothing alarms."""
    short = replace(CELL, name="calibration kswin", parts=_KSWIN_PARTS)
    stream = fed("z", *draw(short, run))
    detector: Any = kswin(0.0)
    for value in stream.reference[-KSWIN_WINDOW:]:
        detector.update(float(value))
    found = []
    for value in stream.production:
        detector.update(float(value))
        found.append(detector.p_value)
    return np.array(found)


def of_kswin(pool: Executor) -> float:
    """Its level."""
    lowest = [np.minimum.accumulate(values) for values in pool.map(_p_values, range(_KSWIN_RUNS))]

    def length(log: float) -> float:
        firsts = [None if run[-1] > math.exp(-log) else int(np.argmax(run <= math.exp(-log))) for run in lowest]
        return run_length(firsts, _KSWIN_PARTS).value

    return math.exp(-bisect(length, math.log(1e2), math.log(1e16), 40))


def _ours(task: tuple[float, range]) -> list[int | None]:
    arl0, runs = task
    found = [judged(replace(CELL, arl0=arl0), run) for run in runs]
    return [next((event.at for event in run.events if event.kind in BASELINE), None) for run in found]


def of_ours(pool: Executor) -> float:
    """The budget that has to be stated so that the true mean run length is the peers'; it is on the safe side by itself."""

    def length(log: float) -> float:
        tasks = [(math.exp(log), runs) for _, runs in pieces({CELL: _RUNS}, 10)]
        return run_length([first for firsts in pool.map(_ours, tasks) for first in firsts], CELL.parts).value

    return math.exp(bisect(length, math.log(1e3), math.log(1e5), 6))


def bisect(length: Callable[[float], float], low: float, high: float, halvings: int) -> float:
    """Where the mean run length reaches ARL0; it grows from low to high."""
    for _ in range(halvings):
        middle = (low + high) / 2
        low, high = (low, middle) if length(middle) >= ARL0 else (middle, high)
    return high


def write_table(tell: Tell) -> None:
    """Find all sensitivities and keep them. Raises RiverMissing."""
    require_river()
    found: dict[str, float] = {}
    with workers() as pool:
        for chart in CHARTS:
            found[chart.name] = of_chart(pool, chart)
            tell(f"{chart.name}: {found[chart.name]:.4g}")
        for learner in LEARNERS:
            found[learner.name] = of_kswin(pool) if learner.slow else of_learner(pool, learner)
            tell(f"{learner.name}: {found[learner.name]:.4g}")
        found[OURS] = of_ours(pool)
        tell(f"{OURS}: stated ARL0 {found[OURS]:.4g}")
    table = {"arl0": ARL0, "parts": CELL.parts, "sensitivity": {name: float(f"{value:.6g}") for name, value in found.items()}}
    TABLE.write_text(json.dumps(table, indent=2) + "\n", encoding="utf-8")
