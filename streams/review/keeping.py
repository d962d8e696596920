"""Which parts' embeddings are worth keeping, and what each stands for. Pure; knows no vector and no database.

* open: a person is to look at it, or has and did not know. unknown: a defect of a kind that nobody has named: the models say
  so, or a person did. labelled: a person said what it is. Everything else passed, and nobody asks for it.
* What was said of a challenge is nobody's example: a reviewer who sees that part beside another one knows it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from schemas.label import Answer, LabelV1
from streams.review.labels import Shelf, shelve

State = Literal["open", "unknown", "labelled"]
_KNOWN_ANSWER = frozenset({"challenge", "study"})  # purposes


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What a part's verdict says. disposition: None while there is none. codes: of its reasons. labels: in the log's order."""

    disposition: str | None = None
    label: str | None = None
    decided_by: str = "policy"
    audit: bool = False
    purpose: str = "production"
    codes: frozenset[str] = frozenset()
    labels: tuple[LabelV1, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """good, or a defect: of the class `label` of that taxonomy version, or of a kind that has no name."""

    answer: Answer
    label: str | None = None
    taxonomy: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """said: view (None: the whole part) -> the last that was said of it and stands."""

    state: State
    said: Mapping[str | None, Said] = field(default_factory=dict)

    def of(self, view: str) -> Said | None:
        """Of a view: its own, else that of the whole part."""
        return self.said.get(view) or self.said.get(None)


def kept(part: Judged) -> Kept | None:
    """None: not worth keeping now. Of a part without a verdict, and that nobody labelled, ask again later."""
    standing = [one for one in shelve(Shelf(), part.labels).standing() if one.shown != "challenge"]
    known = ((one.view, one.answer, one) for one in standing)
    said = {
        view: Said(answer=answer, label=one.label, taxonomy=one.taxonomy)
        for view, answer, one in known
        if answer is not None and answer != "unsure"
    }
    unnamed = any(one.answer == "defect" and one.label is None for one in said.values())
    if unnamed or (not said and _unknown_to_models(part)):
        return Kept(state="unknown", said=said)
    if said:
        return Kept(state="labelled", said=said)
    return Kept(state="open") if standing or _open(part) else None


def _open(part: Judged) -> bool:
    waits = part.disposition in ("review", "no_verdict") or part.audit or "containment" in part.codes
    return part.decided_by == "policy" and waits


def _unknown_to_models(part: Judged) -> bool:
    """Only until a person has decided, and only where it did not pass."""
    strange = part.label == "unknown" or "unknown_defect" in part.codes
    asked = part.decided_by == "policy" and part.disposition not in (None, "pass") and part.purpose not in _KNOWN_ANSWER
    return strange and asked
