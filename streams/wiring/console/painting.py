"""Whose mask of which part: what a person may paint now, and the label that a saved mask makes. Knows no page and no pixel.

A mask belongs to a person's own standing answer, where that names a class whose size decides; the new label takes the last one
back and says the same with the mask. Who has said nothing of a part may paint it once it is decided and no longer open: the class
is then the effective one. What was said here a moment ago counts, whether or not the sink has stored it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Protocol

from schemas.common import Disposition, ImageRef, digest
from schemas.envelope import Record
from schemas.label import LabelV1, Opinion, Role, label_id
from schemas.policy import PolicyV1
from schemas.taxonomy import TaxonomyV1
from streams.review import docket as dockets
from streams.review import words
from streams.review.claims import OPINIONS
from streams.review.docket import Docket, Spoken
from streams.review.labels import Shelf, last_words, shelve
from streams.review.masks import Painted, mask_of, with_mask
from streams.review.words import Facts, Told
from streams.wiring.console.reviews import Filed, Reviews, facts_of, micros

GONE = "Nothing is known of this part any more."
STALE = (
    "You have said something else of this part since this page was loaded, perhaps in another tab. Nothing was changed: load the "
    "page again."
)
_OPEN = "This part is not decided yet, and you have not answered it: decide it first, on the page Queue."
_CHALLENGE = "The answer to this part is known: it is a challenge, so nothing is learned from it."
_NO_IMAGE = "No evidence names an image of this part, so there is nothing to paint on."
_NO_POLICY = "The policy of this part's verdict is not in the database, so nobody can say whether its size decides."
_NO_CLASS = "No class of defect is said of this part, so there is nothing to paint."


class Leased(Filed, Protocol):
    """With all that it is filed with again."""

    @property
    def state(self) -> str: ...
    @property
    def held_until_ms(self) -> int | None: ...


class Desk(Protocol):
    """One transaction of the console's database; see the adapter. All raise Unavailable."""

    def find(self, inspection: str) -> Leased | None: ...
    def file(self, inspection: str, state: str, lease: tuple[str, int] | None, data: str) -> None: ...
    def send(self, records: Sequence[Record]) -> None: ...
    def masked(self, inspection: str) -> Sequence[LabelV1]: ...
    def keep_masked(self, label: LabelV1) -> None: ...


class Desks(Protocol):
    def change(self, now_us: int) -> AbstractContextManager[Desk]: ...
    def look(self) -> AbstractContextManager[Desk]: ...


class Parts(Protocol):
    """The sink's database. All raise Unavailable."""

    def standing(self, inspection: str) -> Any | None: ...
    def labels_of(self, inspections: Sequence[str]) -> Mapping[str, Sequence[LabelV1]]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What a person may paint. label: the class, name: as it is called today. said: their standing label, or the one that the
    mask will make; base: the label that it takes back. stands: what the part gets, as far as is known here. images: of the views
    that the label is of; the copy beside a mask, where there is one. view: that an answer in the queue is of; None: of the part.
    taxonomy: to be sent with the first label that names it; None: it was.
    """

    part: Any
    stands: Disposition
    label: str
    name: str
    said: LabelV1
    base: str | None
    policy: PolicyV1
    images: Mapping[str, ImageRef]
    view: str | None
    taxonomy: TaxonomyV1 | None = None

    @property
    def inspection(self) -> str:
        return str(self.part.inspection)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a form says: the label that it takes back (empty: none) and the class, as the page was drawn."""

    inspection: str
    base: str
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Own:
    """A person's last word of a part: its id, and what it says where it stands. fresh: nobody has sent its taxonomy yet. docket:
    of the part.
    """

    docket: Docket | None
    id: str | None
    said: LabelV1 | None
    fresh: bool = False


