"""From a named cluster to labels, and back: what is proposed, when its labels go out, and what undoing takes back. Knows no page.

A class that exists: its labels go out at once. A new one: a reviewer proposes it, and its labels go out once an engineer has
accepted it; an engineer adds it with the naming. What a member's proposer has said of it since, stays.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from schemas.common import digest
from schemas.label import LabelledViewV1, LabelV1, Role
from schemas.taxonomy import ClassProposalV1
from streams.review import changes
from streams.review.clusters import applied, undone
from streams.review.labels import Shelf, last_of, shelve
from streams.wiring.console.ports import Ports
from streams.wiring.console.reviews import DECIDERS
from streams.wiring.console.standing import Standing, standing

NO_REASON = "taken back"


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What somebody said of a cluster. label: of a class that exists; name: of a new one. looked_ms: at each doubtful member."""

    label: str | None
    name: str | None
    why: str
    borderline: tuple[str, ...]
    left_out: frozenset[str]
    looked_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Who:
    name: str
    role: Role


def name_cluster(ports: Ports, group: Any, choice: Choice, who: Who, now: datetime) -> str:
    """The proposal's id. Raises ValueError with a text for the person: then nothing was changed."""
    classes = classes_of(ports, group.product)
    members = tuple(one.inspection for one in group.cluster.members if one.inspection not in choice.left_out)
    _check(ports, classes, choice, members)
    proposal = ClassProposalV1(
        product=group.product,
        taxonomy=classes.digest,
        label=choice.label,
        name=None if choice.name is None else changes.added(classes.taxonomy, choice.name).classes[-1].name,
        members=members,
        borderline=tuple(one for one in choice.borderline if one in set(members)),
        left_out=tuple(sorted(choice.left_out)),
        who=who.name,
        why=choice.why,
        proposed_at=now,
    )
    drafts = _drafts(ports, proposal, group.views, who, choice.looked_ms)
    ports.namings.name(proposal, group.cluster.id, drafts, now)
    if proposal.label is not None:
        _apply(ports, proposal, proposal.label, classes.digest, now)
    elif who.role in DECIDERS:
        _add_class(ports, proposal, classes, now)
    return proposal.id


def settle(ports: Ports, now: datetime) -> int:
    """Send the labels of those whose class was accepted, free the members of those that were rejected; how many of both."""
    waiting = ports.namings.waiting()
    products = {found.proposal.product for found in waiting}
    fates = {one.id: one for product in products for one in ports.questions.proposals(product)}
    done = 0
    for found in waiting:
        try:
            done += _settled(ports, found.proposal, fates.get(found.id), now)
        except ValueError:  # undone in this moment, or its product is gone: it is looked at again
            continue
    return done


def undo(ports: Ports, id: str, who: str, why: str, now: datetime) -> ClassProposalV1:
    """The proposal as withdrawn. Raises ValueError with a text for the person: then nothing was changed."""
    found = ports.namings.find(id)
    if found is None:
        raise ValueError("Nothing of that kind was named here.")
    proposal = found.proposal
    if proposal.who != who:
        raise ValueError(f"{proposal.who} has named this: nobody can take back what somebody else has said.")
    said = _said(ports, proposal.members)
    standing = [one for labels in said.values() for one in shelve(Shelf(), labels).standing()]
    withdrawn, labels = undone(proposal, standing, now)
    ports.namings.undo(withdrawn, labels, why or NO_REASON, now)
    return withdrawn


def classes_of(ports: Ports, product: str) -> Standing:
    """Raises ValueError."""
    found = standing(ports, product)
    if found is None:
        raise ValueError(f"No model set and no policy of {product} is in force, so it has no classes.")
    return found


