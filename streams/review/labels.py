"""Which labels stand: each person's last answer to each part, with what was taken back left out. Pure; the log is the truth."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from schemas.common import canonical
from schemas.label import LabelV1


@dataclass(frozen=True, slots=True, kw_only=True)
class Shelf:
    """labels: by id, in the order of the log; withdrawn: (id, who) of what a label of that person takes back.

    copies: the same label again; conflicts: another answer under an id that was there: it came too late, and does not count.
    """

    labels: Mapping[str, LabelV1] = field(default_factory=dict)
    withdrawn: frozenset[tuple[str, str]] = frozenset()
    copies: int = 0
    conflicts: int = 0

    def standing(self) -> list[LabelV1]:
        """Labels with an answer that nobody took back, in the order of the log."""
        gone = self.withdrawn
        return [one for id, one in self.labels.items() if (id, one.who) not in gone and one.answer is not None]


def shelve(shelf: Shelf, labels: Iterable[LabelV1]) -> Shelf:
    """Add labels in the order of the log. Of two with one id the first counts."""
    found, withdrawn, copies, conflicts = dict(shelf.labels), set(shelf.withdrawn), shelf.copies, shelf.conflicts
    for label in labels:
        before = found.setdefault(label.id, label)
        if before is not label:
            same = said(before) == said(label)
            copies, conflicts = copies + same, conflicts + (not same)
        elif label.withdraws is not None:
            withdrawn.add((label.withdraws, label.who))
    return replace(shelf, labels=found, withdrawn=frozenset(withdrawn), copies=copies, conflicts=conflicts)


def said(label: LabelV1) -> bytes:
    """What two labels must agree in to be copies: all but when it was said, how long it took, and where an image lies."""
    exclude: Any = {"answered_at": True, "looked_ms": True, "views": {"__all__": {"image": {"uri"}}}}
    return canonical(label.model_dump(mode="json", exclude_none=True, exclude=exclude))


def last_of(labels: Iterable[LabelV1], who: str) -> LabelV1 | None:
    """What this person's next label of the part takes back: the last word in their chain, also one without an answer.

    labels: of one part, in the order in which they were given.
    """
    mine = list({one.id: one for one in labels if one.who == who}.values())
    gone = {one.withdraws for one in mine}
    return next((one for one in reversed(mine) if one.id not in gone), None)


def last_words(labels: Iterable[LabelV1], who: str) -> dict[str | None, LabelV1]:
    """View (None: the whole part) -> `last_of` what this person said of it: each has a chain of its own."""
    known = list(labels)
    found = {view: last_of((one for one in known if one.view == view), who) for view in {one.view for one in known}}
    return {view: last for view, last in found.items() if last is not None}


def taken_back(label: LabelV1, who: str, **changes: object) -> LabelV1:
    """The label that takes this one back and puts nothing in its place. Raises ValueError where it is another person's."""
    if who != label.who:
        raise ValueError(f"{who} cannot take back what {label.who} said: give an opinion of your own")
    empty = {"answer": None, "label": None, "taxonomy": None, "withdraws": label.id}
    views = tuple(one.model_copy(update={"mask": None}) for one in label.views)
    return LabelV1.model_validate(label.model_copy(update={**empty, "views": views, **changes}).model_dump())
