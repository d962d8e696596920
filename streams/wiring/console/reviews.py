"""The reviews of one console: what waits, who gets what next, and what an answer changes. Knows no page and no database driver.

The order is kept in memory, of everything that is open; who has a part and what was said lies in the console's database, in one
transaction with what it sends, and decides: memory only saves asking. A person has two parts at a time, the one to look at and
the next one, so that its images are there already. Now and then one of them is a challenge (`challenges.py`): an answer to it is
a label and decides nothing, and who answers cannot tell.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Protocol

from schemas.common import Disposition, ImageRef, digest
from schemas.envelope import Record, to_millis
from schemas.evidence import InstanceV1
from schemas.label import Answer, LabelV1, Opinion, Role, Shown
from schemas.model_set import ModelSetV1
from schemas.policy import PolicyV1
from schemas.taxonomy import TaxonomyV1
from streams.review import docket as dockets
from streams.review import words
from streams.review.blind import audit_now, is_blind_look
from streams.review.claims import OPINIONS, Refusal, wanted
from streams.review.docket import Docket, Spoken, Stood
from streams.review.labels import last_words
from streams.review.words import Facts, Told
from streams.wiring.console.challenges import Challenges
from streams.wiring.console.versions import Versions
from streams.wiring.console.waiting import Room

LEASE_MS, LATER_MS = 300_000, 1000
SKIPPED_FOR = timedelta(minutes=10)
UNDO_FOR = timedelta(hours=1)
BLIND_SHARE = 0.1
REVIEWERS: frozenset[Role] = frozenset(("reviewer", "engineer", "admin"))
DECIDERS: frozenset[Role] = frozenset(("engineer", "admin"))
_TRIES = 50
_MOST_MS = 3_600_000


class Filed(Protocol):
    """A docket as it lies in the database."""

    @property
    def inspection(self) -> str: ...
    @property
    def held_by(self) -> str | None: ...
    @property
    def data(self) -> str: ...


class Given(Protocol):
    @property
    def number(self) -> int: ...
    @property
    def inspection(self) -> str: ...
    @property
    def at_us(self) -> int: ...


class Desk(Protocol):
    """One transaction of the console's database; see the adapter. All raise Unavailable."""

    def find(self, inspection: str) -> Filed | None: ...
    def held(self, who: str) -> Sequence[Filed]: ...
    def file(self, inspection: str, state: str, lease: tuple[str, int] | None, data: str) -> None: ...
    def send(self, records: Sequence[Record]) -> None: ...
    def note(self, who: str, inspection: str) -> int: ...
    def last(self, who: str) -> Given | None: ...
    def strike(self, number: int) -> None: ...
    def masked(self, inspection: str) -> Sequence[LabelV1]: ...


class Dockets(Protocol):
    def change(self, now_us: int) -> AbstractContextManager[Desk]: ...
    def look(self) -> AbstractContextManager[Desk]: ...
    def answered(self, who: str, since_us: int) -> int: ...


class Parts(Protocol):
    """The sink's database. All raise Unavailable."""

    def standing(self, inspection: str) -> Any | None: ...
    def policy(self, digest: str) -> PolicyV1 | None: ...
    def model_set(self, digest: str) -> ModelSetV1 | None: ...
    def viewed(self, inspection: str) -> Any: ...
    def taxonomy(self, product: str) -> Any | None: ...
    def labels_of(self, inspections: Sequence[str]) -> Mapping[str, Sequence[LabelV1]]: ...


