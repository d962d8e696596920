"""What moves while nothing happens: the CUSUMs of a state's mode as rows of numbers, and how they go back into the state.

Those of the tables always; while normal the rise and the fall of the tail's rate, while suspect the evidence of recovery. A state
that must be stepped has none. Knows no segment.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from streams.monitors import moves, recovery
from streams.monitors.baseline import Baseline
from streams.monitors.rules import MASK, SHIFT, Rules
from streams.monitors.state import LOOSE, NORMAL, PENDING, STALE, SUSPECT, Learning, State, Watch
from streams.monitors.tail import BLOCK, LEARNING

_ENDLESS = 1 << 62


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Channels:
    """A row a CUSUM: what each symbol adds, in 1/65536 nat; where it stands, with its start; from where on it crosses."""

    entries: NDArray[np.int32]
    values: tuple[int, ...]
    limits: NDArray[np.int64]


def channels(baseline: Baseline, state: State) -> Channels | None:
    """None: every part must be stepped."""
    course = state.course
    if course.mode == STALE or course.frozen != LOOSE or course.alarm == PENDING:
        return None
    rules = baseline.rules
    if course.mode == SUSPECT:
        back = (*baseline.rules.backward[course.direction],)
        return _rows(rules, state, (course.back << SHIFT, 0), (back, (0,) * len(back)), (recovery.H, _ENDLESS))
    watch = state.watch or moves.watching(baseline, course)
    rise, fall = _of_tail(rules, watch)
    return _rows(rules, state, (state.up, state.down), (rise, fall), (watch.up_h >> SHIFT, watch.down_h >> SHIFT))


def most_parts(state: State) -> int:
    """How many parts may be taken at once: the last one of the learning is stepped."""
    learning = state.course.learning
    return _ENDLESS if learning is None or learning.done else LEARNING - 1 - learning.parts


def carried(state: State, cusums: tuple[int, ...], tail_events: NDArray[np.bool_]) -> State:
    """The state with its channels after these parts, at zero from the following one on. tail_events: of each of them."""
    following = state.part + len(tail_events) + 1
    *sums, rise, fall = (value if value > MASK else following for value in cusums)
    course = state.course
    if course.mode == SUSPECT:
        course, rise, fall = course._replace(back=cusums[-2] >> SHIFT), following, following
    elif course.mode == NORMAL and course.learning is not None and not course.learning.done:
        course = course._replace(learning=learned(course.learning, tail_events))
    return state._replace(
        part=state.part + len(tail_events), sums=tuple(sums), up=rise, down=fall, repeat=following, course=course
    )


def learned(learning: Learning, tail_events: NDArray[np.bool_]) -> Learning:
    """As if the parts had come one by one, fewer than are left to learn from."""
    into = learning.parts % BLOCK
    parts = learning.parts + len(tail_events)
    full = (into + len(tail_events)) // BLOCK
    places = (np.flatnonzero(tail_events) + into) // BLOCK
    counts = np.bincount(places, minlength=full + 1)
    counts[0] += learning.block
    squares = int(np.sum(counts[:full] ** 2))
    return Learning(parts, learning.events + len(places), int(counts[full]), learning.squares + squares)


def _rows(
    rules: Rules,
    state: State,
    values: tuple[int, int],
    rows: tuple[tuple[int, ...], tuple[int, ...]],
    limits: tuple[int, int],
) -> Channels:
    """The tables' rows, and two more."""
    tables = [[entry >> SHIFT for entry in row] for row in zip(*rules.columns, strict=True)]
    return Channels(
        entries=np.array([*tables, *rows], dtype=np.int32),
        values=(*state.sums, *values),
        limits=np.array([*(limit >> SHIFT for limit in rules.thresholds), *limits]),
    )


def _of_tail(rules: Rules, watch: Watch) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """What each symbol adds to rise and fall."""
    others = len(rules.columns) - 1
    rise = (*(watch.up_other >> SHIFT,) * others, watch.up_event >> SHIFT)
    return rise, (*(watch.down_other >> SHIFT,) * others, watch.down_event >> SHIFT)
