"""What runs of a cell say: delays, names, change-points, false alarms. Knows events, no goal."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence, Set

from streams.monitors.evidence import Kind
from streams.workbench.drift_bench.cells import BASELINE, Run
from streams.workbench.drift_bench.estimate import Estimate, quantile, run_length, share
from streams.workbench.drift_bench.ours import Seen


def undisturbed(runs: Iterable[Run], at: int) -> list[Run]:
    """Runs in which nothing was said before the change."""
    return [run for run in runs if not run.events or run.events[0].at >= at]


def first(run: Run, kinds: Set[Kind], at: int) -> Seen | None:
    """The first event of these kinds from the change on."""
    return next((event for event in run.events if event.kind in kinds and event.at >= at), None)


def delays(runs: Sequence[Run], kind: Kind, at: int) -> list[float]:
    """Parts from the change to its name, the deciding part included; infinite where it was not named."""
    found = (first(run, {kind}, at) for run in runs)
    return [math.inf if event is None else float(event.at - at + 1) for event in found]


def called(runs: Sequence[Run], kind: Kind, at: int) -> Estimate:
    """Share of runs whose first event after the change is of this kind."""
    return share(sum(bool(run.events) and _after(run, at) == kind for run in runs), len(runs))


def _after(run: Run, at: int) -> Kind | None:
    return next((event.kind for event in run.events if event.at >= at), None)


def any_of(runs: Sequence[Run], kinds: Set[Kind], at: int) -> Estimate:
    """Share of runs with an event of these kinds after the change."""
    return share(sum(first(run, kinds, at) is not None for run in runs), len(runs))


def start_errors(runs: Sequence[Run], kind: Kind, at: int) -> list[float]:
    """Change-point as the event gives it, minus the true one, in parts."""
    found = (first(run, {kind}, at) for run in runs)
    return [float(event.start - at) for event in found if event is not None and event.start is not None]


def false_alarms(runs: Sequence[Run], parts: int, kinds: Set[Kind] = BASELINE) -> Estimate:
    """Mean run length to the first event of these kinds without a change."""
    firsts = [first(run, kinds, 0) for run in runs]
    return run_length([None if event is None else event.at for event in firsts], parts)


def median(values: Sequence[float]) -> Estimate:
    return quantile(values, 0.5)
