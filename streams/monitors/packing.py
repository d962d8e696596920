"""A stream's state as bytes: a fixed layout for a number of CUSUMs, under 512 bytes; its evidence apart, under 1 kB.

Starts are kept once, in a list of marks, and named by their place in it; a CUSUM at zero starts at the next part. Evidence are
the latest symbols (see `ring`) and the stones beside them (see `marks`).
"""

from __future__ import annotations

import struct

from streams.monitors import marks, ring
from streams.monitors.marks import MARK_SIZE, Mark, pack_mark, unpack_mark
from streams.monitors.rules import LANE, MASK, SHIFT
from streams.monitors.state import Course, Learning, Saved, State, starts, window

VERSION = 3
LANES = 4
_AT_ZERO = 255
_HEAD = struct.Struct("<7BQiIi2QdHHBI")
_CUSUM = struct.Struct("<iB")
_WEIGHTS = LANES * LANE // 8
_CHANNELS = 3  # CUSUMs beside those of the tables: tail up, tail down, repeats
_LOWERED, _LEARNING, _SAVED = 1, 2, 4


def size(tables: int) -> int:
    """Bytes of a packed state: 410 for seven tables, 476 for nine."""
    cusums = tables + _CHANNELS
    return _HEAD.size + 2 * _WEIGHTS + cusums * (_CUSUM.size + MARK_SIZE) + _saved_format(tables).size


def pack(state: State) -> bytes:
    begun = marks.needed(state.marks, starts(state), state.part)
    cusums = (*state.sums, state.up, state.down, state.repeat)
    parts = [_head(state, len(begun)), state.weights.to_bytes(_WEIGHTS, "little", signed=True)]
    place = {mark[0]: i for i, mark in enumerate(begun)}
    parts += [_CUSUM.pack(value >> SHIFT, place[value & MASK] if value > MASK else _AT_ZERO) for value in cusums]
    parts += [pack_mark(mark) for mark in begun]
    parts += [bytes((len(cusums) - len(begun)) * MARK_SIZE), _pack_saved(state.saved, len(state.sums))]
    return b"".join(parts)


def pack_evidence(state: State) -> bytes:
    """949 bytes."""
    return ring.pack(state.course.ladder, state.recent) + marks.pack_stones(marks.stones(state.marks, window(state)))


def unpack(data: bytes, evidence: bytes | None = None) -> State:
    """What was packed. Without its evidence events say less, nothing else. Raises ValueError for another version or length."""
    if not data or data[0] != VERSION or len(data) != size(data[1]):
        raise ValueError(f"{len(data)} bytes that start with {data[:2].hex()} are no state of version {VERSION}")
    head = _HEAD.unpack_from(data)
    _, tables, marked, mode, direction, alarm, flags, part, frozen, run, back, first, second, last, *learning = head
    at = _HEAD.size
    weights = _weights(data, at)
    at += _WEIGHTS
    cusums = tables + _CHANNELS
    where = at + cusums * _CUSUM.size
    begun = [unpack_mark(data, where + i * MARK_SIZE) for i in range(marked)]
    values = [_value(data, at + i * _CUSUM.size, begun, part + 1) for i in range(cusums)]
    saved = _saved(data, where + cusums * MARK_SIZE, tables) if flags & _SAVED else None
    ladder, recent, stones = _evidence(evidence) if evidence is not None else ((), b"", [])
    course = Course(
        mode=mode,
        direction=direction,
        back=back,
        alarm=alarm,
        lowered=bool(flags & _LOWERED),
        frozen=frozen,
        onsets=(first, second),
        learning=Learning(*learning) if flags & _LEARNING else None,
        ladder=ladder,
    )
    up, down, repeat = values[tables:]
    known = marks.merged(begun, stones)
    return State(part, tuple(values[:tables]), up, down, repeat, weights, run, last, known, recent, course, None, saved)


def _evidence(data: bytes) -> tuple[ring.Ladder, bytes, list[Mark]]:
    if len(data) != ring.SIZE + marks.SIZE:
        raise ValueError(f"{len(data)} bytes of evidence, where {ring.SIZE + marks.SIZE} are packed")
    return *ring.unpack(data[: ring.SIZE]), marks.unpack_stones(data[ring.SIZE :])


def _head(state: State, begun: int) -> bytes:
    course = state.course
    flags = _LOWERED * course.lowered | _LEARNING * (course.learning is not None) | _SAVED * (state.saved is not None)
    return _HEAD.pack(
        VERSION,
        len(state.sums),
        begun,
        course.mode,
        course.direction,
        course.alarm,
        flags,
        state.part,
        course.frozen,
        state.run,
        course.back,
        *course.onsets,
        state.last,
        *(course.learning or Learning()),
    )


def _value(data: bytes, at: int, begun: list[Mark], following: int) -> int:
    value, place = map(int, _CUSUM.unpack_from(data, at))
    return (value << SHIFT) + (following if place == _AT_ZERO else begun[place][0])


def _weights(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + _WEIGHTS], "little", signed=True)


def _saved_format(tables: int) -> struct.Struct:
    return struct.Struct(f"<{tables}i2iIi")


def _pack_saved(saved: Saved | None, tables: int) -> bytes:
    layout = _saved_format(tables)
    if saved is None:
        return bytes(layout.size + _WEIGHTS)
    cusums = (value >> SHIFT for value in (*saved.sums, saved.up, saved.down))
    fixed = layout.pack(*cusums, saved.run, saved.back)
    return fixed + saved.weights.to_bytes(_WEIGHTS, "little", signed=True)


def _saved(data: bytes, at: int, tables: int) -> Saved:
    layout = _saved_format(tables)
    *cusums, run, back = layout.unpack_from(data, at)
    *sums, up, down = (value << SHIFT for value in cusums)
    weights = _weights(data, at + layout.size)
    return Saved(sums=tuple(sums), up=up, down=down, weights=weights, run=run, back=back)