class Masks:
    """said: labels of namings that were sent from here. Every method may be called from any thread, and raises Unavailable."""

    def __init__(
        self, parts: Parts, desk: Desks, reviews: Reviews, said: Callable[[Sequence[str]], Mapping[str, Sequence[LabelV1]]]
    ) -> None:
        self._parts, self._desk, self._reviews, self._said = parts, desk, reviews, said

    def subject(self, inspection: str, who: str, role: Role, now: datetime) -> Subject | str:
        """A text for the person where there is nothing to paint."""
        with self._desk.look() as desk:
            return self._subject(desk, inspection, who, role, now)

    def answered(self, inspection: str, who: str) -> bool:
        """Whether their answer of it in the queue names a class whose size decides. Cheap where it does not."""
        with self._desk.look() as desk:
            docket = _docket(desk, inspection)
        spoken = None if docket is None else _spoken(docket, who)[1]
        part = None if spoken is None or spoken.label is None else self._parts.standing(inspection)
        if part is None or spoken is None or spoken.label is None:
            return False
        return words.sized(spoken.label, self._reviews.versions.policy(part.policy))

    def save(self, wanted: Wanted, painted: Painted, who: str, role: Role, now: datetime) -> LabelV1 | str:
        """The label that was sent, or that this very form has sent before; a text for the person where nothing was changed."""
        with self._desk.change(micros(now)) as desk:
            subject = self._subject(desk, wanted.inspection, who, role, now)
            if isinstance(subject, str):
                return f"{subject} Nothing was changed."
            if (subject.base or "", subject.label) != (wanted.base, wanted.label):
                return subject.said if _is_copy(subject, wanted, painted, who) else STALE
            label = with_mask(subject.said, painted, subject.base, who, role, now)
            taxonomy = [] if subject.taxonomy is None else [words.record_of_taxonomy(subject.taxonomy, now)]
            desk.send([*taxonomy, words.record_of_label(label)])
            desk.keep_masked(label)
            if label.view == subject.view:
                _follow(desk, label)
        return label

    def shown(self, inspection: str) -> list[LabelV1]:
        """Labels with a mask that stand, of anybody."""
        with self._desk.look() as desk:
            known, docket = self._known(desk, inspection), _docket(desk, inspection)
        ids, tails = {one.id for one in known}, {} if docket is None else docket.tails
        later = {(who, _chain(tail)) for who, tail in tails.items() if tail not in ids}  # said since, without a mask
        standing = [one for one in shelve(Shelf(), known).standing() if any(view.mask for view in one.views)]
        return [one for one in standing if (one.who, _chain(one.id)) not in later]

    # ---------------------------------------------------------------- what somebody has said
    def _subject(self, desk: Desk, inspection: str, who: str, role: Role, now: datetime) -> Subject | str:
        part = self._parts.standing(inspection)
        if part is None or part.acquisition is None:
            return GONE
        facts = facts_of(part, self._reviews.images(part))
        policy, taxonomy = self._reviews.rules(part)
        if not facts.images:
            return _NO_IMAGE
        if policy is None:
            return _NO_POLICY
        own = self._own(desk, facts, taxonomy, who, now)
        if own.said is None:
            found = _of_verdict(part, facts, taxonomy, who, role, now)
            if isinstance(found, str):
                return found
            own = replace(own, said=found, fresh=True)
        return _subject(part, facts, policy, taxonomy, own)

    def _own(self, desk: Desk, facts: Facts, taxonomy: TaxonomyV1 | None, who: str, now: datetime) -> _Own:
        known, docket = self._known(desk, facts.inspection), _docket(desk, facts.inspection)
        tail = None if docket is None else docket.tails.get(who)
        if docket is not None and tail is not None and tail not in {one.id for one in known}:
            return _Own(docket=docket, id=tail, said=_of_docket(docket, facts, taxonomy, who, now))
        lasts = last_words(known, who)
        standing = [one for one in lasts.values() if one.answer is not None]
        if standing:
            said = max(standing, key=lambda one: one.answered_at)
            return _Own(docket=docket, id=said.id, said=said)
        last = lasts.get(facts.view)
        return _Own(docket=docket, id=None if last is None else last.id, said=None)

    def _known(self, desk: Desk, inspection: str) -> list[LabelV1]:
        """What is stored, and what was sent from here and is perhaps not stored yet."""
        stored, named = self._parts.labels_of([inspection]), self._said([inspection])
        return [*stored.get(inspection, ()), *named.get(inspection, ()), *desk.masked(inspection)]