class Classes(Protocol):
    """What was put in force here and is perhaps not stored yet: versions after the stored one, in order. Raises Unavailable."""

    def ahead(self, product: str, stored: str | None) -> Sequence[TaxonomyV1]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A part that somebody has. part: as it stands. blind: show pictures only. contested: what others said, for an engineer."""

    part: Any
    revision: int
    opinion: Opinion
    blind: bool
    contested: tuple[Spoken, ...] = ()

    @property
    def inspection(self) -> str:
        return str(self.part.inspection)


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """What a person sent. revision, opinion: as the page was drawn. chosen: rework or scrap, where that is theirs to choose.
    looked_ms: as the browser measured it, None: it did not.
    """

    inspection: str
    revision: int
    opinion: Opinion
    answer: Answer
    label: str | None
    chosen: Disposition | None
    looked_ms: int | None
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """number: of the answer, for undoing it. decided: what the part gets, or would get, were it no challenge; None: another
    person is asked, or nothing changed.
    """

    inspection: str
    number: int
    decided: Disposition | None


Fault = Refusal | str


class Reviews:
    """Every method may be called from any thread, and raises Unavailable."""

    def __init__(
        self,
        parts: Parts,
        desk: Dockets,
        classes: Classes,
        room: Room,
        second_share: Callable[[], float],
        challenges: Challenges,
    ) -> None:
        self.challenges = challenges
        self._parts, self._desk, self._classes = parts, desk, classes
        self.versions = Versions(parts)
        self.room, self._second_share = room, second_share
        self._lock = threading.Lock()
        self._served: dict[tuple[str, str], int] = {}
        self._published: set[str] = set()

    def hear(self, filed: Sequence[str], now: datetime) -> None:
        """Dockets as they lie in the database."""
        for data in filed:
            self.room.heard(dockets.load(data), to_millis(now))

    # ---------------------------------------------------------------- handing out
    def hand(self, who: str, role: Role, now: datetime, first: str | None = None) -> tuple[Held, ...]:
        """The part to look at and the one after it; fewer where nothing is left. first: this one before what they have."""
        with self._desk.look() as desk:
            mine = [filed.inspection for filed in desk.held(who)]
        order = [first, *(one for one in mine if one != first)] if first else mine
        held: list[Held] = []
        for inspection in order:
            one = self._seat(inspection, who, role, len(held), now) if len(held) < 2 else None
            if one is None:
                self.put_back(inspection, who, now)
            else:
                held.append(one)
        while len(held) < 2 and (another := self._another(who, role, len(held), now)) is not None:
            held.append(another)
        return tuple(held)

    def _another(self, who: str, role: Role, seat: int, now: datetime) -> Held | None:
        audit = self._audit_now(who, now)
        for _ in range(_TRIES):
            found = self.room.next(who, role in DECIDERS, audit, now)
            if found is None:
                return None
            challenge = self.challenges.instead(found, who, now)
            if challenge is not None and (held := self._seat(challenge, who, role, seat, now)) is not None:
                return held
            held = self._seat(found, who, role, seat, now)
            if held is not None:
                self.room.shown(found)
                return held
            self.room.pass_by(found, who, now)
        return None

    def _audit_now(self, who: str, now: datetime) -> bool:
        day = now.date().isoformat()
        if (who, day) not in self._served:
            midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
            self._served = {key: n for key, n in self._served.items() if key[1] == day}
            self._served[who, day] = self._desk.answered(who, micros(midnight))
        with self._lock:
            self._served[who, day] += 1
        reviews, audits = self.room.waiting()
        return audit_now(who, day, self._served[who, day], audits, reviews)

    def _seat(self, inspection: str, who: str, role: Role, seat: int, now: datetime) -> Held | None:
        """Theirs for the length of a lease; None: it is not open, or somebody else has it."""
        part = self._parts.standing(inspection)
        if part is None or part.acquisition is None:
            self.room.remove(inspection)
            return None
        now_ms = to_millis(now)
        with self._desk.change(micros(now)) as desk:
            found = self._docket(desk.find(inspection), part)
            if found is None:
                self.room.remove(inspection)
                return None
            lease_ms = LEASE_MS + seat * LATER_MS
            contested = found.is_contested
            take = dockets.take_contested if contested and role in DECIDERS else dockets.take
            taken = take(found, who, now_ms, lease_ms)
            if isinstance(taken, str):
                self.room.heard(found, now_ms)
                return None
            self._file(desk, taken[0])
        self.room.heard(taken[0], now_ms)
        form = taken[1]
        return Held(
            part=part,
            revision=form.revision,
            opinion=form.opinion,
            blind=not contested and is_blind_look(inspection, found.shown, form.opinion, BLIND_SHARE),
            contested=found.spoken if contested else (),
        )

    def _docket(self, filed: Filed | None, part: Any) -> Docket | None:
        """With what the log says; None: the part is not open, whatever anybody thought. A challenge is, once it was given."""
        stands = Stood(disposition=part.disposition, label=part.label)
        if filed is None:
            shown: Shown = "audit" if part.disposition == "pass" else "review"
            if not part.is_open or part.purpose == "challenge":
                return None
            return dockets.open_docket(part.inspection, part.revision, stands, shown, self._second_share())
        known = dockets.load(filed.data)
        found = dockets.met(known, part.revision, stands)
        return found if part.is_open or found is known else None

    def keeps_blind(self, inspection: str, who: str) -> bool:
        """Whether this person has it to look at without help, and has yet to say what it is."""
        with self._desk.look() as desk:
            filed = desk.find(inspection)
        if filed is None or filed.held_by != who:
            return False
        found = dockets.load(filed.data)
        opinion = wanted(found.case)
        return opinion is not None and is_blind_look(inspection, found.shown, opinion, BLIND_SHARE)

    def put_back(self, inspection: str, who: str, now: datetime) -> None:
        with self._desk.change(micros(now)) as desk:
            filed = desk.find(inspection)
            if filed is None or filed.held_by != who:
                return
            found = dockets.release(dockets.load(filed.data), who)
            self._file(desk, found)
        self.room.heard(found, to_millis(now))

    def skip(self, inspection: str, who: str, now: datetime) -> None:
        """Not now: others may have it, and this person is not asked again for ten minutes."""
        self.put_back(inspection, who, now)
        self.room.skip(inspection, who, now + SKIPPED_FOR)

    # ---------------------------------------------------------------- answers
    def answer(self, form: Form, who: str, role: Role, now: datetime) -> Done | Fault:
        part = self._parts.standing(form.inspection)
        if part is None or part.acquisition is None:
            self.room.remove(form.inspection)
            return "gone"
        policy, taxonomy = self.rules(part)
        if form.label is not None and (taxonomy is None or taxonomy.find(form.label) is None):
            return "unknown_class"
        facts = facts_of(part, self.images(part))
        spoken = Spoken(
            who=who,
            role=role,
            answer=form.answer,
            label=form.label,
            becomes=words.becomes(form.answer, form.label, policy, self.measured(part), form.chosen),
            revision=form.revision,
            looked_ms=form.looked_ms or 0,
            why=form.why,
        )
        now_ms, stored = to_millis(now), self._parts.labels_of([form.inspection]).get(form.inspection, ())
        with self._desk.change(micros(now)) as desk:
            found = self._docket(desk.find(form.inspection), part)
            if found is None:
                return "closed"
            found = _chained(found, facts, [*stored, *desk.masked(form.inspection)], who)
            spoken = replace(spoken, looked_ms=looked(form.looked_ms, found, now_ms))
            decides = found.is_contested and role in DECIDERS
            change = dockets.overrule(found, spoken) if decides else dockets.answer(found, form.opinion, spoken, now_ms)
            if isinstance(change, str):
                return _again(found, spoken, change)
            records, tails = self._said(facts, found, change, spoken, "third" if decides else form.opinion, taxonomy, now)
            after = _with(change.docket, tails)
            desk.send(records)
            self._file(desk, after)
            number = desk.note(who, form.inspection)
        self.room.heard(after, now_ms)
        self.challenges.answered(who)
        told = spoken if found.shown == "challenge" else change.decided
        return Done(inspection=form.inspection, number=number, decided=None if told is None else told.becomes)

    def _said(
        self,
        facts: Facts,
        before: Docket,
        change: dockets.Change,
        spoken: Spoken,
        opinion: Opinion,
        taxonomy: TaxonomyV1 | None,
        now: datetime,
    ) -> tuple[list[Record], dict[str, str]]:
        """Records of label and decision, and whose label is whose last one now."""
        told = Told(
            opinion=opinion,
            shown="request" if before.is_contested else before.shown,
            withdraws=before.tails.get(spoken.who),
            taxonomy=None if taxonomy is None or spoken.label is None else digest(taxonomy),
            at=now,
        )
        records, tails = [], dict(before.tails)
        label = words.label_of(facts, spoken, told)
        if label is not None:
            if label.taxonomy is not None and taxonomy is not None and label.taxonomy not in self._published:
                records.append(words.record_of_taxonomy(taxonomy, now))
                self._published.add(label.taxonomy)
            records.append(words.record_of_label(label))
            tails[spoken.who] = label.id
        if change.decided is not None:
            review = words.reviewed_of(facts, before.case.revision, before.stands, change.docket.stands, change.decided)
            records.append(words.record_of_review(review, now))
        return records, tails

    def undo(self, number: int, who: str, role: Role, now: datetime) -> str | Fault:
        """Takes back that answer, if it is this person's last one; the inspection, or why not, after `!`."""
        with self._desk.look() as desk:
            last = desk.last(who)
        if last is None or last.number != number:
            return "!not_last"
        if last.at_us < micros(now - UNDO_FOR):
            return "!too_late"
        part = self._parts.standing(last.inspection)
        if part is None or part.acquisition is None:
            return "!gone"
        facts = facts_of(part, self.images(part))
        with self._desk.change(micros(now)) as desk:
            again = desk.last(who)
            filed = desk.find(last.inspection)
            if again is None or again.number != number or filed is None:
                return "!not_last"
            before = dockets.met(dockets.load(filed.data), part.revision, Stood(disposition=part.disposition, label=part.label))
            change = dockets.undo(before, who, to_millis(now))
            if isinstance(change, str):
                return f"!{change}"
            after = self._take_back(desk, facts, before, change, who, role, now)
            desk.strike(number)
        self.room.reopened(part, after, to_millis(now))
        return last.inspection

    def _take_back(
        self, desk: Desk, facts: Facts, before: Docket, change: dockets.Change, who: str, role: Role, now: datetime
    ) -> Docket:
        mine = before.overruled or before.spoken[-1]
        back = Spoken(who=who, role=role, answer=mine.answer, revision=before.case.revision, looked_ms=0, why="taken back")
        records, tails = [], dict(before.tails)
        if who in tails:
            opinion: Opinion = "third" if before.overruled else OPINIONS[len(before.spoken) - 1]
            shown: Shown = "request" if before.overruled else before.shown
            told = Told(opinion=opinion, shown=shown, withdraws=tails[who], taxonomy=None, at=now)
            label = words.withdrawal_of(facts, back, told)
            if label is not None:
                records.append(words.record_of_label(label))
                tails[who] = label.id
        if change.restored is not None:
            review = words.reviewed_of(facts, before.case.revision, before.stands, change.restored, back)
            records.append(words.record_of_review(review, now))
        after = _with(change.docket, tails)
        desk.send(records)
        self._file(desk, after)
        return after

    def last(self, who: str, now: datetime) -> Given | None:
        """The answer that they could take back."""
        with self._desk.look() as desk:
            found = desk.last(who)
        return None if found is None or found.at_us < micros(now - UNDO_FOR) else found

    # ---------------------------------------------------------------- rules and files
    def rules(self, part: Any) -> tuple[PolicyV1 | None, TaxonomyV1 | None]:
        """Policy of the part's verdict, and its product's classes in force: without any, those that its classifier knows."""
        policy = self.versions.policy(part.policy)
        stored = self._parts.taxonomy(part.product)
        ahead = self._classes.ahead(part.product, None if stored is None else stored.digest)
        if ahead:
            return policy, ahead[-1]
        if stored is not None:
            return policy, stored.taxonomy
        models = self.versions.model_set(part.model_set)
        model = models.model("classification") if models is not None else None
        return policy, None if model is None else words.first_taxonomy(part.product, model.classes)

    def images(self, part: Any) -> dict[str, ImageRef]:
        """View -> where its image lies, as the first evidence says."""
        found: dict[str, ImageRef] = {}
        for seen in self.versions.viewed(part.inspection, part.revision).observed:
            if seen.image is not None:
                found.setdefault(seen.view, seen.image)
        return found

    def measured(self, part: Any) -> dict[str, list[InstanceV1]]:
        """View -> what segmentation found there."""
        seen = self.versions.viewed(part.inspection, part.revision).observed
        return {one.view: list(map(InstanceV1.model_validate, one.instances)) for one in seen if one.stage == "segmentation"}

    @staticmethod
    def _file(desk: Desk, found: Docket) -> None:
        state = "contested" if found.is_contested else ("open" if found.is_open else "decided")
        lease = found.case.lease
        desk.file(found.case.inspection, state, None if lease is None else (lease.who, lease.until_ms), dockets.dump(found))


