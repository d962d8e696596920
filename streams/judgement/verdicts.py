"""A decision as a record of verdict.v1. Its bytes depend on the log alone, and on the versions that the part was stamped with.

Knows no partition and no state of the stream.
"""

from __future__ import annotations

from collections.abc import Iterator

from schemas.codec import record_of
from schemas.envelope import Record, from_millis
from schemas.evidence import ReviewedV1
from schemas.ids import evidence_id, verdict_id
from schemas.segment_request import SegmentRequestV1
from schemas.verdict import UsedV1, VerdictV1, WhyV1
from streams.judgement.audit import audit_probability, drawn_for_audit
from streams.judgement.facts import UNKNOWN, ViewFacts, Why
from streams.judgement.part import Given, Part
from streams.judgement.policy import geometry_wanted
from streams.judgement.rules import Rules
from streams.judgement.standing import rate_is_valid
from streams.judgement.triage import Decision, Moment, contained


def verdict_of(decision: Decision, rules: Rules | None, moment: Moment) -> VerdictV1:
    """rules: of the stamped versions, None where they are unknown."""
    part, judgement, review = decision.part, decision.judgement, decision.review
    job, given = part.job, _given(part)
    passed = given.disposition == "pass" and review is None
    likely = audit_probability(rules, part) if passed and rules is not None else 0.0
    return VerdictV1(
        inspection=job.inspection,
        revision=given.revision,
        station=job.station,
        product=job.product,
        lot=job.lot,
        tool=job.tool,
        serial=job.serial,
        visit=job.visit,
        previous=job.previous,
        purpose=job.purpose,
        acquisition=job.acquisition,
        disposition=judgement.disposition,
        label=judgement.label,
        supersedes=given.superseded,
        supersedes_label=given.superseded_label,
        reasons=tuple(map(_why, judgement.reasons)),
        decided_by=given.decided_by,
        who=review.who if review else None,
        late=decision.late,
        audit=drawn_for_audit(job.inspection, likely),
        audit_probability=likely or None,
        policy=job.policy,
        model_set=job.model_set,
        calibration={view: found for view in sorted(part.views) if rules and (found := rules.calibration(view))},
        evidence=tuple(_used(part, rules)) if rules else (),
        captured_at=job.captured_at,
        gate_time=job.gate_time,
        baselines=dict(job.baselines),
        false_reject_rate_valid=rate_is_valid(rules, job),
        challenge=job.challenge,
        announced_at=from_millis(job.announced_ms),
        decided_at=from_millis(moment.append_ms),
    )


def verdict_of_review(review: ReviewedV1, moment: Moment) -> VerdictV1:
    """A person's decision about a part that triage has forgotten: all that is known stands in the review itself.

    Raises ValueError where the review does not say when the part was announced.
    """
    if review.announced_at is None:
        raise ValueError("the part is forgotten, and the review does not say when it was announced")
    reasons = (*contained(review.supersedes, review.disposition, review.serial), Why(code="person", detail=review.why[:1000]))
    return VerdictV1(
        inspection=review.inspection,
        revision=review.revision + 1,
        station=review.station,
        product=review.product,
        lot=review.lot,
        tool=review.tool,
        serial=review.serial,
        visit=review.visit,
        previous=review.previous,
        purpose=review.purpose,
        acquisition=review.acquisition,
        disposition=review.disposition,
        label=review.label,
        supersedes=review.supersedes,
        supersedes_label=review.supersedes_label,
        reasons=tuple(map(_why, reasons)),
        decided_by="person",
        who=review.who,
        captured_at=review.captured_at,
        announced_at=review.announced_at,
        decided_at=from_millis(moment.append_ms),
    )


def verdict_record(verdict: VerdictV1) -> Record:
    return record_of(
        verdict,
        id=verdict_id(verdict.inspection, verdict.revision),
        station=verdict.station,
        subject=verdict.inspection,
        time=verdict.decided_at,
    )


def request_record(request: SegmentRequestV1, moment: Moment) -> Record:
    return record_of(
        request,
        id=evidence_id(request.inspection, "request", view=request.view, model_set=request.model_set),
        station=request.station,
        subject=request.inspection,
        time=from_millis(moment.append_ms),
    )


def _given(part: Part) -> Given:
    if part.given is None:
        raise ValueError(f"{part.job.inspection} has not been judged")
    return part.given


def _why(why: Why) -> WhyV1:
    return WhyV1(code=why.code, view=why.view, stage=why.stage, detail=why.detail)


def _used(part: Part, rules: Rules) -> Iterator[UsedV1]:
    for view, facts in sorted(part.views.items()):
        yield from _used_in(view, facts, rules)


def _used_in(view: str, facts: ViewFacts, rules: Rules) -> Iterator[UsedV1]:
    models = {model.stage: model.ref for model in rules.model_set.models}
    if (seen := facts.anomaly) is not None:
        p_value = rules.p_value(view, seen.score)
        yield UsedV1(stage="anomaly", view=view, offset=seen.offset, model=models["anomaly"], score=seen.score, p_value=p_value)
    if (kind := facts.kind) is not None:
        label = kind.best if kind.label == UNKNOWN else kind.label
        named = {"model": models["classification"], "label": label, "probability": kind.probability}
        yield UsedV1(stage="classification", view=view, offset=kind.offset, **named)
    if (shape := facts.shape) is not None and geometry_wanted(rules, view, facts) is not None:
        model = models["segmentation"]
        yield UsedV1(stage="segmentation", view=view, offset=shape.offset, model=model, instances=shape.instances)