def _subject(part: Any, facts: Facts, policy: PolicyV1, taxonomy: TaxonomyV1 | None, own: _Own) -> Subject | str:
    said = own.said
    assert said is not None
    if said.answer != "defect" or said.label is None:
        word = "a defect without a class" if said.answer == "defect" else said.answer
        return f"You have said of this part: {word}. A mask belongs to a class of defects whose size decides."
    found = None if taxonomy is None else taxonomy.find(said.label)
    name = said.label if found is None else found.name
    if not words.sized(said.label, policy):
        return f"The size of {name} does not decide in the policy “{policy.title}”, so no mask of it is needed."
    return Subject(
        part=part,
        stands=_stands(part, own.docket, said.who),
        label=said.label,
        name=name,
        said=said,
        base=own.id,
        policy=policy,
        images={one.view: one.image if one.mask else facts.images[one.view] for one in said.views if one.view in facts.images},
        view=facts.view,
        taxonomy=taxonomy if own.fresh else None,
    )


def _stands(part: Any, docket: Docket | None, who: str) -> Disposition:
    """A decision of ours may not have come back in the log yet. Of a challenge: what it would be, as it is told of none."""
    found: Disposition = part.disposition
    spoken = None if docket is None else _spoken(docket, who)[1]
    if docket is not None and docket.shown == "challenge" and spoken is not None:
        return spoken.becomes or found
    return docket.stands.disposition if docket is not None and docket.case.revision > part.revision else found


def _of_docket(docket: Docket, facts: Facts, taxonomy: TaxonomyV1 | None, who: str, now: datetime) -> LabelV1 | None:
    """What they have just said in the queue, as the queue has sent it; None: they took it back."""
    opinion, spoken = _spoken(docket, who)
    if spoken is None:
        return None
    told = Told(
        opinion=opinion,
        shown="request" if spoken is docket.overruled else docket.shown,
        withdraws=None,
        taxonomy=None if taxonomy is None or spoken.label is None else digest(taxonomy),
        at=now,
    )
    return words.label_of(facts, spoken, told)


def _spoken(docket: Docket, who: str) -> tuple[Opinion, Spoken | None]:
    """Their answer that stands, and which opinion it is."""
    if docket.overruled is not None and docket.overruled.who == who:
        return "third", docket.overruled
    return next(((OPINIONS[n], one) for n, one in enumerate(docket.spoken) if one.who == who), ("first", None))


def _of_verdict(part: Any, facts: Facts, taxonomy: TaxonomyV1 | None, who: str, role: Role, now: datetime) -> LabelV1 | str:
    """The effective class as this person's own word."""
    if part.purpose == "challenge":
        return _CHALLENGE
    if part.is_open:
        return _OPEN
    known = None if taxonomy is None or part.label is None else taxonomy.find(part.label)
    if taxonomy is None or known is None or known.state != "active":
        return _NO_CLASS
    spoken = Spoken(who=who, role=role, answer="defect", label=part.label, revision=part.revision, looked_ms=0)
    told = Told(opinion="first", shown="request", withdraws=None, taxonomy=digest(taxonomy), at=now)
    return words.label_of(facts, spoken, told) or _NO_IMAGE


def _is_copy(subject: Subject, wanted: Wanted, painted: Painted, who: str) -> bool:
    """This form was sent before, by a double click or a second try."""
    made, kept = label_id(wanted.inspection, subject.said.view, who, wanted.base or None), mask_of(subject.said, painted.view)
    return subject.base == made and kept is not None and kept.sha256 == painted.mask.sha256


def _chain(id: str) -> str:
    """Of a label's id: what is the same in all that one person says of a view, or of the part."""
    return id.rpartition("/")[0]


def _docket(desk: Desk, inspection: str) -> Docket | None:
    filed = desk.find(inspection)
    return None if filed is None else dockets.load(filed.data)


def _follow(desk: Desk, label: LabelV1) -> None:
    """Their next answer of the part, or its undoing, takes this label back."""
    filed = desk.find(label.inspection)
    if filed is None:
        return
    found = dockets.load(filed.data)
    lease = None if filed.held_by is None or filed.held_until_ms is None else (filed.held_by, filed.held_until_ms)
    after = replace(found, tails={**found.tails, label.who: label.id})
    desk.file(filed.inspection, filed.state, lease, dockets.dump(after))
