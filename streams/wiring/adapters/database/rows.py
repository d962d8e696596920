"""From one record of a topic to rows of the tables. Pure: the same record always gives the same rows.

Knows every message that is kept, and no database. Drift's summaries are not kept: they are on drift.v1.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import TypeAdapter

from schemas.act import ActV1
from schemas.baseline import BaselinePointerV1, BaselineStateV1, BaselineV1
from schemas.challenge import (
    ChallengeDueV1,
    ChallengePartV1,
    ChallengeResultV1,
    ChallengeScheduleV1,
    DetectionLimitV1,
    StationProofV1,
    SuspectWindowV1,
)
from schemas.codec import Reader
from schemas.common import Message, canonical, digest
from schemas.drift import DriftEventV1, ScoreStreamV1
from schemas.envelope import ContractError, Received, from_millis, taken_at
from schemas.evidence import (
    AnnouncedV1,
    AnomalyV1,
    BaselineStampV1,
    ChallengeStampV1,
    ClassificationV1,
    FailedV1,
    InstanceV1,
    Observation,
    ReviewedV1,
    SegmentationV1,
)
from schemas.ids import parse_inspection
from schemas.label import LabelV1
from schemas.model_set import ModelSetPointerV1, ModelSetV1
from schemas.policy import PointerV1, PolicyV1
from schemas.spc import LimitsActV1, LimitsV1, PlanV1, SignalV1, StageBreakV1, SubgroupV1
from schemas.taxonomy import ClassProposalV1, TaxonomyPointerV1, TaxonomyV1
from schemas.topics import ACT, BASELINE, CHALLENGE, DRIFT, EVIDENCE, LABEL, MODEL_SET, POLICY, SPC, TAXONOMY, VERDICT
from schemas.verdict import UsedV1, VerdictV1
from streams.wiring.adapters.database.cells import MOST_P, pack_cells
from streams.wiring.adapters.database.heat import pack_heat

TOPICS = (EVIDENCE, VERDICT, LABEL, SPC, DRIFT, CHALLENGE, BASELINE, POLICY, MODEL_SET, TAXONOMY, ACT)
Row = tuple[str, dict[str, Any]]
_EPOCH, _US = datetime(1970, 1, 1, tzinfo=UTC), timedelta(microseconds=1)
_ANY = TypeAdapter(Any)
_USED = TypeAdapter(tuple[UsedV1, ...])
_INSTANCES = TypeAdapter(tuple[InstanceV1, ...])


def micros(time: datetime) -> int:
    """Microseconds since 1970."""
    return (time - _EPOCH) // _US


def rows_of(received: Received) -> list[Row]:
    """(table, column -> value) each. Nothing for a type that is not kept. Raises ContractError.

    The type is all that it needs of the headers of most records: to read all of them costs as much as the data.
    """
    known = _BY_TYPE.get(received.header("ce_type") or "")
    if known is None:
        READER.read(received)  # another version of what is kept is an error
        return []
    kind, make = known
    return make(kind.read(received.value or b""), received)


def _json(data: Any) -> str:
    return _ANY.dump_json(data).decode()


def _event_id(received: Received) -> str:
    found = received.header("ce_id")
    if not found:
        raise ContractError("missing_header", "no ce_id: not a CloudEvent in binary mode")
    return found


def _whole(message: Message, **without: Any) -> str:
    return message.model_dump_json(exclude_none=True, **without)


def _of_part(message: AnnouncedV1 | VerdictV1, announced: datetime) -> dict[str, Any]:
    found = parse_inspection(message.inspection)
    if found.station != message.station:
        raise ContractError("bad_data", f"station {message.station!r} must fit the inspection {message.inspection!r}")
    return {
        "inspection": message.inspection,
        "station": message.station,
        "epoch": found.epoch,
        "n": found.n,
        "product": message.product,
        "lot": message.lot,
        "tool": message.tool,
        "serial": message.serial,
        "visit": message.visit,
        "purpose": message.purpose,
        "policy": message.policy,
        "model_set": message.model_set,
        "acquisition": message.acquisition,
        "at_us": micros(taken_at(message.captured_at, announced)),
        "announced_us": micros(announced),
        "baselines": _stamps(message.baselines),
        "challenge": _challenge(message.challenge),
    }


def _stamps(baselines: Mapping[str, BaselineStampV1]) -> str | None:
    return _json({view: stamp.state for view, stamp in sorted(baselines.items())}) if baselines else None


def _challenge(stamp: ChallengeStampV1 | None) -> str | None:
    return None if stamp is None else _whole(stamp)


def _verdict(message: VerdictV1, received: Received) -> list[Row]:
    part = _of_part(message, message.announced_at)
    reasons = _json(
        [{name: text for name in ("code", "view", "stage", "detail") if (text := getattr(why, name))} for why in message.reasons]
    )
    said = {
        "inspection": message.inspection,
        "revision": message.revision,
        "disposition": message.disposition,
        "label": message.label,
        "decided_by": message.decided_by,
        "who": message.who,
        "late": message.late,
        "audit": message.audit,
        "decided_us": micros(message.decided_at),
        "reasons": reasons,
    }
    effective = {
        **part,
        **said,
        "previous": message.previous,
        "audit_probability": message.audit_probability,
        "gate_us": None if message.gate_time is None else micros(message.gate_time),
        "false_reject_rate_valid": message.false_reject_rate_valid,
    }
    used = _USED.dump_json(message.evidence, exclude={"__all__": {"model"}}, exclude_none=True).decode()
    history = {
        **said,
        "supersedes": message.supersedes,
        "supersedes_label": message.supersedes_label,
        "used": used,
        "at_us": part["at_us"],
        "product": message.product,
        "purpose": message.purpose,
        "audit_probability": message.audit_probability,
    }
    return [("inspections", effective), ("revisions", history)]


def _announced(message: AnnouncedV1, received: Received) -> list[Row]:
    row = {
        **_of_part(message, from_millis(received.timestamp_ms)),
        "decide_within_s": message.decide_within_s,
        "gate_time_s": message.gate_time_s,
        "views_expected": message.views_expected,
        "views": _json({view.view: [view.width_px, view.height_px] for view in message.views}),
        "log_offset": received.offset,
    }
    return [("announced", row)]


_SEEN = ("score", "p_value", "label", "probability", "probabilities", "instances", "mm_per_px", "cells", "heat")
_NOTHING_SEEN = dict.fromkeys(_SEEN)


def _observed(message: Observation, received: Received, stage: str, seen: Mapping[str, Any]) -> list[Row]:
    row = {
        "inspection": message.inspection,
        "view": message.view,
        "stage": stage,
        "model_set": message.model_set,
        "model": message.model.digest,
        **_NOTHING_SEEN,
        **seen,
        "image": _whole(message.image),
        "log_offset": received.offset,
        "at_us": received.timestamp_ms * 1000,
    }
    return [("evidence", row)]


def _anomaly(message: AnomalyV1, received: Received) -> list[Row]:
    strange = message.p_value <= MOST_P
    cells, heat = (pack_cells(message.heat_map), pack_heat(message.heat_map)) if strange else (None, None)
    seen = {"score": message.score, "p_value": message.p_value, "cells": cells, "heat": heat}
    return _observed(message, received, "anomaly", seen)


def _classification(message: ClassificationV1, received: Received) -> list[Row]:
    best = max(sorted(message.probabilities), key=lambda name: message.probabilities[name])
    seen = {"label": best, "probability": message.probabilities[best], "probabilities": _json(message.probabilities)}
    return _observed(message, received, "classification", seen)


def _segmentation(message: SegmentationV1, received: Received) -> list[Row]:
    instances = _INSTANCES.dump_json(message.instances, exclude_none=True).decode()
    return _observed(message, received, "segmentation", {"instances": instances, "mm_per_px": message.mm_per_px})


def _failed(message: FailedV1, received: Received) -> list[Row]:
    row = {
        "inspection": message.inspection,
        "view": message.view or "",
        "by_stage": message.by,
        "reason": message.reason,
        "stages": _json(message.stages),
        "station": message.station,
        "product": message.product,
        "purpose": message.purpose,
        "detail": message.detail,
        "log_offset": received.offset,
        "at_us": received.timestamp_ms * 1000,
    }
    return [("failed", row)]


def _reviewed(message: ReviewedV1, received: Received) -> list[Row]:
    row = {
        "inspection": message.inspection,
        "revision": message.revision,
        "who": message.who,
        "station": message.station,
        "product": message.product,
        "disposition": message.disposition,
        "label": message.label,
        "role": message.role,
        "why": message.why,
        "looked_ms": message.looked_ms,
        "log_offset": received.offset,
        "at_us": received.timestamp_ms * 1000,
    }
    return [("reviews", row)]


def _label(message: LabelV1, received: Received) -> list[Row]:
    names = ("inspection", "station", "product", "answer", "label", "who", "opinion", "shown", "withdraws", "taxonomy")
    own = {"label_id": _event_id(received), "view": message.view, "physical": physical(message)}
    return [("labels", _document(message, received, None, names, **own))]


def physical(message: LabelV1) -> str:
    """The part that a label is of: by serial, then by lot; where the line told neither each inspection is one."""
    if message.serial is not None:
        return f"serial/{message.serial}"
    return f"image/{message.inspection}" if message.lot is None else f"lot/{message.lot}"


def _document(message: Any, received: Received, at: datetime | None, names: Sequence[str], **more: Any) -> dict[str, Any]:
    """A row that holds the whole message, and some of its fields as columns."""
    at_us = received.timestamp_ms * 1000 if at is None else micros(at)
    return {
        **{name: getattr(message, name) for name in names},
        "log_offset": received.offset,
        "at_us": at_us,
        "data": _whole(message),
        **more,
    }


_CHART = ("station", "product", "series", "stage_id")


def _subgroup(message: SubgroupV1, received: Received) -> list[Row]:
    names = (*_CHART, "subgroup_id", "lot", "revision")
    return [("spc_subgroups", _document(message, received, message.end, names, start_us=micros(message.start)))]


def _limits(message: LimitsV1, received: Received) -> list[Row]:
    names = (*_CHART, "limits_id", "characteristic", "status")
    return [("spc_limits", _document(message, received, message.provenance.at, names))]


def _signal(message: SignalV1, received: Received) -> list[Row]:
    names = (*_CHART, "signal_id", "characteristic", "subgroup_id", "status")
    return [("spc_signals", _document(message, received, message.at, names))]


def _stage(message: StageBreakV1, received: Received) -> list[Row]:
    return [("spc_stages", _document(message, received, message.at, _CHART))]


def _plan(message: PlanV1, received: Received) -> list[Row]:
    return [("spc_plans", _document(message, received, message.at, ("station", "product")))]


def _limits_act(message: LimitsActV1, received: Received) -> list[Row]:
    row = _document(message, received, message.at, ("station", "product", "act"), event_id=_event_id(received))
    return [("spc_acts", row)]


def _of_stream(stream: ScoreStreamV1) -> dict[str, str]:
    return {"station": stream.station, "product": stream.product, "view": stream.view}


def _drift_event(message: DriftEventV1, received: Received) -> list[Row]:
    names = ("kind", "state", "inspection")
    return [
        (
            "drift_events",
            _document(message, received, message.at, names, event_id=_event_id(received), **_of_stream(message.stream)),
        )
    ]


def _baseline(message: BaselineV1, received: Received) -> list[Row]:
    """Without its scores: they are on baseline.v1."""
    own = {"digest": _digest_key(received), "scores": len(message.sample.scores), **_of_stream(message.stream)}
    data = _whole(message, exclude={"sample": {"scores", "lots"}})
    return [("baselines", {**_document(message, received, message.at, ("origin", "generation"), **own), "data": data})]


def _baseline_pointer(message: BaselinePointerV1, received: Received) -> list[Row]:
    own = {"stream": digest(message.stream), **_of_stream(message.stream)}
    return [("baseline_pointers", _document(message, received, message.at, ("baseline", "who", "why"), **own))]


def _baseline_state(message: BaselineStateV1, received: Received) -> list[Row]:
    own = {"stream": digest(message.stream), **_of_stream(message.stream)}
    names = ("baseline", "state", "certificate_expired")
    return [("baseline_states", _document(message, received, message.since, names, **own))]


_SET = ("station", "product", "proof")


def _result(message: ChallengeResultV1, received: Received) -> list[Row]:
    own = {"set_id": message.set, "cause": message.trigger}
    return [("challenge_results", _document(message, received, message.at, (*_SET, "passed"), **own))]


def _proof(message: StationProofV1, received: Received) -> list[Row]:
    return [("challenge_proofs", _document(message, received, message.at, (*_SET, "proven", "why")))]


def _challenge_part(message: ChallengePartV1, received: Received) -> list[Row]:
    return [("challenge_parts", _document(message, received, message.at, (*_SET, "part", "retired")))]


def _schedule(message: ChallengeScheduleV1, received: Received) -> list[Row]:
    return [("challenge_schedules", _document(message, received, message.at, _SET))]


def _due(message: ChallengeDueV1, received: Received) -> list[Row]:
    own = {"set_id": message.set, "cause": message.trigger, "answer_by_us": micros(message.answer_by)}
    return [("challenge_dues", _document(message, received, message.due_at, _SET, **own))]


def _window(message: SuspectWindowV1, received: Received) -> list[Row]:
    own = {"set_id": message.set, "parts": message.count}
    return [("suspect_windows", _document(message, received, message.at, (*_SET, "page"), **own))]


def _detection_limit(message: DetectionLimitV1, received: Received) -> list[Row]:
    names = ("station", "product", "view", "worse")
    return [("detection_limits", _document(message, received, message.at, names, set_id=message.set))]


def _act(message: ActV1, received: Received) -> list[Row]:
    row = {
        "event_id": _event_id(received),
        "act": message.act,
        "place": message.where,
        "digest": message.digest,
        "who": message.who,
        "why": message.why,
        "log_offset": received.offset,
        "at_us": micros(message.at),
    }
    return [("acts", row)]


def _policy(message: PolicyV1, received: Received) -> list[Row]:
    own = {"digest": _digest_key(received)}
    return [("policies", _document(message, received, None, ("product", "station", "title"), **own))]


def _model_set(message: ModelSetV1, received: Received) -> list[Row]:
    """With its calibration scores: a policy is judged against them."""
    own = {"digest": _digest_key(received)}
    return [("model_sets", _document(message, received, None, ("product", "station"), **own))]


def _taxonomy(message: TaxonomyV1, received: Received) -> list[Row]:
    return [("taxonomies", _document(message, received, None, ("product",), digest=_digest_key(received)))]


def _proposal(message: ClassProposalV1, received: Received) -> list[Row]:
    names = ("product", "withdrawn")
    return [("proposals", _document(message, received, message.proposed_at, names, proposal_id=message.id))]


_KINDS = {PointerV1: "policy", ModelSetPointerV1: "model_set", TaxonomyPointerV1: "taxonomy"}


def _pointer(message: PointerV1 | ModelSetPointerV1 | TaxonomyPointerV1, received: Received) -> list[Row]:
    row = {
        "kind": _KINDS[type(message)],
        "place": _key(received),
        "digest": message.digest,
        "who": message.who,
        "why": message.why,
        "log_offset": received.offset,
        "at_us": received.timestamp_ms * 1000,
    }
    return [("in_force", row)]


def _key(received: Received) -> str:
    return (received.key or b"").decode(errors="replace")


def _digest_key(received: Received) -> str:
    """A version's key is the digest of its content, also of fields that this program does not know."""
    key, found = _key(received), hashlib.sha256(canonical(json.loads(received.value or b""))).hexdigest()
    if key != found:
        raise ContractError("bad_digest", f"the content of {key} has digest {found}")
    return key


