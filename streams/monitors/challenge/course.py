"""The margins of one line of proof from set to set: learnt from its first passes, then followed by a CUSUM."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from schemas.challenge import ChallengeItemV1
from streams.monitors.challenge.memory import Course
from streams.monitors.margins import PASSES, ChallengeReference, H, moved


@dataclass(frozen=True, slots=True, kw_only=True)
class Followed:
    """cusum, limit: None while there are too few passes, and where a defect of the set has no margin."""

    course: Course
    cusum: float | None = None
    limit: float | None = None
    alarm: bool = False


def follow(course: Course, items: Sequence[ChallengeItemV1], *, passed: bool, whole: bool = True) -> Followed:
    """Add a set; an alarm begins the CUSUM anew. Other parts than before are learnt anew: their margins are not comparable.

    whole: False where answers are missing, or somebody asked for some of the parts only: such a set says nothing, and what was
    learnt stays.
    """
    found = {item.stamp.part: item.margin for item in items if item.stamp.kind == "defect"}
    margins = tuple(margin for margin in found.values() if margin is not None)
    if not found or len(margins) < len(found):
        return Followed(course=course)
    if tuple(found) != course.parts:
        if not whole and set(found) < set(course.parts):
            return Followed(course=course)
        course = Course(parts=tuple(found))
    if len(course.passes) < PASSES:
        return Followed(course=replace(course, passes=(*course.passes, margins)) if passed else course)
    cusum = moved(ChallengeReference.fit(course.passes), course.cusum, margins)
    alarm = cusum >= H
    return Followed(course=replace(course, cusum=0.0 if alarm else cusum), cusum=cusum, limit=H, alarm=alarm)
