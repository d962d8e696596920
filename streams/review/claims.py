"""Who may look at a part now, and what its opinions amount to: leases, stale forms, second and third looks. Pure; knows no page.

* One person at a time has a part, for as long as the lease lasts; then anybody may take it.
* One opinion a person. A share of the parts, drawn by a hash, gets a blind second look; so does what the first was unsure of.
* Two that differ go to a third person. Two of three that agree decide; where none do, an engineer has to.
* A form names the revision and the opinion that it was made for. What became stale is refused, and nothing is lost by it.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from schemas.label import Answer, Opinion

OPINIONS: tuple[Opinion, ...] = ("first", "second", "third")
Refusal = Literal["closed", "held_by_another", "already_answered", "stale", "not_yours"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """One person's opinion. label: the class, of a defect."""

    who: str
    answer: Answer
    label: str | None = None

    @property
    def meaning(self) -> tuple[Answer, str | None]:
        return self.answer, self.label


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    who: str
    until_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One open part. revision: the effective one; since: the first one after which only our own answers made new ones.

    twice: drawn for a second look. said: in their order. closed: nobody is asked any more.
    """

    inspection: str
    revision: int
    since: int
    twice: bool = False
    said: tuple[Said, ...] = ()
    lease: Lease | None = None
    closed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """What an answer was made for: as it was when the page was drawn."""

    who: str
    revision: int
    opinion: Opinion


def open_case(inspection: str, revision: int, second_share: float) -> Case:
    return Case(inspection=inspection, revision=revision, since=revision, twice=drawn_for_second(inspection, second_share))


def drawn_for_second(inspection: str, share: float) -> bool:
    """Whether this part gets a blind second look: by a hash of its id, another one than that of the audit."""
    drawn = int.from_bytes(hashlib.blake2b(inspection.encode(), digest_size=8, person=b"second").digest(), "big")
    return drawn < share * 2**64


def wanted(case: Case) -> Opinion | None:
    """The opinion that is asked for next; None: none, it is decided, or nobody could agree."""
    said = case.said
    if case.closed or len(said) >= len(OPINIONS):
        return None
    if not said:
        return "first"
    if len(said) == 1:
        return "second" if case.twice or said[0].answer == "unsure" else None
    return "third" if said[0].meaning != said[1].meaning or said[0].answer == "unsure" else None


def decided(case: Case) -> Said | None:
    """The opinion that counts, as the first who gave it said it; None: not yet, or never."""
    if not case.said or wanted(replace(case, closed=False)) is not None:
        return None
    meaning, n = Counter(one.meaning for one in case.said).most_common(1)[0]
    if meaning[0] == "unsure" or (len(case.said) > 1 and n < 2):
        return None
    return next(one for one in case.said if one.meaning == meaning)


def contested(case: Case) -> bool:
    """Everybody was asked and no two agree: an engineer decides."""
    return not case.closed and bool(case.said) and wanted(case) is None and decided(case) is None


def refused(case: Case, who: str, now_ms: int) -> Refusal | None:
    """Why this person cannot take the part now."""
    if any(one.who == who for one in case.said):
        return "already_answered"
    if wanted(case) is None:
        return "closed"
    return "held_by_another" if _held(case, now_ms) not in (None, who) else None


def take(case: Case, who: str, now_ms: int, lease_ms: int) -> tuple[Case, Form] | Refusal:
    """The part is theirs until the lease ends. A second tab of the same person gets the same form, and the lease anew."""
    refusal, opinion = refused(case, who, now_ms), wanted(case)
    if refusal is not None or opinion is None:
        return refusal or "closed"
    lease = Lease(who=who, until_ms=now_ms + lease_ms)
    return replace(case, lease=lease), Form(who=who, revision=case.revision, opinion=opinion)


def release(case: Case, who: str) -> Case:
    """They put it back. Somebody else's lease stays."""
    return replace(case, lease=None) if case.lease is not None and case.lease.who == who else case


def answer(case: Case, form: Form, said: Answer, label: str | None, now_ms: int) -> Case | Refusal:
    """Their opinion. A lease that ran out does no harm as long as nobody else has taken the part, or answered first."""
    if form.revision < case.since or form.revision > case.revision:
        return "stale"
    refusal = refused(case, form.who, now_ms)
    if refusal is not None:
        return refusal
    if form.opinion != wanted(case):
        return "stale"
    return replace(case, said=(*case.said, Said(who=form.who, answer=said, label=label)), lease=None)


def undo(case: Case, who: str, now_ms: int) -> Case | Refusal:
    """Take back one's own opinion: only the last one, and while nobody looks at the part for the next. Whoever came after has
    relied on it having been given.
    """
    if case.closed:
        return "closed"
    if not case.said or case.said[-1].who != who:
        return "not_yours" if all(one.who != who for one in case.said) else "stale"
    if _held(case, now_ms) not in (None, who):
        return "held_by_another"
    return replace(case, said=case.said[:-1])


def revised(case: Case, revision: int, ours: bool) -> Case:
    """A new effective revision. ours: an answer of this case made it, so that open forms still say what is so."""
    if revision <= case.revision:
        return case
    return replace(case, revision=revision, since=case.since if ours else revision)


def close(case: Case) -> Case:
    """Nobody is asked any more: decided elsewhere, or an engineer has decided. Open forms are refused."""
    return replace(case, closed=True, lease=None)


def free_for(cases: Sequence[Case], who: str, now_ms: int) -> list[Case]:
    """Those that this person may take now, in the given order."""
    return [case for case in cases if refused(case, who, now_ms) is None]


def _held(case: Case, now_ms: int) -> str | None:
    return case.lease.who if case.lease is not None and now_ms < case.lease.until_ms else None
