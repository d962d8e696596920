"""How small a defect a station still finds: the answers to painted defects of graded sizes become a limit, set after set.

A limit is worse where its interval lies above the reference (a declared limit, else the high end of the interval of the first
three sets together), and the set's answers are likelier on a curve a quarter further up than on the reference's. The logarithm
of that ratio also adds up in a CUSUM over the sets since, which finds small losses. Measured on 600 simulated stations (five
grades of 12, limits from the second to the fourth grade, logit slopes 3 to 8, up to 2 % of defects missed whatever their size): a
station that stays as it is has one set in 500 to 5,000 called worse, and its CUSUM alarms once in some 60,000 sets; a limit 1.6
times as large is found in 1 to 6 sets (median), 1.3 times in 4 to 5 where the curve is steep; where it is flat, 15 to 35 % of the
stations notice 1.3 times within 60 sets.
The reference never changes by itself. Knows no image and no model.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from schemas.challenge import ChallengeItemV1, DetectionLimitV1, GradeV1
from schemas.drift import RangeV1
from streams.monitors.graded import Answers, graded_parts, sort
from streams.monitors.pod import Curve, Grade, Limit, limit

__all__ = ["CUSUM_LIMIT", "graded_parts", "judge"]

COMMISSIONING = 3  # sets
CUSUM_LIMIT = 5.0  # nats
_MOVED = 1.25
_SLOPES = 2.0, 12.0  # of the reference's curve: a fit to few sets may be flatter or steeper by chance
_LAPSE = 0.02  # of all defects: missed, or found, whatever their size
_MOST_COURSES = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class _Course:
    """One kind of mark on one view from set to set. tried, found: of each size, in the first sets together."""

    sizes: tuple[float, ...]
    tried: tuple[int, ...]
    found: tuple[int, ...]
    sets: int = 0
    cusum: float = 0.0

    @classmethod
    def load(cls, data: Mapping[str, Any] | None, grades: Sequence[Grade]) -> _Course:
        """What is remembered; a size that is new begins anew, one without an answer does not."""
        sizes = tuple(grade.size_px for grade in grades)
        if data is None or not set(sizes) <= set(data["sizes"]):
            return cls(sizes=sizes, tried=(0,) * len(sizes), found=(0,) * len(sizes))
        tried, found = tuple(data["tried"]), tuple(data["found"])
        return cls(sizes=tuple(data["sizes"]), tried=tried, found=found, sets=data["sets"], cusum=data["cusum"])

    def dump(self) -> dict[str, Any]:
        lists = {"sizes": list(self.sizes), "tried": list(self.tried), "found": list(self.found)}
        return {**lists, "sets": self.sets, "cusum": self.cusum}

    def plus(self, grades: Sequence[Grade]) -> _Course:
        answered = {grade.size_px: grade for grade in grades}
        these = [answered.get(size, Grade(size_px=size, tried=0, found=0)) for size in self.sizes]
        tried = tuple(n + grade.tried for n, grade in zip(self.tried, these, strict=True))
        found = tuple(n + grade.found for n, grade in zip(self.found, these, strict=True))
        return replace(self, tried=tried, found=found, sets=self.sets + 1)

    def reference(self) -> tuple[float, float] | None:
        """(the limit in px, the slope) of the first sets together; None while there are too few, or they show no limit."""
        grades = [Grade(size_px=s, tried=n, found=k) for s, n, k in zip(self.sizes, self.tried, self.found, strict=True)]
        learnt = limit(grades) if self.sets >= COMMISSIONING else None
        if learnt is None or learnt.high is None:
            return None
        return learnt.high, min(max(learnt.curve.slope, _SLOPES[0]), _SLOPES[1])


def judge(
    *,
    station: str,
    product: str,
    set: str,
    at: datetime,
    items: Sequence[ChallengeItemV1],
    state: Mapping[str, Any] | None,
    declared_px: float | None = None,
) -> tuple[list[DetectionLimitV1], dict[str, Any]]:
    """A limit for each view and kind of mark that the set painted, and the new state: plain JSON data, at first None."""
    courses, limits = dict(state or {}), []
    for answers in sort(items):
        course = _Course.load(courses.pop(answers.key, None), answers.grades)
        found = limit(answers.grades) if answers.trusted else None
        learnt = course.reference()
        reference, step = declared_px or (learnt[0] if learnt else None), None
        if found is not None and learnt is None:
            course = course.plus(answers.grades)
        elif found is not None and learnt is not None:
            step = loss(answers.grades, reference or learnt[0], learnt[1])
            course = replace(course, cusum=followed(course.cusum, step))
        courses[answers.key] = course.dump()
        cusum = course.cusum if learnt else None
        verdict = _Judgement(answers=answers, limit=found, reference=reference, step=step, cusum=cusum)
        limits.append(verdict.message(station=station, product=product, set=set, at=at))
    return limits, dict(list(courses.items())[-_MOST_COURSES:])


def loss(grades: Sequence[Grade], reference_px: float, slope: float) -> float:
    """ln of how much likelier the answers are where the limit lies a quarter above the reference; if not, exp is 1 on average."""
    step = 0.0
    for grade in grades:
        holds, moved = (_share(slope, reference_px * factor, grade.size_px) for factor in (1.0, _MOVED))
        step += grade.found * math.log(moved / holds) + (grade.tried - grade.found) * math.log((1 - moved) / (1 - holds))
    return step


def followed(cusum: float, step: float) -> float:
    """After one more set; at most twice its limit, so that a recovery is seen."""
    return min(max(0.0, cusum + step), 2 * CUSUM_LIMIT)


def _share(slope: float, limit_px: float, size_px: float) -> float:
    """Found of this size, where 90 % are found at the limit."""
    curve = Curve(midpoint=math.log(limit_px) - math.log(9) / slope, slope=slope)
    return _LAPSE + (1 - 2 * _LAPSE) * curve.probability(size_px)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Judgement:
    """What is said of a set's answers. limit: None where they allow none. step, cusum: None while the reference is learnt."""

    answers: Answers
    limit: Limit | None
    reference: float | None
    step: float | None
    cusum: float | None

    @property
    def above(self) -> bool:
        """The whole interval lies above the reference, and not by a chance miss of a large one alone."""
        low = self.limit.low if self.limit else None
        likely = self.step is None or self.step > 0
        return low is not None and self.reference is not None and low > self.reference and likely

    @property
    def crossed(self) -> bool:
        return self.limit is not None and self.cusum is not None and self.cusum >= CUSUM_LIMIT

    def why(self) -> str | None:
        said = [self._no_limit()]
        if self.above and self.limit:
            said.append(f"it lies above {self.limit.low:.3g} px, and so above the reference of {self.reference:.3g} px")
        if self.crossed:
            said.append(f"the last sets together found less than the reference of {self.reference:.3g} px allows")
        return "; ".join(text for text in said if text) or None

    def _no_limit(self) -> str:
        answers, found = self.answers, self.limit
        if not answers.trusted:
            return f"{answers.plain[1]} of {answers.plain[0]} unpainted images did not pass either: what was found says nothing"
        if found is None:
            return "there is no limit from one size alone"
        if found.value is not None:
            return ""
        smallest, largest = answers.grades[0], answers.grades[-1]
        if found.curve.slope > 0 and found.curve.ln_px() > math.log(largest.size_px):
            return (
                f"the limit lies above the largest size: {largest.found} of {largest.tried} of {largest.size_px:g} px were found"
            )
        if found.low is None and found.high is not None:
            return f"the limit lies below the smallest size: {_count(smallest)}"
        return "larger defects were found no more often than smaller ones"

    def message(self, *, station: str, product: str, set: str, at: datetime) -> DetectionLimitV1:
        answers, found = self.answers, self.limit
        curve = found.curve if found and found.curve.slope > 0 else None
        enclosed = _range(found, 1.0)
        return DetectionLimitV1(
            station=station,
            product=product,
            view=answers.view,
            set=set,
            defect=answers.defect,
            contrast=answers.contrast,
            grades=tuple(
                GradeV1(
                    size_px=grade.size_px,
                    size_mm=answers.scale and grade.size_px * answers.scale,
                    tried=grade.tried,
                    found=grade.found,
                )
                for grade in answers.grades
            ),
            false_alarms=answers.plain[1] / answers.plain[0] if answers.plain[0] else None,
            midpoint_ln_px=curve.midpoint if curve else None,
            slope=curve.slope if curve else None,
            pod90_px=enclosed,
            pod90_mm=_range(found, answers.scale) if answers.scale else None,
            above_px=found.low if found and enclosed is None else None,
            below_px=found.high if found and enclosed is None else None,
            reference_px=self.reference,
            cusum=self.cusum,
            cusum_limit=None if self.cusum is None else CUSUM_LIMIT,
            worse=self.above or self.crossed,
            why=self.why(),
            at=at,
        )


def _count(grade: Grade) -> str:
    return f"{grade.found} of {grade.tried} of {grade.size_px:g} px were found"


def _range(found: Limit | None, scale: float) -> RangeV1 | None:
    if found is None or found.value is None:
        return None
    low, high = (None if end is None else end * scale for end in (found.low, found.high))
    return RangeV1(value=found.value * scale, low=low, high=high)
