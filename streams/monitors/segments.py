"""Many scores at once, with the same result as one by one: the same state and the same events, to the last bit.

A segment is prepared without a state; segments of one stream are joined in its order; a state takes one whole. Stretches in which
nothing happens are summed by `blocks`; a part that may cross something is stepped.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from streams.monitors import moves, ring, stuck
from streams.monitors.baseline import Baseline
from streams.monitors.blocks import LENGTH, Ints, last_reset, walk
from streams.monitors.channels import carried, channels, most_parts
from streams.monitors.detector import step
from streams.monitors.evidence import DriftEvent
from streams.monitors.marks import STONE, Mark, chained, merged
from streams.monitors.ring import Ladder
from streams.monitors.rules import MASK, SHIFT, Rules
from streams.monitors.score import Score
from streams.monitors.state import LOOSE, STALE, State, kept, starts, window

_MOST, _FIRST, _FEWEST = 2048, 256, 32  # blocks summed at once; fewer after a crossing, whose rest was in vain
_PIECE = 8192
Values = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Segment:
    """Parts of one stream in its order, in columns as in Score. symbols: their bins; stops: places that have to be stepped (the
    end of a burst, the beginning of a row of repeats); repeating: beginnings and ends of the times the repeats' CUSUM is above
    zero, a column each, the end the first place after which it is at zero.
    """

    rules: Rules
    values: Values
    epochs: Ints
    numbers: Ints
    times: Ints
    symbols: NDArray[np.uint8]
    stops: NDArray[np.intp]
    repeating: NDArray[np.intp]

    def __len__(self) -> int:
        return len(self.values)

    def score(self, i: int) -> Score:
        return Score(float(self.values[i]), int(self.epochs[i]), int(self.numbers[i]), int(self.times[i]))


def segment(baseline: Baseline, scores: Sequence[Score]) -> Segment:
    """Raises ValueError for a score that is not finite; nothing of them is taken then."""
    return _prepared(
        baseline.rules,
        np.array([score.value for score in scores], dtype=np.float64),
        np.array([score.epoch for score in scores], dtype=np.int64),
        np.array([score.n for score in scores], dtype=np.int64),
        np.array([score.at_ms for score in scores], dtype=np.int64),
    )


def numbered(baseline: Baseline, values: Values, first: int = 0) -> Segment:
    """A segment of scores alone, of epoch 0: numbers, and times in ms, count from `first`. Raises as `segment`."""
    numbers = np.arange(first, first + len(values), dtype=np.int64)
    return _prepared(baseline.rules, np.asarray(values, dtype=np.float64), np.zeros_like(numbers), numbers, numbers)


def join(one: Segment, two: Segment) -> Segment:
    """One after the other. Raises ValueError for segments of two baselines."""
    if one.rules != two.rules:
        raise ValueError("segments of two baselines cannot be joined")
    values = np.concatenate([one.values, two.values])
    epochs = np.concatenate([one.epochs, two.epochs])
    numbers = np.concatenate([one.numbers, two.numbers])
    return _prepared(one.rules, values, epochs, numbers, np.concatenate([one.times, two.times]))


def apply(baseline: Baseline, state: State, part: Segment) -> tuple[State, list[DriftEvent]]:
    """What stepping through the segment gives. Raises ValueError for a segment of another baseline."""
    if part.rules != baseline.rules:
        raise ValueError(f"the segment was prepared for another baseline than {baseline.id[:12]}")
    events: list[DriftEvent] = []
    done, wanted = 0, _FIRST
    while done < len(part):
        blocks = _quiet_blocks(state, part, done, wanted)
        state, taken = _summed(baseline, state, part, done, blocks) if blocks else (state, 0)
        done += taken * LENGTH
        if blocks and taken == blocks:
            wanted = min(2 * wanted, _MOST)
            continue
        wanted = max(wanted // 4, _FEWEST) if blocks else wanted
        for i in range(done, done := min(len(part), done + LENGTH)):
            state, said = step(baseline, state, part.score(i))
            events += said
    return state, events


def _prepared(rules: Rules, values: Values, epochs: Ints, numbers: Ints, times: Ints) -> Segment:
    wrong = np.flatnonzero(~np.isfinite(values))
    if len(wrong):
        i = int(wrong[0])
        raise ValueError(f"score {values[i]} of inspection {epochs[i]}-{numbers[i]} is not finite")
    symbols = _symbols(rules.edges, values)
    repeating, rows = _repeating(rules, values)
    return Segment(
        rules=rules,
        values=values,
        epochs=epochs,
        numbers=numbers,
        times=times,
        symbols=symbols,
        stops=np.sort(np.concatenate([_bursts(symbols >= rules.body), rows])),
        repeating=repeating,
    )


def _symbols(edges: tuple[float, ...], values: Values) -> NDArray[np.uint8]:
    """How many edges lie below each value: counted edge by edge in pieces that fit a cache, a tenth of a binary search's time."""
    symbols = np.zeros(len(values), dtype=np.uint8)
    above = np.empty(_PIECE, dtype=np.bool_)
    for first in range(0, len(values), _PIECE):
        piece, counts = values[first : first + _PIECE], symbols[first : first + _PIECE]
        for edge in edges:
            counts += np.greater(piece, edge, out=above[: len(piece)]).view(np.uint8)
    return symbols


