"""One open part on its way to a decision: who said what, what stands now, and what an answer or its undoing changes. Pure.

`claims` says who may look and what opinions amount to; this adds what becomes of the part. A decision names the revision that
it supersedes and makes the next one, so whoever decides twice knows the number before the log has said it. What the log says
besides makes old opinions old: the part is looked at anew.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from schemas.common import Disposition
from schemas.label import Answer, Opinion, Role, Shown
from streams.review import claims
from streams.review.claims import Case, Form, Lease, Refusal, Said

VERSION = 1
UNKNOWN = "unknown"  # what a verdict calls a kind of defect that has no name


@dataclass(frozen=True, slots=True, kw_only=True)
class Stood:
    """What an effective verdict says."""

    disposition: Disposition
    label: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Spoken:
    """One person's opinion with what it would make of the part. becomes: None of `unsure`. revision: that the form named."""

    who: str
    role: Role
    answer: Answer
    label: str | None = None
    becomes: Disposition | None = None
    revision: int
    looked_ms: int
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Docket:
    """stands: the effective verdict, as far as is known here; before: the one that our decision took the place of (of an answered
    challenge: the one that stands), None: there is no decision of ours. spoken: as `case.said`, in the same order.
    overruled: the engineer's word where no two agreed.
    tails: person -> id of their last label of this part, which their next one takes back.
    """

    case: Case
    shown: Shown
    stands: Stood
    before: Stood | None = None
    spoken: tuple[Spoken, ...] = ()
    overruled: Spoken | None = None
    tails: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_open(self) -> bool:
        """Somebody still has to say something."""
        return self.before is None

    @property
    def is_contested(self) -> bool:
        return self.is_open and claims.contested(self.case)


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What an answer, or its undoing, makes. decided: whose word makes a new revision, which supersedes that of the docket
    before; restored: what stands again because a decision was taken back.
    """

    docket: Docket
    decided: Spoken | None = None
    restored: Stood | None = None


def open_docket(inspection: str, revision: int, stands: Stood, shown: Shown, second_share: float) -> Docket:
    return Docket(case=claims.open_case(inspection, revision, second_share), shown=shown, stands=stands)


def met(docket: Docket, revision: int, stands: Stood) -> Docket:
    """With what the log says now. A revision that we did not make ends what was said before; an older one is old news."""
    case = docket.case
    same = revision == case.revision and stands.disposition == docket.stands.disposition
    if docket.shown == "challenge" or revision < case.revision or same:
        return docket
    fresh = replace(case, revision=revision, since=revision, said=(), lease=None, closed=False)
    return replace(docket, case=fresh, stands=stands, before=None, spoken=(), overruled=None)


def take(docket: Docket, who: str, now_ms: int, lease_ms: int) -> tuple[Docket, Form] | Refusal:
    if docket.before is not None:
        return "closed"
    taken = claims.take(docket.case, who, now_ms, lease_ms)
    return taken if isinstance(taken, str) else (replace(docket, case=taken[0]), taken[1])


def take_contested(docket: Docket, who: str, now_ms: int, lease_ms: int) -> tuple[Docket, Form] | Refusal:
    """For an engineer, who decides alone."""
    lease = docket.case.lease
    if not docket.is_contested:
        return "closed"
    if lease is not None and lease.who != who and now_ms < lease.until_ms:
        return "held_by_another"
    case = replace(docket.case, lease=Lease(who=who, until_ms=now_ms + lease_ms))
    return replace(docket, case=case), Form(who=who, revision=case.revision, opinion="third")


def release(docket: Docket, who: str) -> Docket:
    return replace(docket, case=claims.release(docket.case, who))


def answer(docket: Docket, opinion: Opinion, spoken: Spoken, now_ms: int) -> Change | Refusal:
    """Their opinion; and the decision, where it is the one that makes it."""
    if docket.before is not None:
        return "closed"
    form = Form(who=spoken.who, revision=spoken.revision, opinion=opinion)
    case = claims.answer(docket.case, form, spoken.answer, spoken.label, now_ms)
    if isinstance(case, str):
        return case
    docket = replace(docket, case=case, spoken=(*docket.spoken, spoken))
    if docket.shown == "challenge":
        return Change(docket=replace(docket, before=docket.stands))
    said = claims.decided(case)
    if said is None:
        return Change(docket=docket)
    return _decide(docket, next(one for one in docket.spoken if one.who == said.who))


def overrule(docket: Docket, spoken: Spoken) -> Change | Refusal:
    """An engineer decides where no two agree."""
    if not docket.is_contested:
        return "closed"
    if spoken.revision != docket.case.revision:
        return "stale"
    return _decide(replace(docket, case=claims.close(docket.case), overruled=spoken), spoken)


def undo(docket: Docket, who: str, now_ms: int) -> Change | Refusal:
    """Take back the last opinion, and the decision with it."""
    if docket.overruled is not None:
        if docket.overruled.who != who:
            return "stale"
        return _restore(replace(docket, case=replace(docket.case, closed=False), overruled=None))
    case = claims.undo(docket.case, who, now_ms)
    if isinstance(case, str):
        return case
    docket = replace(docket, case=case, spoken=docket.spoken[:-1])
    return Change(docket=replace(docket, before=None)) if docket.shown == "challenge" else _restore(docket)


def _decide(docket: Docket, spoken: Spoken) -> Change:
    """`unsure` decides nothing, so becomes is there."""
    assert spoken.becomes is not None
    label = UNKNOWN if spoken.answer == "defect" and spoken.label is None else spoken.label
    stands = Stood(disposition=spoken.becomes, label=label)
    case = claims.revised(docket.case, docket.case.revision + 1, ours=True)
    return Change(docket=replace(docket, case=case, stands=stands, before=docket.stands), decided=spoken)


def _restore(docket: Docket) -> Change:
    before = docket.before
    if before is None:
        return Change(docket=docket)
    case = claims.revised(docket.case, docket.case.revision + 1, ours=True)
    return Change(docket=replace(docket, case=case, stands=before, before=None), restored=before)


def dump(docket: Docket) -> str:
    return json.dumps({"v": VERSION, **asdict(docket)}, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def load(text: str) -> Docket:
    """Raises ValueError for text of another version of this program."""
    data: dict[str, Any] = json.loads(text)
    if data.pop("v", None) != VERSION:
        raise ValueError(f"a docket of another version: this program reads version {VERSION}")
    case = data["case"]
    lease = None if case["lease"] is None else Lease(**case["lease"])
    said = tuple(Said(**one) for one in case["said"])
    return Docket(
        case=Case(**{**case, "lease": lease, "said": said}),
        shown=data["shown"],
        stands=Stood(**data["stands"]),
        before=None if data["before"] is None else Stood(**data["before"]),
        spoken=tuple(Spoken(**one) for one in data["spoken"]),
        overruled=None if data["overruled"] is None else Spoken(**data["overruled"]),
        tails=data["tails"],
    )
