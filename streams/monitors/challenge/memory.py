"""What is remembered of a station: its registered parts, each line of proof, sets that wait for answers. No rules here."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from schemas.challenge import ChallengeDueV1, ChallengeItemV1, ChallengePartV1, ChallengeScheduleV1, Trigger
from schemas.common import Proof
from schemas.envelope import to_millis

MOST_OPEN, MOST_EARLY, MOST_CLOSED = 32, 256, 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A challenge part's verdict. offset, at_ms: its place in verdict.v1 and its append time."""

    item: ChallengeItemV1
    product: str
    offset: int
    at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenSet:
    """since: offset in verdict.v1 when the set was asked for. first: from where on it proves the station, if it passes: its
    first answer's offset. behind: production parts judged after that. missed: told already that a part of it was missed.
    """

    due: ChallengeDueV1
    since: int
    answers: tuple[Answer, ...] = ()
    first: int | None = None
    behind: int = 0
    missed: bool = False

    @property
    def answer_by_ms(self) -> int:
        return to_millis(self.due.answer_by)


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """Margins of one choice of parts: those of the commissioning passes, then the CUSUM against them."""

    parts: tuple[str, ...] = ()
    passes: tuple[tuple[float, ...], ...] = ()
    cusum: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One kind of proof for one product at the station.

    told: how often its proof was told. since_pass, since_set: production parts since the last set that passed, that was asked
    for. window_from, unsafe: the offset in verdict.v1 after which the next suspect window begins, and how many production parts
    it holds by now. faulty: the last set was missed, so parts are suspect until one passes. shift_ms: beginning of the shift
    that was last seen. wanted, limit_wanted: something asked for a set that is not asked for yet.
    """

    product: str
    proof: Proof
    schedule: ChallengeScheduleV1 | None = None
    proven: bool = False
    why: str = "no set has passed yet"
    set: str | None = None
    told: int = 0
    last_pass: str | None = None
    last_pass_ms: int | None = None
    since_pass: int = 0
    since_set: int = 0
    window_from: int | None = None
    unsafe: int = 0
    faulty: bool = False
    shift_ms: int | None = None
    model_set: str | None = None
    started: bool = False
    wanted: Trigger | None = None
    limit_wanted: bool = False
    course: Course = Course()


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """A suspect window that is still to be read back: parts after offset `after` up to `until`. page: the next one."""

    product: str
    proof: Proof
    set: str
    after: int
    until: int
    count: int
    page: int = 1
    last_pass: str | None = None
    last_pass_ms: int | None = None
    at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StationState:
    """verdicts, told: offsets of the last records read of verdict.v1 and challenge.v1. latest_ms: append time in verdict.v1.

    newest: (epoch, n) of the newest production part, product: its product. lines: by product/proof. early: answers to sets
    that nobody has asked for yet. closed: the sets closed last. limits: the detection limit's own memory, by product.
    """

    station: str
    verdicts: int = -1
    told: int = -1
    latest_ms: int = 0
    newest: tuple[int, int] = (0, -1)
    product: str | None = None
    parts: dict[str, ChallengePartV1] = field(default_factory=dict)
    lines: dict[str, Line] = field(default_factory=dict)
    open: dict[str, OpenSet] = field(default_factory=dict)
    early: tuple[Answer, ...] = ()
    closed: tuple[str, ...] = ()
    windows: tuple[Window, ...] = ()
    limits: dict[str, dict[str, Any]] = field(default_factory=dict)


def line_key(product: str, proof: Proof) -> str:
    return f"{product}/{proof}"
