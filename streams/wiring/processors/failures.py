"""`failed` evidence: a stage cannot observe, and says so at once instead of leaving the deadline to say it. Knows no model."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import ValidationError

from schemas.capture import Context, context_of
from schemas.codec import record_of
from schemas.common import Stage
from schemas.envelope import ContractError, Received, Record, envelope_of
from schemas.evidence import FailedV1
from schemas.ids import evidence_id, parse_inspection
from schemas.model_set import ModelSetV1
from schemas.segment_request import SegmentRequestV1

Part = Context | SegmentRequestV1
_ALL: tuple[Stage, ...] = ("anomaly", "classification", "segmentation")


def doomed(stage: Stage, models: ModelSetV1 | None) -> tuple[Stage, ...]:
    """What cannot be observed once this stage has failed. models: None where the stamp names an unknown set."""
    if stage != "anomaly":
        return (stage,)
    if models is None:
        return _ALL
    lost = ["anomaly"]
    classifier = models.model("classification")
    if classifier is not None and classifier.input == "embedding":
        lost.append("classification")
    if models.model("segmentation") is not None:
        lost.append("segmentation")
    return tuple(stage for stage in _ALL if stage in lost)


def failed(part: Part, by: Stage, stages: tuple[Stage, ...], reason: str, detail: str) -> Record:
    """The evidence that this part's view will not get these observations."""
    message = FailedV1(
        inspection=part.inspection,
        station=part.station,
        view=part.view,
        product=part.product,
        acquisition=part.acquisition,
        purpose=part.purpose,
        model_set=part.model_set,
        by=by,
        stages=stages,
        reason=reason,
        detail=detail[:1000],
    )
    return _record(message)


def failed_unread(received: Received, by: Stage, reason: str, detail: str) -> list[Record]:
    """The same for a record whose own description cannot be read: whatever its headers still tell. Nothing without a subject.

    A view that cannot be read means all views: nobody may take one for another.
    """
    subject, view = received.header("ce_subject") or "", received.header("ce_view")
    try:
        station = parse_inspection(subject).station
    except ValueError:
        return []
    facts: Mapping[str, str] = {"inspection": subject, "station": station, "by": by, "reason": reason, "detail": detail[:1000]}
    stages = doomed(by, None)
    try:
        message = FailedV1.model_validate({**facts, "stages": stages, "view": view})
    except ValidationError:
        message = FailedV1.model_validate({**facts, "stages": stages})
    return [_record(message)]


def context_in(received: Received) -> Context | None:
    """What the headers say, None where they are broken."""
    try:
        return context_of(envelope_of(received.headers))
    except ContractError:
        return None


def _record(message: FailedV1) -> Record:
    kind = f"failed-{message.by}-{message.reason}"
    identity = evidence_id(message.inspection, kind, view=message.view, model_set=message.model_set)
    return record_of(message, id=identity, station=message.station, subject=message.inspection)
