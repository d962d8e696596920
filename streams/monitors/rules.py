"""A baseline as the step wants it: tables turned so that one look-up gives what a symbol adds to every CUSUM.

A CUSUM and its start are one integer, `value << 40 | start`: adding an entry leaves the start alone, and the CUSUM is at zero
where the integer is at most MASK.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from streams.monitors.stuck import HOLD, Repeats

SHIFT = 40
MASK = (1 << SHIFT) - 1
LANE = 48  # bits; the four weights are added as one integer
_HALF = 1 << (LANE - 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """columns: for each symbol what it adds to each CUSUM, shifted; weights: entries of the weighing tables, joined; capped,
    capped_weights: the same without gains; thresholds: shifted; lowest: of them; backward: a row a direction; directions: of each
    CUSUM; last: bin of tail events; seven: so many tables there are; the repeats' figures in 1/65536 nat, those with `shifted`
    as the CUSUM wants them.
    """

    edges: tuple[float, ...]
    body: int
    last: int
    columns: tuple[tuple[int, ...], ...]
    capped: tuple[tuple[int, ...], ...]
    weights: tuple[int, ...]
    capped_weights: tuple[int, ...]
    thresholds: tuple[int, ...]
    lowest: int
    seven: bool
    backward: tuple[tuple[int, ...], ...]
    directions: tuple[int, ...]
    weighing: tuple[int, ...]
    near: float
    far: float
    more: int
    less: int
    shifted_more: int
    shifted_less: int
    shifted_hold: int
    release: int

    @classmethod
    def of(
        cls,
        *,
        edges: tuple[float, ...],
        body: int,
        tables: Sequence[Sequence[int]],
        thresholds: Sequence[int],
        weights: Sequence[Sequence[int]],
        backward: tuple[tuple[int, ...], ...],
        directions: tuple[int, ...],
        weighing: tuple[int, ...],
        repeats: Repeats,
    ) -> Self:
        columns = tuple(tuple(entry << SHIFT for entry in column) for column in zip(*tables, strict=True))
        return cls(
            edges=edges,
            body=body,
            last=len(edges),
            columns=columns,
            capped=tuple(tuple(min(entry, 0) for entry in column) for column in columns),
            weights=tuple(join(column) for column in zip(*weights, strict=True)),
            capped_weights=tuple(join([min(entry, 0) for entry in column]) for column in zip(*weights, strict=True)),
            thresholds=tuple(h << SHIFT for h in thresholds),
            lowest=min(thresholds) << SHIFT,
            seven=len(tables) == 7,
            backward=backward,
            directions=directions,
            weighing=weighing,
            near=repeats.near,
            far=-repeats.near,
            more=repeats.more,
            less=repeats.less,
            shifted_more=repeats.more << SHIFT,
            shifted_less=repeats.less << SHIFT,
            shifted_hold=HOLD << SHIFT,
            release=repeats.release,
        )


def advanced(sums: tuple[int, ...], column: tuple[int, ...], following: int) -> tuple[int, ...]:
    """Every CUSUM after one more part; at zero it starts at the following one."""
    return tuple([v if (v := a + b) > MASK else following for a, b in zip(sums, column, strict=True)])


def join(lanes: Sequence[int]) -> int:
    """Signed integers side by side in one; sums of joined integers are joined sums."""
    return sum(value << (LANE * i) for i, value in enumerate(lanes))


def split(joined: int, lanes: int) -> list[int]:
    """What was joined."""
    values = []
    for _ in range(lanes):
        value = ((joined + _HALF) & ((1 << LANE) - 1)) - _HALF
        values.append(value)
        joined = (joined - value) >> LANE
    return values
