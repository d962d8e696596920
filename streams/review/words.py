"""What an answer says on the bus: the label of the person, and the decision, where there is one. Pure; sends nothing.

What becomes of a part: good passes. A defect gets what the policy says of its class, and of its size, where geometry decides and
it was measured. Where the policy leaves it to a person (its rule says `review`, it has no rule for the class, the size is near a
limit or nobody measured it, the kind has no name yet), the person chooses. Without a choice the class's own disposition counts,
else the policy's word on what is unknown, where it is one of the two, else it is scrap: what nobody ruled on is not delivered.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from schemas.codec import CONSOLE, keyed, record_of
from schemas.common import Disposition, ImageRef, Purpose, digest
from schemas.envelope import Record
from schemas.evidence import InstanceV1, ReviewedV1
from schemas.ids import NAME_PATTERN, evidence_id
from schemas.label import Answer, LabelledViewV1, LabelV1, Opinion, Shown
from schemas.policy import ClassRuleV1, PolicyV1
from schemas.taxonomy import TaxonomyV1
from streams.judgement.facts import strictness
from streams.judgement.severity import severity
from streams.review.changes import first
from streams.review.docket import Spoken, Stood

CHOICES: tuple[Disposition, ...] = ("rework", "scrap")
Measured = Mapping[str, Sequence[InstanceV1]]  # by view


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What the effective verdict says of a part, as its messages repeat it. images: by view, where they are known."""

    inspection: str
    station: str
    product: str
    purpose: Purpose
    acquisition: str
    lot: str | None = None
    tool: str | None = None
    serial: str | None = None
    visit: int = 1
    previous: str | None = None
    announced_at: datetime | None = None
    captured_at: datetime | None = None
    audit_probability: float | None = None
    images: Mapping[str, ImageRef]

    @property
    def view(self) -> str | None:
        """That a label of it is of; None: of the whole part, which has several."""
        return next(iter(self.images)) if len(self.images) == 1 else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """The frame of one label. withdraws: this person's label before. taxonomy: of the class, where there is one."""

    opinion: Opinion
    shown: Shown
    withdraws: str | None
    taxonomy: str | None
    at: datetime


def becomes(
    answer: Answer, label: str | None, policy: PolicyV1 | None, measured: Measured, chosen: Disposition | None
) -> Disposition | None:
    """What the part gets; None: the answer decides nothing. chosen: rework or scrap, where the policy leaves it open."""
    if answer == "unsure":
        return None
    if answer == "good":
        return "pass"
    ruled = rule(label, policy, measured)
    if ruled is not None:
        return ruled
    return next((one for one in CHOICES if one == chosen), usual(label, policy))


def rule(label: str | None, policy: PolicyV1 | None, measured: Measured) -> Disposition | None:
    """What the policy says of a class of defects, with what was measured by view; None: it leaves that to a person."""
    found = _of_class(label, policy)
    if found is None or policy is None or label is None or found.disposition == "review":
        return None
    if policy.geometry is None or not found.geometry:
        return found.disposition
    sizes: list[Disposition] = [
        severity(policy.geometry, tuple(instances), label, found.disposition, view).disposition
        for view, instances in sorted(measured.items())
        if instances
    ]
    worst = max(sizes, key=strictness) if sizes else "review"
    return None if worst == "review" else worst


def usual(label: str | None, policy: PolicyV1 | None) -> Disposition:
    """Where nobody chose."""
    found = _of_class(label, policy)
    if found is not None and found.disposition in CHOICES:
        return found.disposition
    return policy.unknown if policy is not None and policy.unknown in CHOICES else "scrap"


def sized(label: str, policy: PolicyV1 | None) -> bool:
    """Whether the size of such a defect decides."""
    found = _of_class(label, policy)
    return found is not None and found.geometry


def _of_class(label: str | None, policy: PolicyV1 | None) -> ClassRuleV1 | None:
    return policy.classes.get(label) if policy is not None and label is not None else None


def first_taxonomy(product: str, classes: Sequence[str]) -> TaxonomyV1:
    """The classes that a classifier knows, for a product that nobody has given classes of its own."""
    return first(product, (name for name in classes if re.fullmatch(NAME_PATTERN, name)))


def label_of(facts: Facts, spoken: Spoken, told: Told) -> LabelV1 | None:
    """None: no image of the part is known, so there is nothing to learn from."""
    return _label(facts, spoken, told, spoken.answer)


def withdrawal_of(facts: Facts, spoken: Spoken, told: Told) -> LabelV1 | None:
    """Takes back `told.withdraws`, and puts nothing in its place."""
    return _label(facts, spoken, told, None)


def _label(facts: Facts, spoken: Spoken, told: Told, answer: Answer | None) -> LabelV1 | None:
    views = tuple(LabelledViewV1(view=view, image=image) for view, image in sorted(facts.images.items()))
    if not views:
        return None
    label = spoken.label if answer is not None and told.taxonomy is not None else None
    return LabelV1(
        inspection=facts.inspection,
        station=facts.station,
        product=facts.product,
        lot=facts.lot,
        serial=facts.serial,
        purpose=facts.purpose,
        acquisition=facts.acquisition,
        revision=spoken.revision,
        of="view" if len(views) == 1 else "part",
        views=views,
        answer=answer,
        label=label,
        taxonomy=told.taxonomy if label is not None else None,
        who=spoken.who,
        role=spoken.role,
        why=spoken.why,
        looked_ms=spoken.looked_ms,
        opinion=told.opinion,
        shown=told.shown,
        audit_probability=facts.audit_probability if told.shown == "audit" else None,
        withdraws=told.withdraws,
        answered_at=told.at,
    )


def reviewed_of(facts: Facts, revision: int, was: Stood, now: Stood, spoken: Spoken) -> ReviewedV1:
    """revision: the one it supersedes, which says `was`."""
    return ReviewedV1(
        inspection=facts.inspection,
        station=facts.station,
        product=facts.product,
        acquisition=facts.acquisition,
        purpose=facts.purpose,
        revision=revision,
        disposition=now.disposition,
        label=now.label,
        who=spoken.who,
        role=spoken.role,
        why=spoken.why,
        looked_ms=spoken.looked_ms,
        supersedes=was.disposition,
        supersedes_label=was.label,
        announced_at=facts.announced_at,
        captured_at=facts.captured_at,
        lot=facts.lot,
        tool=facts.tool,
        serial=facts.serial,
        visit=facts.visit,
        previous=facts.previous,
    )


def record_of_label(label: LabelV1) -> Record:
    return record_of(label, id=label.id, station=label.station, subject=label.inspection, time=label.answered_at)


def record_of_taxonomy(taxonomy: TaxonomyV1, at: datetime) -> Record:
    """A version under its digest: nothing is put in force by it."""
    key = digest(taxonomy)
    return keyed(taxonomy, id=key, key=key, subject=f"current/{taxonomy.product}", time=at, source=CONSOLE)


def record_of_review(review: ReviewedV1, at: datetime) -> Record:
    id = evidence_id(review.inspection, f"reviewed-{review.revision}-{review.who}")
    return record_of(review, id=id, station=review.station, subject=review.inspection, time=at)