_MAKERS: Mapping[type[Message], Callable[..., list[Row]]] = {
    VerdictV1: _verdict,
    AnnouncedV1: _announced,
    AnomalyV1: _anomaly,
    ClassificationV1: _classification,
    SegmentationV1: _segmentation,
    FailedV1: _failed,
    ReviewedV1: _reviewed,
    LabelV1: _label,
    SubgroupV1: _subgroup,
    LimitsV1: _limits,
    SignalV1: _signal,
    StageBreakV1: _stage,
    PlanV1: _plan,
    LimitsActV1: _limits_act,
    DriftEventV1: _drift_event,
    BaselineV1: _baseline,
    BaselinePointerV1: _baseline_pointer,
    BaselineStateV1: _baseline_state,
    ChallengeResultV1: _result,
    StationProofV1: _proof,
    ChallengePartV1: _challenge_part,
    ChallengeScheduleV1: _schedule,
    ChallengeDueV1: _due,
    SuspectWindowV1: _window,
    DetectionLimitV1: _detection_limit,
    ActV1: _act,
    PolicyV1: _policy,
    ModelSetV1: _model_set,
    PointerV1: _pointer,
    ModelSetPointerV1: _pointer,
    TaxonomyV1: _taxonomy,
    TaxonomyPointerV1: _pointer,
    ClassProposalV1: _proposal,
}
READER = Reader(*_MAKERS)
_BY_TYPE = {kind.TYPE: (kind, make) for kind, make in _MAKERS.items()}
