"""Detectors that others use, to set beside ours: what each alarms on, and when it first does. Know no world and no target.

A chart gives a path: its statistic after every part, for many runs at once, never reset; it alarms where the path first reaches
its threshold, and compares with the reference for ever. River's detectors are run as they are and start from the reference's
scores in the order of time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from streams.workbench.drift_bench.families import Values
from streams.workbench.drift_bench.inputs import DECILES, Fed, Input

WINDOW, EVERY = 500, 50
_WEIGHT = 0.03  # of the newest part in the EWMA
KSWIN_WINDOW, KSWIN_RECENT = 1000, 300
Path = Callable[[Values], Values]


class RiverMissing(Exception):
    """The package river, which is in the dev group, is not installed."""


@dataclass(frozen=True, kw_only=True)
class Chart:
    """path: of runs as columns, (parts, runs) -> (parts, runs)."""

    name: str
    takes: Input
    path: Path


class Detector(Protocol):
    """What river's detectors have in common."""

    drift_detected: bool

    def update(self, x: float) -> None: ...


@dataclass(frozen=True, kw_only=True)
class Learner:
    """A detector of river: `made` gives a new one for a sensitivity: its threshold, or its significance level where `level`.
    slow: it is run less often.
    """

    name: str
    takes: Input
    made: Callable[[float], Detector]
    level: bool
    slow: bool = False


Peer = Chart | Learner


def cusum(allowance: float) -> Path:
    """Two-sided CUSUM (E. Page, Biometrika 41 (1954) 100)."""

    def path(values: Values) -> Values:
        up, down = np.zeros(values.shape[1]), np.zeros(values.shape[1])
        found = np.empty_like(values)
        for i, row in enumerate(values):
            up = np.maximum(0.0, up + row - allowance)
            down = np.maximum(0.0, down - row - allowance)
            found[i] = np.maximum(up, down)
        return found

    return path


def ewma(values: Values) -> Values:
    """Size of an exponentially weighted mean (S. Roberts, Technometrics 1 (1959) 239)."""
    mean = np.zeros(values.shape[1])
    found = np.empty_like(values)
    for i, row in enumerate(values):
        mean = mean + _WEIGHT * (row - mean)
        found[i] = np.abs(mean)
    return found


def psi(values: Values) -> Values:
    """Population stability index of the last 500 parts against equal deciles, looked at every 50 parts; 0 in between."""
    parts, runs = values.shape
    blocks = parts // EVERY
    which = values[: blocks * EVERY].astype(np.intp).reshape(blocks, EVERY, runs)
    counts = np.stack([(which == decile).sum(axis=1) for decile in range(DECILES)])
    total = np.cumsum(counts, axis=1)
    window = total[:, WINDOW // EVERY - 1 :].copy()
    window[:, 1:] -= total[:, : -(WINDOW // EVERY)]
    share = (window + 0.5) / (WINDOW + DECILES / 2)
    index = np.sum((share - 1 / DECILES) * np.log(share * DECILES), axis=0)
    found = np.zeros_like(values)
    found[WINDOW - 1 : blocks * EVERY : EVERY] = index
    return found


CHARTS = (
    Chart(name="CUSUM of z", takes="z", path=cusum(0.25)),
    Chart(name="CUSUM of clipped ranks", takes="rank", path=cusum(0.25)),
    Chart(name="EWMA of z", takes="z", path=ewma),
    Chart(name="EWMA of clipped ranks", takes="rank", path=ewma),
    Chart(name="PSI, window 500", takes="decile", path=psi),
)


def _river() -> Any:
    try:
        from river import drift
    except ImportError as error:
        raise RiverMissing("river is not installed: its detectors are left out; `uv sync` installs it") from error
    return drift


def _adwin(level: float) -> Detector:
    made: Detector = _river().ADWIN(delta=level)
    return made


def _page_hinkley(threshold: float) -> Detector:
    made: Detector = _river().PageHinkley(threshold=threshold)
    return made


def kswin(level: float) -> Detector:
    """A test of 300 parts against 300 of the 700 before them, at every part."""
    made: Detector = _river().KSWIN(alpha=level, window_size=KSWIN_WINDOW, stat_size=KSWIN_RECENT, seed=1)
    return made


LEARNERS = (
    Learner(name="ADWIN of z (river)", takes="z", made=_adwin, level=True),
    Learner(name="ADWIN of clipped ranks (river)", takes="rank", made=_adwin, level=True),
    Learner(name="Page-Hinkley of z (river)", takes="z", made=_page_hinkley, level=False),
    Learner(name="Page-Hinkley of clipped ranks (river)", takes="rank", made=_page_hinkley, level=False),
    Learner(name="KSWIN 1000/300 of z (river)", takes="z", made=kswin, level=True, slow=True),
)


def require_river() -> None:
    """Raises RiverMissing."""
    _river()


def first_alarm(peer: Learner, sensitivity: float, run: Fed) -> int | None:
    """The part, from 0, at which it first alarms; what it says of the reference does not count."""
    detector = peer.made(sensitivity)
    for value in run.reference.tolist():
        detector.update(value)
    for place, value in enumerate(run.production.tolist()):
        detector.update(value)
        if detector.drift_detected:
            return place
    return None


def first_reach(path: Values, threshold: float) -> list[int | None]:
    """The same for charts, a run a column."""
    above = path >= threshold
    return [int(run.argmax()) if run.any() else None for run in above.T]
