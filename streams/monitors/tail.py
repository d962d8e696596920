"""The rate of tail events, which is where defects show: rules for a rise and a fall. Knows rates, no score.

Both are CUSUMs of a two-symbol likelihood ratio, tempered by the events' own design effect, with thresholds from the same chain
as the tables. Rates lie on a grid of 32 steps an octave, rounded to the safe side, so that thresholds can be kept.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

from streams.monitors.tables import UNIT
from streams.monitors.thresholds import PER_OCTAVE, octave_of, threshold

REARM = 7 * UNIT  # evidence of the old rate after which a rise may be said again
HAND_OVER = 5 * UNIT  # weight from which a rise of the tail is a moved baseline
NAMED = -2 * UNIT  # weight from which it is the defect rate
RISING = 3 * UNIT  # a weighing table's own CUSUM from which the decision waits
UNDECIDED = 2  # thresholds: at so many a rise is named without waiting for a weight, which may say nothing
LEARNING = 2000  # parts from which the rate is learned where the reference does not state it
BLOCK = 50  # parts: the dispersion of the events is learned from blocks of them
SURPLUS = 0.05  # defect share that a stream may have while its rate is learned; what lies above is an alarm, never learned
SMALLEST = 1e-5
_CONF = 1.645
_GRID = 32
_CELLS = 240


@dataclass(frozen=True, kw_only=True)
class TailRule:
    """What an event (the last bin) and any other part add to the CUSUMs of a rise and of a fall, and where they alarm."""

    low: float
    high: float
    deff: float
    up_event: int
    up_other: int
    up_h: int
    down_event: int
    down_other: int
    down_h: int


@dataclass(frozen=True, kw_only=True)
class Rate:
    """Bounds of the rate of tail events that is no alarm, and the design effect of the events."""

    low: float
    high: float
    deff: float


def bounds(rate: float, n: float, deff: float) -> Rate:
    """95 % bounds of a rate that was seen on n parts."""
    width = _CONF * math.sqrt(rate * (1 - rate) * deff / n)
    return Rate(low=max(SMALLEST, rate - width), high=min(0.9, rate + width), deff=deff)


def learned(events: int, squares: int, *, most: float) -> Rate:
    """Bounds after the first 2000 parts. events: in them; squares: sum over blocks of 50 of events^2; most: see `ceiling`."""
    rate = min((events + 0.5) / LEARNING, most)
    return bounds(rate, LEARNING, dispersion(events, squares))


def known(rate: float, deff: float) -> Rate:
    """A rate that the plant states."""
    return Rate(low=max(SMALLEST, rate), high=rate, deff=deff)


@functools.lru_cache(maxsize=1024)
def ceiling(reference: Rate) -> Rate:
    """While the rate is learned: anything is low enough, and more than the reference's rate and 5 % defects is too much."""
    return Rate(low=SMALLEST, high=min(0.9, reference.high + SURPLUS), deff=reference.deff)


def dispersion(events: int, squares: int) -> float:
    """Variance over mean of the events in blocks of 50; 1 where chance explains what is seen, so also for single defects."""
    blocks = LEARNING // BLOCK
    mean = events / blocks
    if mean == 0:
        return 1.0
    found = (squares / blocks - mean * mean) / (mean * (1 - mean / BLOCK)) if mean < BLOCK else 1.0
    return found if found > 1 + 2.5 * math.sqrt(2 / blocks) else 1.0


@functools.lru_cache(maxsize=1024)
def learned_rule(reference: Rate, events: int, squares: int, arl0: float) -> TailRule:
    """After the first 2000 parts, see `learned`."""
    return rule(learned(events, squares, most=ceiling(reference).high), arl0)


@functools.lru_cache(maxsize=4096)
def rule(rate: Rate, arl0: float) -> TailRule:
    """arl0: mean parts between false alarms of rise and fall together, where the rate is at its bound."""
    octave = octave_of(max(1.0, arl0 / rate.deff))
    rise, fall = _rise(math.ceil(_steps(rate.high)), octave), _fall(math.floor(_steps(rate.low)), octave)
    return TailRule(
        low=rate.low,
        high=rate.high,
        deff=rate.deff,
        up_event=math.floor(UNIT * rise[0] / rate.deff),
        up_other=math.floor(UNIT * rise[1] / rate.deff),
        up_h=math.ceil(UNIT * rise[2]),
        down_event=math.floor(UNIT * fall[0] / rate.deff),
        down_other=math.floor(UNIT * fall[1] / rate.deff),
        down_h=math.ceil(UNIT * fall[2]),
    )


def _steps(rate: float) -> float:
    return _GRID * math.log2(rate)


@functools.lru_cache(maxsize=4096)
def _rise(step: int, octave: int) -> tuple[float, float, float]:
    rate = min(0.9, 2.0 ** (step / _GRID))
    after = min(0.95, rate + max(rate, 0.01))
    return _chain(rate, after, octave)


@functools.lru_cache(maxsize=4096)
def _fall(step: int, octave: int) -> tuple[float, float, float]:
    rate = 2.0 ** (step / _GRID)
    return _chain(rate, rate / 2, octave)


def _chain(rate: float, after: float, octave: int) -> tuple[float, float, float]:
    """Nats of an event, of another part, and the threshold, rounded up to 1/64 nat."""
    steps = (math.log(after / rate), math.log((1 - after) / (1 - rate)))
    h = threshold(steps, (rate, 1 - rate), 2 * 2.0 ** (octave / PER_OCTAVE), _CELLS)
    return (*steps, math.ceil(64 * h) / 64)
