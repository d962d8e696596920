"""What a page may show before the answer, and when an audit pass comes up: the same for it as for any other part. Pure.

A blind look shows pictures and what is known of the part from the line. Nothing that a model, triage or another person said
is in it, nor why the part is shown: a pass could be told from a review by any of them. So that "blind" itself says nothing,
a share of the ordinary reviews is blind too, drawn by a hash; every second and third look, audit and challenge is.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from schemas.common import ImageRef
from schemas.label import Opinion, Shown


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """One view. mm_per_px: where the policy gives a scale."""

    view: str
    image: ImageRef
    width_px: int
    height_px: int
    mm_per_px: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What the models said: never part of a blind look. percentile: of the baseline; proposals: classes, the likeliest first."""

    percentile: float | None = None
    disposition: str | None = None
    reasons: tuple[str, ...] = ()
    proposals: tuple[tuple[str, float], ...] = ()
    due_ms: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One part to look at. shown: why; stays on the server."""

    inspection: str
    product: str
    pictures: tuple[Picture, ...]
    shown: Shown
    opinion: Opinion = "first"
    machine: Machine = Machine()


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """All that the page gets before the answer. machine: None in a blind look, whatever the part."""

    inspection: str
    product: str
    pictures: tuple[Picture, ...]
    machine: Machine | None


def look(item: Item, blind_share: float) -> Look:
    """blind_share: of the ordinary first reviews that are blind too."""
    machine = None if is_blind(item, blind_share) else item.machine
    return Look(inspection=item.inspection, product=item.product, pictures=item.pictures, machine=machine)


def is_blind(item: Item, blind_share: float) -> bool:
    return is_blind_look(item.inspection, item.shown, item.opinion, blind_share)


def is_blind_look(inspection: str, shown: Shown, opinion: Opinion, blind_share: float) -> bool:
    if shown in ("audit", "challenge") or opinion != "first":
        return True
    return _drawn(f"{inspection}/{opinion}", blind_share, b"blind")


def audit_now(who: str, day: str, served: int, audits: int, open_reviews: int) -> bool:
    """Whether the next part of this person is an audit pass: mixed in by a hash, as often as their numbers ask.

    served: parts that this person was given on that day (ISO date, so that the pattern is another one each day); audits,
    open_reviews: how many wait. Where no review waits, audits come; where none of either does, it does not matter.
    """
    if audits == 0:
        return False
    return _drawn(f"{who}/{day}/{served}", max(audits / (audits + open_reviews), _LEAST), b"mix")


_LEAST = 0.05  # so that a long queue does not keep audits waiting for ever


def _drawn(text: str, share: float, person: bytes) -> bool:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8, person=person).digest(), "big") < share * 2**64