def _again(found: Docket, spoken: Spoken, refusal: Refusal) -> Fault:
    """A second tab that says the same is none to be told of."""
    same = any((one.who, one.answer, one.label) == (spoken.who, spoken.answer, spoken.label) for one in found.spoken)
    return "copy" if same else ("already_answered" if any(one.who == spoken.who for one in found.spoken) else refusal)


def _chained(found: Docket, facts: Facts, known: Sequence[LabelV1], who: str) -> Docket:
    """What they said of the part elsewhere (a mask, a cluster, long ago) is what their answer takes back, too."""
    last = None if who in found.tails else last_words(known, who).get(facts.view)
    return found if last is None else _with(found, {**found.tails, who: last.id})


def _with(found: Docket, tails: Mapping[str, str]) -> Docket:
    return replace(found, tails=dict(tails))


def looked(measured_ms: int | None, found: Docket, now_ms: int) -> int:
    """How long the image was on the screen: as measured there, but never longer than the person has had the part.

    Without a measure, as long as they have had it. Clocks that were set back give 0.
    """
    lease = found.case.lease
    had_ms = _MOST_MS if lease is None else max(0, min(_MOST_MS, now_ms - (lease.until_ms - LEASE_MS)))
    if measured_ms is None:
        return 0 if lease is None else had_ms
    return min(measured_ms, had_ms)


def facts_of(part: Any, images: Mapping[str, ImageRef]) -> Facts:
    return Facts(
        inspection=part.inspection,
        station=part.station,
        product=part.product,
        purpose=part.purpose,
        acquisition=part.acquisition,
        lot=part.lot,
        tool=part.tool,
        serial=part.serial,
        visit=part.visit,
        previous=part.previous,
        announced_at=part.announced_at,
        captured_at=part.at,
        audit_probability=part.audit_probability,
        images=images,
    )


def micros(time: datetime) -> int:
    return round(time.timestamp() * 1_000_000)