def _bursts(tail: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Places that end a row of seven or more."""
    first = moves.CAPPED_FROM - 1
    if len(tail) <= first:
        return np.empty(0, dtype=np.intp)
    full = tail[first:].copy()
    for behind in range(1, moves.CAPPED_FROM):
        full &= tail[first - behind : len(tail) - behind]
    return np.flatnonzero(full) + first


def _close(values: Values, near: float) -> NDArray[np.intp]:
    """Places of values that lie within `near` of the one before, looked for in pieces that fit a cache."""
    found = [np.empty(0, dtype=np.intp)]
    gaps = np.empty(_PIECE)
    for first in range(1, len(values), _PIECE):
        piece = values[first : first + _PIECE]
        gap = np.subtract(piece, values[first - 1 : first - 1 + len(piece)], out=gaps[: len(piece)])
        found.append(np.flatnonzero(np.abs(gap, out=gap) <= near) + first)
    return np.concatenate(found)


def _repeating(rules: Rules, values: Values) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Beginnings and ends of the times of repeats; and the beginnings of those that other channels may have to wait in."""
    close = _close(values, rules.near)
    if not len(close):
        return np.empty((2, 0), dtype=np.intp), close
    gained = rules.more + (np.diff(close) - 1) * rules.less
    upto = np.concatenate([[0], np.cumsum(gained)])
    height = upto - np.minimum.accumulate(upto) + rules.more  # after each repeat, 0 from one that finds the CUSUM at zero
    fresh = np.flatnonzero(height == rules.more)
    last = np.append(fresh[1:], len(close)) - 1
    ends = close[last] - height[last] // rules.less + 1
    highest = np.maximum.reduceat(height, fresh)
    return np.stack([close[fresh], ends]), close[fresh][highest >= stuck.HOLD]


def _quiet_blocks(state: State, part: Segment, done: int, most: int) -> int:
    """How many blocks from here on hold no part that must be stepped for another reason than a crossing."""
    near, course = part.rules.near, state.course
    if course.frozen != LOOSE or state.repeat > MASK or state.run or course.lowered:
        return 0
    if -near <= part.values[done] - state.last <= near:
        return 0
    stop = int(np.searchsorted(part.stops, done))
    upto = int(part.stops[stop]) if stop < len(part.stops) else len(part)
    begins, ends = part.repeating
    if (at := int(np.searchsorted(begins, done)) - 1) >= 0 and done < ends[at]:
        return 0
    blocks = min(min(upto - done, most_parts(state)) // LENGTH, most)
    while blocks:
        until = done + blocks * LENGTH
        at = int(np.searchsorted(begins, until)) - 1
        if at < 0 or until >= ends[at]:
            return blocks
        blocks = max(0, (int(begins[at]) - done) // LENGTH)
    return 0


def _summed(baseline: Baseline, state: State, part: Segment, done: int, blocks: int) -> tuple[State, int]:
    """The state after as many of the blocks as cross nothing, and how many they are."""
    if state.course.mode == STALE:
        return _carried(state, part, done, blocks, (*state.sums, state.up, state.down)), blocks
    moving = channels(baseline, state)
    if moving is None:
        return state, 0
    symbols = part.symbols[done : done + blocks * LENGTH]
    path = walk(moving.entries, symbols, np.array([value >> SHIFT for value in moving.values]))
    crossed = np.flatnonzero((path.peak >= moving.limits[:, None]).any(axis=0))
    taken = int(crossed[0]) if len(crossed) else blocks
    if not taken:
        return state, 0
    cusums = []
    for row, value in enumerate(moving.values):
        at = np.flatnonzero(path.reset[row, :taken])
        start = value & MASK
        if len(at):
            first = int(at[-1]) * LENGTH
            behind = last_reset(moving.entries[row], symbols[first : taken * LENGTH], int(path.before[row, at[-1]]))
            start = state.part + first + behind + 1
        cusums.append((int(path.after[row, taken - 1]) << SHIFT) + start)
    return _carried(state, part, done, taken, tuple(cusums)), taken


def _carried(state: State, part: Segment, done: int, blocks: int, cusums: tuple[int, ...]) -> State:
    """The state behind quiet blocks, its CUSUMs given."""
    rules, until = part.rules, done + blocks * LENGTH
    symbols = part.symbols[done:until]
    recent, ladder = _remembered(state, symbols, len(rules.columns))
    after = carried(state, cusums, symbols == rules.last)
    after = after._replace(
        weights=_weights(state, part, done, until, after.up),
        run=0 if state.course.mode == STALE else _trailing(symbols[-moves.CAPPED_FROM :] >= rules.body),
        last=float(part.values[until - 1]),
        recent=recent,
        course=after.course._replace(ladder=ladder),
    )
    return after._replace(marks=_marks(state, after, part, done))


def _marks(state: State, after: State, part: Segment, done: int) -> Mark | None:
    """Those of the state before, and those of new starts and stones, as far as they may still be asked for."""
    first = state.part + 1
    stone = -(-max(first, window(after) + 1) // STONE) * STONE
    wanted = {place for place in starts(after) if place >= first} | set(range(stone, after.part + 1, STONE))
    coming = [_mark(part, place, done + place - first) for place in wanted]
    return chained(kept(after._replace(marks=merged(kept(state), coming))))


def _mark(part: Segment, place: int, i: int) -> Mark:
    return place, int(part.epochs[i]), int(part.numbers[i]), int(part.times[i]), None


def _weights(state: State, part: Segment, done: int, until: int, up: int) -> int:
    """What the parts since the start of the rise weigh."""
    if up <= MASK:
        return 0
    start = up & MASK
    before, first = (state.weights, done) if start <= state.part else (0, done + start - state.part - 1)
    counts = np.bincount(part.symbols[first:until], minlength=len(part.rules.columns)).tolist()
    return before + int(sum(count * weight for count, weight in zip(counts, part.rules.weights, strict=True)))


def _trailing(tail: NDArray[np.bool_]) -> int:
    """How many at the end are true."""
    body = np.flatnonzero(~tail)
    return len(tail) - 1 - int(body[-1]) if len(body) else len(tail)


def _remembered(state: State, symbols: NDArray[np.uint8], bins: int) -> tuple[bytes, Ladder]:
    """Recent symbols and the ladder, as if the symbols had come one by one."""
    recent = state.recent + symbols.tobytes()
    full = 0 if len(recent) < ring.RECENT else (len(recent) - ring.RECENT) // ring.BLOCK + 1
    moved = np.frombuffer(recent[: full * ring.BLOCK], dtype=np.uint8)
    return recent[full * ring.BLOCK :], ring.grown(state.course.ladder, moved, bins) if full else state.course.ladder
