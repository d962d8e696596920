"""A set of painted defects of graded sizes: what its parts are called, and what their answers say of each size. Fits nothing."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from schemas.challenge import ChallengeItemV1, PaintedDefect
from streams.monitors.pod import Grade

REPEATS, PLAIN = 12, 6
DEFAULT_CONTRAST = -0.2
_FALSE, _SURE = 0.1, 0.05


class Slot(NamedTuple):
    """What a part of a limit set shows: its grade (index of the size), None where it is left as it was; which of its kind."""

    grade: int | None
    repeat: int


def graded_parts(sizes_px: Sequence[float], repeats: int = REPEATS) -> tuple[str, ...]:
    """Names of all parts of a set: every size as often as `repeats`, one after the other, and unpainted ones."""
    painted = [f"grade-{grade}-{repeat}" for repeat in range(repeats) for grade in range(len(sizes_px))]
    return (*painted, *(f"plain-{repeat}" for repeat in range(PLAIN)))


def slot_of(part: str) -> Slot:
    """Raises ValueError for a name that `graded_parts` does not give."""
    match part.split("-"):
        case ["grade", grade, repeat] if grade.isdecimal() and repeat.isdecimal():
            return Slot(int(grade), int(repeat))
        case ["plain", repeat] if repeat.isdecimal():
            return Slot(None, int(repeat))
    raise ValueError(f"{part!r} is no part of a limit set")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """To the marks of one kind on one view. scale: mm a px, where the stamps tell it; plain: (unpainted, of which not passed)."""

    view: str
    defect: PaintedDefect
    contrast: float
    grades: tuple[Grade, ...]
    scale: float | None
    plain: tuple[int, int]

    @property
    def key(self) -> str:
        return f"{self.view}/{self.defect}/{self.contrast:g}"

    @property
    def trusted(self) -> bool:
        """False where so many unpainted images did not pass that 10 % could not explain it (exact binomial, 95 %)."""
        tried, alarms = self.plain
        chance = sum(math.comb(tried, k) * _FALSE**k * (1 - _FALSE) ** (tried - k) for k in range(alarms, tried + 1))
        return chance > _SURE


def sort(items: Sequence[ChallengeItemV1]) -> list[Answers]:
    """By view and kind of mark; unpainted images count for all of them."""
    plain = [item for item in items if item.stamp.kind == "golden"]
    kinds: dict[tuple[str, PaintedDefect, float], list[ChallengeItemV1]] = {}
    for item in items:
        if item.stamp.kind == "graded" and item.stamp.size_px is not None:
            kinds.setdefault(_kind(item), []).append(item)
    alarms = sum(not item.caught for item in plain)
    return [
        Answers(
            view=view,
            defect=defect,
            contrast=contrast,
            grades=_grades(mine),
            scale=_scale(mine),
            plain=(len(plain), alarms),
        )
        for (view, defect, contrast), mine in sorted(kinds.items())
    ]


def _kind(item: ChallengeItemV1) -> tuple[str, PaintedDefect, float]:
    stamp = item.stamp
    view = stamp.view or next(iter(item.scores), "image")
    return view, "spot" if stamp.label == "spot" else "scratch", stamp.contrast or 0.0


def _grades(items: Iterable[ChallengeItemV1]) -> tuple[Grade, ...]:
    """By size, ascending."""
    caught: dict[float, list[bool]] = {}
    for item in items:
        caught.setdefault(item.stamp.size_px or 0.0, []).append(item.caught)
    return tuple(Grade(size_px=size, tried=len(hits), found=sum(hits)) for size, hits in sorted(caught.items()))


def _scale(items: Iterable[ChallengeItemV1]) -> float | None:
    ratios = (i.stamp.size_mm / i.stamp.size_px for i in items if i.stamp.size_mm and i.stamp.size_px)
    return max(ratios, default=None)
