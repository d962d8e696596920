"""The state of one stream: what the step needs of the past. Immutable, under 512 bytes packed, and 1 kB of evidence beside it."""

from __future__ import annotations

from typing import Literal, NamedTuple

from streams.monitors.marks import Mark, needed
from streams.monitors.ring import Ladder
from streams.monitors.rules import MASK
from streams.monitors.tail import BLOCK, LEARNING

Mode = Literal["normal", "suspect", "stale"]
MODES: tuple[Mode, ...] = ("normal", "suspect", "stale")
NORMAL, SUSPECT, STALE = range(3)
ARMED, PENDING, HELD = range(3)
LOOSE = -1  # frozen: the source does not repeat itself
NEVER = 0


class Watch(NamedTuple):
    """A tail rule as the step wants it, shifted: what a tail event and any other part add to rise and fall, where they cross.

    lowered: the fall was said, see Course.
    """

    up_event: int
    up_other: int
    up_h: int
    down_event: int
    down_other: int
    down_h: int
    lowered: bool


class Learning(NamedTuple):
    """Parts seen of the first 2000, tail events among them, in the block of 50 at work, sum of squares of the blocks before."""

    parts: int = 0
    events: int = 0
    block: int = 0
    squares: int = 0

    @property
    def done(self) -> bool:
        return self.parts >= LEARNING

    def add(self, event: bool) -> Learning:
        """One part more; nothing changes once it is done."""
        if self.done:
            return self
        parts, events, block = self.parts + 1, self.events + event, self.block + event
        if parts % BLOCK:
            return Learning(parts, events, block, self.squares)
        return Learning(parts, events, 0, self.squares + block * block)


class Saved(NamedTuple):
    """The channels as they stood before the first repeat, or after the last event since. Of the CUSUMs only the values count."""

    sums: tuple[int, ...]
    up: int
    down: int
    weights: int
    run: int
    back: int


class Course(NamedTuple):
    """What changes seldom. back: evidence of recovery; alarm: of the tail's rise; lowered: its fall was said; frozen: fresh
    scores since the source stuck, in the units of `stuck`, LOOSE where it does not; onsets: of the last two baseline events;
    learning: None where the tail rate was known from the start.
    """

    mode: int = NORMAL
    direction: int = 0
    back: int = 0
    alarm: int = ARMED
    lowered: bool = False
    frozen: int = LOOSE
    onsets: tuple[int, int] = (NEVER, NEVER)
    learning: Learning | None = None
    ladder: Ladder = ()


class State(NamedTuple):
    """What changes with every part, and the course. part: parts so far; sums, up, down, repeat: CUSUMs with their starts, see
    `rules`; weights: joined; run: tail symbols in a row; last: the score before, infinite at first; marks: of the starts, and
    others; recent: symbols; watch: derived from baseline and course, None where the short way of `detector` is closed; saved:
    while the repeats' CUSUM is above zero. Two states say the same where they pack to the same bytes: marks and watch may differ.
    """

    part: int
    sums: tuple[int, ...]
    up: int
    down: int
    repeat: int
    weights: int
    run: int
    last: float
    marks: Mark | None
    recent: bytes
    course: Course
    watch: Watch | None
    saved: Saved | None

    @property
    def mode(self) -> Mode:
        return MODES[self.course.mode]


def starts(state: State) -> set[int]:
    """The parts that CUSUMs above zero started at: at most one for each."""
    return {value & MASK for value in (*state.sums, state.up, state.down, state.repeat) if value > MASK}


def window(state: State) -> int:
    """The part before the oldest of the recent symbols."""
    return state.part - len(state.recent)


def kept(state: State) -> list[Mark]:
    """The marks that may still be asked for, oldest first."""
    return needed(state.marks, starts(state), window(state))
