"""What the verdict of a challenge part says, and what the answers of a set say together. Knows no schedule."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from schemas.challenge import ChallengeItemV1
from schemas.common import Disposition
from schemas.evidence import ChallengeStampV1
from schemas.ids import parse_inspection
from schemas.verdict import VerdictV1
from streams.monitors.challenge.memory import Answer, OpenSet


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A first verdict, as the rules here need it. number: (epoch, n) of its inspection."""

    inspection: str
    number: tuple[int, int]
    product: str
    model_set: str | None
    production: bool
    answer: Answer | None
    offset: int
    at_ms: int


def judged(verdict: VerdictV1, offset: int, at_ms: int, thresholds: Mapping[str, float]) -> Judged:
    """thresholds: of the anomaly scores, by view, as in force for this part; only a challenge part needs them."""
    part = parse_inspection(verdict.inspection)
    return Judged(
        inspection=verdict.inspection,
        number=(part.epoch, part.n),
        product=verdict.product,
        model_set=verdict.model_set,
        production=verdict.purpose == "production",
        answer=None if verdict.challenge is None else _answer(verdict, verdict.challenge, offset, at_ms, thresholds),
        offset=offset,
        at_ms=at_ms,
    )


def _answer(verdict: VerdictV1, stamp: ChallengeStampV1, offset: int, at_ms: int, thresholds: Mapping[str, float]) -> Answer:
    scores = {used.view: used.score for used in verdict.evidence if used.stage == "anomaly" and used.score is not None}
    item = ChallengeItemV1(
        stamp=stamp,
        inspection=verdict.inspection,
        disposition=verdict.disposition,
        caught=caught(stamp, verdict.disposition),
        scores=scores,
        margin=margin(scores, thresholds),
    )
    return Answer(item=item, product=verdict.product, offset=offset, at_ms=at_ms)


def caught(stamp: ChallengeStampV1, disposition: Disposition) -> bool:
    """Whether triage said what was expected. A part without a verdict is held, but nothing has detected it."""
    if disposition == "no_verdict":
        return False
    return (disposition == "pass") == (stamp.kind == "golden")


def margin(scores: Mapping[str, float], thresholds: Mapping[str, float]) -> float | None:
    """By how much the highest ratio of score to threshold exceeds 1. None: no view has a score and a threshold above 0."""
    ratios = [score / thresholds[view] for view, score in scores.items() if thresholds.get(view, 0.0) > 0]
    return max(ratios) - 1 if ratios else None


def escaped(answer: Answer) -> bool:
    """A known defect was let through."""
    return answer.item.stamp.kind == "defect" and answer.item.disposition == "pass"


def add(found: OpenSet, answer: Answer) -> OpenSet:
    """With this answer. Of several for one part (it was sent or shown again) an escape counts, else the first real one."""
    stamp, due = answer.item.stamp, found.due
    if stamp.part not in due.parts or (answer.product, stamp.proof) != (due.product, due.proof) or late(found, answer):
        return found
    before = next((one for one in found.answers if one.item.stamp.part == stamp.part), None)
    if before is not None and (escaped(before) or not (escaped(answer) or before.item.disposition == "no_verdict")):
        return found
    first = max(answer.offset, found.since) if found.first is None and answer.item.disposition != "no_verdict" else found.first
    return replace(found, answers=(*(one for one in found.answers if one is not before), answer), first=first)


def late(found: OpenSet, answer: Answer) -> bool:
    return answer.at_ms > found.answer_by_ms


def unanswered(found: OpenSet) -> tuple[str, ...]:
    real = {one.item.stamp.part for one in found.answers if one.item.disposition != "no_verdict"}
    return tuple(part for part in found.due.parts if part not in real)


def complete(found: OpenSet) -> bool:
    """Every part was judged, even if with no_verdict."""
    return {one.item.stamp.part for one in found.answers} >= set(found.due.parts)


def items(found: OpenSet) -> tuple[ChallengeItemV1, ...]:
    """In the order of the set's parts."""
    by_part = {one.item.stamp.part: one.item for one in found.answers}
    return tuple(by_part[part] for part in found.due.parts if part in by_part)


def what_failed(found: OpenSet) -> str:
    """In words; empty where the set passed."""
    wrong = [
        f"{item.stamp.part} passed" if item.stamp.kind == "defect" else f"{item.stamp.part}, a good part, got {item.disposition}"
        for item in items(found)
        if not item.caught and item.disposition != "no_verdict"
    ]
    judged_parts = {item.stamp.part for item in items(found)}
    silent = [
        f"{part} got no_verdict" if part in judged_parts else f"{part}: no answer by {found.due.answer_by:%Y-%m-%d %H:%M} UTC"
        for part in unanswered(found)
    ]
    return "; ".join((*wrong, *silent))
