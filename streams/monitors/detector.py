"""One score at a time: state and part in, state and events out. Knows no clock, no Kafka; `at_ms` only stamps events.

Every part moves the baseline's CUSUMs, those of the tail rate and that of repeats. Most parts cross nothing and take the short
way below; `moves` tells the whole rule. All figures are integers, so a stream judged in pieces is judged alike.
"""

from __future__ import annotations

import math
from bisect import bisect_left

from streams.monitors import moves
from streams.monitors.baseline import Baseline
from streams.monitors.evidence import DriftEvent
from streams.monitors.moves import CAPPED_FROM, careful
from streams.monitors.ring import BYTES, RECENT
from streams.monitors.rules import MASK, advanced
from streams.monitors.score import Score
from streams.monitors.state import Course, Learning, Saved, State

__all__ = ["DriftEvent", "Score", "State", "init", "step"]

_new = tuple.__new__


def init(baseline: Baseline) -> State:
    """Before the first part."""
    course = Course(learning=Learning() if baseline.rate is None else None)
    watch = moves.watch_of(baseline, course)
    return State(0, (1,) * len(baseline.tables), 1, 1, 1, 0, 0, math.inf, None, b"", course, watch, None)


def step(baseline: Baseline, state: State, score: Score) -> tuple[State, list[DriftEvent]]:
    """Take one part. Raises ValueError for a score that is not finite.

    The short way is one piece, and the seven CUSUMs of most baselines are written out: a call, a loop or a second look at a value
    costs more here than all they would do.
    """
    value = score.value
    if value - value != 0:
        raise ValueError(f"score {value} of inspection {score.epoch}-{score.n} is not finite")
    rules = baseline.rules
    symbol = bisect_left(rules.edges, value)
    part, sums, up, down, repeat, weights, run, last, marks, recent, course, watch, saved = state
    if watch is None:
        return careful(baseline, state, score, symbol)
    part += 1
    following = part + 1
    if rules.far <= value - last <= rules.near:
        if repeat <= MASK:
            saved = _new(Saved, (sums, up, down, weights, run, course.back))
        repeat += rules.shifted_more
        if repeat >= rules.shifted_hold:
            return careful(baseline, state, score, symbol)
    elif repeat <= MASK:
        repeat = following
    else:
        repeat += rules.shifted_less
        if repeat <= MASK:
            repeat, saved = following, None
        elif repeat >= rules.shifted_hold:
            return careful(baseline, state, score, symbol)
    up_event, up_other, up_h, down_event, down_other, down_h, lowered = watch
    if symbol < rules.body:
        run = 0
        up += up_other
        down += down_other
    else:
        run += 1
        if run >= CAPPED_FROM:
            return careful(baseline, state, score, symbol)
        if symbol == rules.last:
            up += up_event
            down += down_event
        else:
            up += up_other
            down += down_other
    lowest = rules.lowest
    if rules.seven:
        a, b, c, d, e, f, g = sums
        p, q, r, s, t, u, v = rules.columns[symbol]
        a += p
        b += q
        c += r
        d += s
        e += t
        f += u
        g += v
        if a <= MASK:
            a = following
        elif a >= lowest:
            return careful(baseline, state, score, symbol)
        if b <= MASK:
            b = following
        elif b >= lowest:
            return careful(baseline, state, score, symbol)
        if c <= MASK:
            c = following
        elif c >= lowest:
            return careful(baseline, state, score, symbol)
        if d <= MASK:
            d = following
        elif d >= lowest:
            return careful(baseline, state, score, symbol)
        if e <= MASK:
            e = following
        elif e >= lowest:
            return careful(baseline, state, score, symbol)
        if f <= MASK:
            f = following
        elif f >= lowest:
            return careful(baseline, state, score, symbol)
        if g <= MASK:
            g = following
        elif g >= lowest:
            return careful(baseline, state, score, symbol)
        sums = a, b, c, d, e, f, g
    else:
        sums = advanced(sums, rules.columns[symbol], following)
        if max(sums) >= lowest:
            return careful(baseline, state, score, symbol)
    if up > MASK:
        if up >= up_h:
            return careful(baseline, state, score, symbol)
        weights += rules.weights[symbol]
    else:
        up, weights = following, 0
    if down <= MASK:
        if lowered:
            return careful(baseline, state, score, symbol)
        down = following
    elif down >= down_h:
        return careful(baseline, state, score, symbol)
    recent += BYTES[symbol]
    marks = (part, score.epoch, score.n, score.at_ms, marks)
    after = _new(State, (part, sums, up, down, repeat, weights, run, value, marks, recent, course, watch, saved))
    if len(recent) < RECENT:
        return after, []
    return moves.tidied(after, len(rules.columns)), []
