"""One score at a time: state and part in, state and events out. Knows no clock, no Kafka; `at_ms` only stamps events.

Every part moves the baseline's CUSUMs, those of the tail rate and that of repeats. Most parts cross nothing and take the short
way below; `moves` tells the whole rule. All figures are integers, so a stream judged in pieces is judged alike.
"""

from __future__ import annotations

import math
from bisect import bisect_left

from streams.monitors import moves, ring
from streams.monitors.baseline import Baseline
from streams.monitors.evidence import DriftEvent
from streams.monitors.rules import MASK, advanced
from streams.monitors.score import Score
from streams.monitors.state import Course, Learning, State

__all__ = ["DriftEvent", "Score", "State", "init", "step"]

_new = tuple.__new__


def init(baseline: Baseline) -> State:
    """Before the first part."""
    course = Course(learning=Learning() if baseline.rate is None else None)
    watch = moves.watch_of(baseline, course)
    return State(0, (1,) * len(baseline.tables), 1, 1, 1, 0, 0, math.inf, None, b"", course, watch)


def step(baseline: Baseline, state: State, score: Score) -> tuple[State, list[DriftEvent]]:
    """Take one part. Raises ValueError for a score that is not finite."""
    value = score.value
    if value - value != 0:
        raise ValueError(f"score {value} of inspection {score.epoch}-{score.n} is not finite")
    rules = baseline.rules
    symbol = bisect_left(rules.edges, value)
    part, sums, up, down, repeat, weights, run, last, marks, recent, course, watch = state
    run = run + 1 if symbol >= rules.body else 0
    if watch is None or repeat > MASK or -rules.near <= value - last <= rules.near or run >= moves.CAPPED_FROM:
        return moves.careful(baseline, state, score, symbol)
    part += 1
    following = part + 1
    sums = advanced(sums, rules.columns[symbol], following)
    up_event, up_other, up_h, down_event, down_other, down_h = watch
    if symbol == rules.last:
        up += up_event
        down += down_event
    else:
        up += up_other
        down += down_other
    if max(sums) >= rules.lowest or up >= up_h or down >= down_h or (down <= MASK and course.lowered):
        return moves.careful(baseline, state, score, symbol)
    if up > MASK:
        weights += rules.weights[symbol]
    else:
        up, weights = following, 0
    if down <= MASK:
        down = following
    recent += ring.BYTES[symbol]
    marks = (part, score.epoch, score.n, score.at_ms, marks)
    after = (part, sums, up, down, following, weights, run, value, marks, recent, course, watch)
    if len(recent) < ring.RECENT:
        return _new(State, after), []
    return moves.tidied(_new(State, after), len(rules.columns)), []