def _check(ports: Ports, classes: Standing, choice: Choice, members: Sequence[str]) -> None:
    """Raises ValueError."""
    if (choice.label is None) == (choice.name is None):
        raise ValueError("Choose a class, or write the name of a new one: one of the two.")
    known = None if choice.label is None else classes.taxonomy.find(choice.label)
    if choice.label is not None and (known is None or known.state != "active"):
        raise ValueError("There is no such class any more.")
    if choice.label is not None and not classes.written:
        raise ValueError("Nobody has written down the classes yet: an engineer does that on the page Classes.")
    if not members:
        raise ValueError("Every member was taken out, so there is nothing to name.")
    if (gone := len(members) - len(ports.unknowns.still_unknown(members))) > 0:
        raise ValueError(f"{gone} of these parts were answered meanwhile, so this cluster is not what you have seen. Look again.")


def _drafts(ports: Ports, proposal: ClassProposalV1, views: Mapping[str, str], who: Who, looked_ms: int) -> list[LabelV1]:
    """Raises ValueError."""
    about = ports.questions.members(proposal.members)
    missing = [one for one in proposal.members if one not in about or views[one] not in about[one].views]
    if missing:
        raise ValueError(
            f"The database has no evidence any more of {len(missing)} parts, {missing[0]} is the first: take them out."
        )
    return [_draft(about[one], views[one], proposal, who, looked_ms) for one in proposal.members]


def _draft(member: Any, view: str, proposal: ClassProposalV1, who: Who, looked_ms: int) -> LabelV1:
    names = ("inspection", "station", "product", "lot", "serial", "purpose", "acquisition", "revision")
    return LabelV1(
        **{name: getattr(member, name) for name in names},
        of="view",
        views=(LabelledViewV1(view=view, image=member.views[view].image),),
        answer="unsure",
        who=who.name,
        role=who.role,
        looked_ms=looked_ms,
        answered_at=proposal.proposed_at,
    )


def _add_class(ports: Ports, proposal: ClassProposalV1, classes: Standing, now: datetime) -> None:
    """As an engineer does on the page Classes, with the naming. Where somebody was faster with another act it waits there."""
    version = changes.added(classes.taxonomy, proposal.name or "")
    versions = [version] if classes.written else [classes.taxonomy, version]
    try:
        ports.taxonomies.publish(versions, who=proposal.who, why=proposal.why, now=now, accepts=proposal.id)
    except ValueError:
        return
    _apply(ports, proposal, version.acts[-1].into[0], digest(version), now)


def _settled(ports: Ports, proposal: ClassProposalV1, found: Any | None, now: datetime) -> bool:
    if found is None or found.fate not in ("accepted", "rejected"):
        return False
    if found.fate == "rejected":
        ports.namings.reject(proposal.id)
        return True
    version = classes_of(ports, proposal.product).versions.get(found.version)
    if version is None or not version.acts or version.acts[-1].act != "add":
        return False
    _apply(ports, proposal, version.acts[-1].into[0], found.version, now)
    return True


def _apply(ports: Ports, proposal: ClassProposalV1, label: str, taxonomy: str, now: datetime) -> None:
    said, drafts = _said(ports, proposal.members), ports.namings.drafts(proposal.id)
    before = {one: last_of(said.get(one, ()), proposal.who) for one in proposal.members}
    chained = {one: _after(drafts[one], before[one]) for one in proposal.members}
    kept = {one for one, last in before.items() if last is not None and _answered(last, proposal)}
    labels = [one for one in applied(proposal, label, taxonomy, chained, now) if one.inspection not in kept]
    ports.namings.apply(proposal.id, label, taxonomy, labels, now)


def _after(draft: LabelV1, before: LabelV1 | None) -> LabelV1:
    """It takes back the last word of the same person, and is of the same views."""
    if before is None:
        return draft
    views = tuple(one.model_copy(update={"mask": None}) for one in before.views)
    return draft.model_copy(update={"of": before.of, "views": views, "withdraws": before.id})


def _answered(last: LabelV1, proposal: ClassProposalV1) -> bool:
    """A word given after the naming counts more than it."""
    return last.answer is not None and last.answered_at > proposal.proposed_at


def _said(ports: Ports, members: Sequence[str]) -> dict[str, list[LabelV1]]:
    """Stored labels first, then what was sent from here and is perhaps not stored yet."""
    stored, sent = ports.questions.labels_of(members), ports.namings.said(members)
    return {one: [*stored.get(one, ()), *sent.get(one, ())] for one in members}
