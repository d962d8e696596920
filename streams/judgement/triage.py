"""One inspection, from its announcement to its verdicts: pure steps `(part, evidence) -> (part, what must be said)`.

Time is the log's, given in. Knows no Kafka, no partition and no other inspection.

* Revision 1 when every required stage of every view is observed; `no_verdict` at once when that cannot happen any more (a
  required stage failed, a view was never taken, the stamped versions are unknown or do not fit), else at the deadline.
* After the deadline a machine never releases. Evidence that completes a part too late makes one new revision: all good
  becomes `review`, `late_pass`; bad gets its disposition. What a person has decided stands, unless the part was passed
  and the evidence is bad: containment. A part that failed stays `no_verdict`.
* A review makes a new revision if it names the effective one.
* Of two pieces of evidence for one stage and view the first counts. The same id again is a copy, or a conflict where it says
  something else, by more than the model's tolerance.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from hashlib import blake2b
from typing import Literal, TypeVar

from schemas.common import Disposition, ImageRef, Stage
from schemas.envelope import from_millis
from schemas.evidence import AnnouncedV1, AnomalyV1, ClassificationV1, FailedV1, Observation, ReviewedV1, SegmentationV1, observed
from schemas.ids import InspectionId
from schemas.policy import GeometryV1
from schemas.segment_request import SegmentRequestV1
from streams.judgement.facts import UNKNOWN, Asked, Code, Failure, Judgement, Shape, Strangeness, ViewFacts, Why
from streams.judgement.part import Given, Job, Part, Refused
from streams.judgement.policy import accept, geometry_wanted, judge
from streams.judgement.region import heat_map, prepared_region, strange_region
from streams.judgement.rules import Rules
from streams.judgement.standing import react

ANY_VIEW = "*"
STAGES: tuple[Stage, ...] = ("anomaly", "classification", "segmentation")
MOST_INSTANCES = 1000  # in all views: state and verdict must fit into a record of 1 MiB
V = TypeVar("V")
Evidence = AnomalyV1 | ClassificationV1 | SegmentationV1


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """Where the log stands. now_ms: highest append time so far; append_ms, offset: of the record in hand."""

    now_ms: int
    append_ms: int
    offset: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """A verdict to write. part: as it was judged. review: the person's decision, where it is one."""

    part: Part
    judgement: Judgement
    late: bool = False
    review: ReviewedV1 | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What one event has made of a part. dropped: why it said nothing: a copy, a conflict, or a code for a dead letter."""

    part: Part
    decision: Decision | None = None
    requests: tuple[SegmentRequestV1, ...] = ()
    dropped: Literal["", "copy", "conflict", "ignored", "unknown_view", "stale_review"] = ""


def announce(message: AnnouncedV1, rules: Rules | Refused, seen_as: str, moment: Moment) -> Step:
    """A part that was not known. rules: of the stamped versions, or which of them nobody knows."""
    job = Job(
        inspection=message.inspection,
        station=message.station,
        product=message.product,
        purpose=message.purpose,
        lot=message.lot,
        tool=message.tool,
        serial=message.serial,
        visit=message.visit,
        previous=message.previous,
        acquisition=message.acquisition,
        policy=message.policy,
        model_set=message.model_set,
        captured_at=message.captured_at,
        gate_time=_gate_time(message),
        refused=rules if isinstance(rules, str) else None,
        announced_ms=moment.append_ms,
        due_ms=moment.append_ms + round(message.decide_within_s * 1000),
        frames={view.view: (view.width_px, view.height_px) for view in message.views},
        baselines=message.baselines,
        challenge=message.challenge,
    )
    part = Part(job=job, seen={seen_as: short_digest(message)}, views={view: ViewFacts() for view in job.frames})
    why = _hopeless(message, job, rules)
    return Step(part=part) if why is None else _give_up(part, why, moment)


def _gate_time(message: AnnouncedV1) -> datetime | None:
    if message.gate_time_s is None:
        return None
    try:
        return message.captured_at + timedelta(seconds=message.gate_time_s)
    except OverflowError:  # beyond the year 9999: no gate
        return None


def announce_unreadable(inspection: InspectionId, product: str, seen: Mapping[str, str], detail: str, moment: Moment) -> Step:
    """A part whose announcement cannot be read, only whose it is. Purpose: the one that is counted."""
    job = Job(
        inspection=str(inspection),
        station=inspection.station,
        product=product,
        purpose="production",
        announced_ms=moment.append_ms,
        due_ms=moment.now_ms,
    )
    return _give_up(Part(job=job, seen=seen), Why(code="bad_announcement", detail=detail), moment)


def observe(part: Part, message: Evidence, rules: Rules | Refused, seen_as: str, moment: Moment) -> Step:
    """Take what a stage has seen. Raises Unprocessable `bad_heat_map`."""
    if message.model_set != part.job.model_set:
        return Step(part=part, dropped="ignored")
    facts = part.views.get(message.view)
    if facts is None and part.views:
        return Step(part=part, dropped="unknown_view")
    digest, before = short_digest(message), part.seen.get(seen_as)
    if before is not None:
        same = before == digest or (facts is not None and isinstance(rules, Rules) and _agrees(facts, message, rules))
        return Step(part=part, dropped="copy" if same else "conflict")
    part = replace(part, seen={**part.seen, seen_as: digest})
    if facts is None or isinstance(rules, str):
        return Step(part=part)
    stage = _stage(message)
    if facts.observed(stage) is not None or facts.failure(stage) is not None:
        return Step(part=part, dropped="ignored")
    return _advance(_with(part, message.view, _add(part, facts, message, rules, moment.offset)), rules, moment, message.image)


def fail(part: Part, message: FailedV1, rules: Rules | Refused, seen_as: str, moment: Moment) -> Step:
    """A stage says that it will not observe. What was observed stays; the same id with another reason is a copy."""
    if message.view is not None and message.view not in part.views and part.views:
        return Step(part=part, dropped="unknown_view")
    if seen_as in part.seen:
        return Step(part=part, dropped="copy")
    part = replace(part, seen={**part.seen, seen_as: short_digest(message)})
    views = tuple(part.views) if message.view is None else (message.view,)
    detail = f"{message.by}: {message.reason}" + (f": {message.detail[:300]}" if message.detail else "")
    return _doom(part, views, [(stage, "stage_failed", detail) for stage in message.stages], rules, moment)


def fail_unreadable(part: Part, detail: str, rules: Rules | Refused, moment: Moment, stages: tuple[Stage, ...] = STAGES) -> Step:
    """Evidence of these stages cannot be read, nor of which view it is: none of them can be trusted to come again."""
    return _doom(part, tuple(part.views), [(stage, "bad_evidence", detail) for stage in stages], rules, moment)


def review(part: Part, message: ReviewedV1, seen_as: str, moment: Moment) -> Step:
    """A person decides. Stale where it does not name the effective revision."""
    digest, before, given = short_digest(message), part.seen.get(seen_as), part.given
    if before is not None:
        return Step(part=part, dropped="copy" if before == digest else "conflict")
    if given is None or message.revision != given.revision:
        return Step(part=part, dropped="stale_review")
    why = Why(code="person", detail=message.why[:1000])
    reasons = (*contained(given.disposition, message.disposition, part.job.serial), why)
    new = replace(_next(given, message.disposition, message.label, moment), decided_by="person", waiting=given.waiting)
    part = replace(part, seen={**part.seen, seen_as: digest}, given=new)
    judgement = Judgement(disposition=message.disposition, label=message.label, reasons=reasons)
    return Step(part=part, decision=Decision(part=part, judgement=judgement, review=message))


def expire(part: Part, rules: Rules | Refused, moment: Moment) -> Step:
    """The deadline: what is missing is named, and nothing passes."""
    missing = [
        f"{stage} of {view}"
        for view, facts in sorted(part.views.items())
        for stage in (_required(rules, view, facts) if isinstance(rules, Rules) else ())
        if facts.observed(stage) is None
    ]
    why = Why(code="missing_evidence", detail=f"until the deadline nobody sent: {', '.join(missing)}"[:1000])
    return _give_up(part, why, moment, waiting=True)


def contained(before: str | None, after: str, serial: str | None) -> tuple[Why, ...]:
    """A part that was passed is bad after all: it is somewhere, and must be found."""
    if before != "pass" or after == "pass":
        return ()
    return (Why(code="containment", detail=f"passed before; serial {serial}" if serial else "passed before; it has no serial"),)


def short_digest(message: AnnouncedV1 | Evidence | FailedV1 | ReviewedV1) -> str:
    """64 bits of what it says: copies agree in it."""
    return blake2b(observed(message), digest_size=8).hexdigest()


def _hopeless(message: AnnouncedV1, job: Job, rules: Rules | Refused) -> Why | None:
    """Why no verdict but one can ever be given."""
    if isinstance(rules, str):
        digest = job.policy if rules == "unknown_policy" else job.model_set
        return Why(code=rules, detail=f"{digest} is not on its topic")
    faults = list(rules.faults)
    if rules.policy.product != message.product:
        faults.append(f"the policy is for product {rules.policy.product!r}, the part is {message.product!r}")
    if "anomaly" in rules.required and not faults:
        faults += [f"no calibration scores for view {view!r}" for view in job.frames if rules.threshold(view) is None]
    if faults:
        return Why(code="policy_mismatch", detail="; ".join(faults)[:1000])
    if len(job.frames) < message.views_expected:
        return Why(code="missing_view", detail=f"{len(job.frames)} of {message.views_expected} views were taken")
    return None


def _doom(
    part: Part, views: tuple[str, ...], failures: list[tuple[Stage, Code, str]], rules: Rules | Refused, moment: Moment
) -> Step:
    if isinstance(rules, str):
        return Step(part=part)
    for view in views:
        facts = part.views.get(view)
        if facts is None:
            continue
        new = tuple(
            Failure(stage=stage, code=code, detail=detail)
            for stage, code, detail in failures
            if facts.observed(stage) is None and facts.failure(stage) is None
        )
        part = _with(part, view, replace(facts, failures=(*facts.failures, *new)))
    return _advance(part, rules, moment, None)


def _add(part: Part, facts: ViewFacts, message: Evidence, rules: Rules, offset: int) -> ViewFacts:
    """The facts with this evidence. An answer of another model than the stamped one is a failure of its stage."""
    stage = _stage(message)
    model = rules.model_set.model(stage)
    if model is None or message.model != model.ref:
        asked = "none" if model is None else f"{model.ref.name}/{model.ref.version} {model.ref.profile} {model.ref.digest[:12]}"
        told = f"{message.model.name}/{message.model.version} {message.model.profile} {message.model.digest[:12]}"
        failure = Failure(stage=stage, code="wrong_model", detail=f"{told} answered, {asked} was stamped")
        return replace(facts, failures=(*facts.failures, failure))
    if isinstance(message, AnomalyV1):
        return replace(facts, anomaly=_strangeness(message, rules, part.job.frames[message.view], offset))
    if isinstance(message, ClassificationV1):
        return replace(facts, kind=accept(rules, message.probabilities, offset))
    kept = sum(len(view.shape.instances) for view in part.views.values() if view.shape)
    if kept + len(message.instances) > MOST_INSTANCES:
        detail = f"{kept + len(message.instances)} instances in one part, the limit is {MOST_INSTANCES}"
        return replace(facts, failures=(*facts.failures, Failure(stage=stage, code="bad_evidence", detail=detail)))
    return replace(facts, shape=Shape(offset=offset, instances=message.instances))


def _strangeness(message: AnomalyV1, rules: Rules, frame: tuple[int, int], offset: int) -> Strangeness:
    """The region is settled now, where it may be needed: the heat map is not kept. A normal view has none."""
    threshold, model = rules.threshold(message.view), rules.model_set.model("anomaly")
    if rules.policy.geometry is None or model is None or threshold is None or message.score <= threshold:
        return Strangeness(offset=offset, score=message.score)
    prepared = prepared_region(model.preparation.roi, *frame)
    region, area = strange_region(heat_map(message.heat_map), threshold, prepared)
    return Strangeness(offset=offset, score=message.score, region=region, area_px=area)


def _advance(part: Part, rules: Rules, moment: Moment, image: ImageRef | None) -> Step:
    """Say what can be said now: ask for geometry, judge, give up, or revise."""
    if part.given is not None and not part.given.waiting:
        return Step(part=part)
    lost = next((why for view, facts in sorted(part.views.items()) for why in _lost(rules, view, facts)), None)
    if lost is not None:
        return _give_up(part, lost, moment) if part.given is None else Step(part=_no_longer_waiting(part))
    requests: list[SegmentRequestV1] = []
    if part.given is None and image is not None:
        for view, facts in part.views.items():
            why = geometry_wanted(rules, view, facts) if _ready(rules, facts) and facts.asked is None else None
            if why is not None and facts.shape is None:
                requests.append(_request(part.job, rules, view, facts, why, image))
                part = _with(part, view, replace(facts, asked=why))
    if any(facts.observed(stage) is None for facts in part.views.values() for stage in _awaited(rules, facts)):
        return Step(part=part, requests=tuple(requests))
    judgement = judge(rules, part.views)
    if part.given is None:
        return _give(part, react(rules, part.job, judgement), moment)
    return _revise(part, part.given, judgement, moment)


def _give(part: Part, judgement: Judgement, moment: Moment) -> Step:
    first = Given(revision=1, disposition=judgement.disposition, label=judgement.label, decided_by="policy", at_ms=moment.now_ms)
    part = replace(part, given=first)
    return Step(part=part, decision=Decision(part=part, judgement=judgement))


def _next(given: Given, disposition: Disposition, label: str | None, moment: Moment) -> Given:
    """The revision after this one, by the policy, with nothing more to come."""
    return Given(
        revision=given.revision + 1,
        disposition=disposition,
        label=label,
        decided_by="policy",
        at_ms=moment.now_ms,
        superseded=given.disposition,
        superseded_label=given.label,
    )


def _give_up(part: Part, why: Why, moment: Moment, *, waiting: bool = False) -> Step:
    """Revision 1: no_verdict."""
    given = Given(revision=1, disposition="no_verdict", decided_by="policy", at_ms=moment.now_ms, waiting=waiting)
    part = replace(part, given=given)
    return Step(
        part=part, decision=Decision(part=part, judgement=Judgement(disposition="no_verdict", label=None, reasons=(why,)))
    )


def _revise(part: Part, given: Given, judgement: Judgement, moment: Moment) -> Step:
    """All evidence is there, too late."""
    good = judgement.disposition == "pass"
    if given.decided_by == "person" and (good or given.disposition != "pass"):
        return Step(part=_no_longer_waiting(part))
    if good:
        why = Why(code="late_pass", detail="all good, but only after the deadline: a person releases it")
        judgement = Judgement(disposition="review", label=judgement.label, reasons=(why,))
    else:
        why = Why(code="late", detail="complete only after the deadline")
        found = contained(given.disposition, judgement.disposition, part.job.serial)
        judgement = replace(judgement, reasons=(*found, why, *judgement.reasons))
    part = replace(part, given=_next(given, judgement.disposition, judgement.label, moment))
    return Step(part=part, decision=Decision(part=part, judgement=judgement, late=True))


def _no_longer_waiting(part: Part) -> Part:
    return part if part.given is None else replace(part, given=replace(part.given, waiting=False))


def _lost(rules: Rules, view: str, facts: ViewFacts) -> list[Why]:
    """Required stages of a view that will not come."""
    failures = [facts.failure(stage) for stage in _required(rules, view, facts) if facts.observed(stage) is None]
    return [Why(code=one.code, view=view, stage=one.stage, detail=one.detail) for one in failures if one is not None]


def _required(rules: Rules, view: str, facts: ViewFacts) -> tuple[Stage, ...]:
    """Segmentation only where geometry decides."""
    wanted = facts.asked is not None or (_ready(rules, facts) and geometry_wanted(rules, view, facts) is not None)
    return (*rules.required, "segmentation") if wanted else rules.required


def _awaited(rules: Rules, facts: ViewFacts) -> tuple[Stage, ...]:
    """Geometry that was never asked for, because it was too late, is not waited for."""
    return (*rules.required, "segmentation") if facts.asked is not None else rules.required


def _ready(rules: Rules, facts: ViewFacts) -> bool:
    return all(facts.observed(stage) is not None for stage in rules.required)


def _agrees(facts: ViewFacts, message: Evidence, rules: Rules) -> bool:
    """A second answer of one model may differ by its tolerance: batches are computed in another order."""
    model = rules.model_set.model(_stage(message))
    if model is None:
        return False
    if isinstance(message, AnomalyV1):
        return facts.anomaly is not None and abs(facts.anomaly.score - message.score) <= model.tolerance
    if isinstance(message, ClassificationV1) and facts.kind is not None:
        again = accept(rules, message.probabilities, 0)
        return again.label == facts.kind.label and abs(again.probability - facts.kind.probability) <= model.tolerance
    return False


def _request(job: Job, rules: Rules, view: str, facts: ViewFacts, why: Asked, image: ImageRef) -> SegmentRequestV1:
    geometry = rules.policy.geometry or GeometryV1()
    region = facts.anomaly.region if facts.anomaly else None
    label = facts.kind.label if facts.kind and facts.kind.label != UNKNOWN else None
    assert job.acquisition is not None  # rules are known, so the announcement was read
    assert job.model_set is not None
    assert job.policy is not None
    return SegmentRequestV1(
        inspection=job.inspection,
        station=job.station,
        view=view,
        product=job.product,
        acquisition=job.acquisition,
        purpose=job.purpose,
        model_set=job.model_set,
        policy=job.policy,
        image=image,
        region=region or prepared_region(None, *job.frames[view]),
        why=why,
        label=label,
        mm_per_px=of_view(geometry.mm_per_px, view),
        u_scale=geometry.u_scale,
        critical=of_view(geometry.critical, view),
        due=from_millis(job.due_ms),
    )


def of_view(values: Mapping[str, V], view: str) -> V | None:
    """A view's own value, else that of all views."""
    return values.get(view, values.get(ANY_VIEW))


def _with(part: Part, view: str, facts: ViewFacts) -> Part:
    return replace(part, views={**part.views, view: facts})


def _stage(message: Observation) -> Stage:
    if isinstance(message, AnomalyV1):
        return "anomaly"
    return "classification" if isinstance(message, ClassificationV1) else "segmentation"
