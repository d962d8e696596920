"""What can be said of a product's escapes now, from counts of passes by hour and probability of an audit. Pure.

The design (`escape_bound.Design`) is settled by the policies: its floor is the smallest `audit_fraction` above 0 that any of them
has had. A policy that goes below it begins a new bound, with 5 % of its own; `designs` counts them.

Audits that wait for an answer count as bad. Where many do it is tighter to stop before the oldest of them: the bound holds at any
moment, so also at the full hour at which that one's began. Of the two the smaller is told, with the moment that it speaks of.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

from streams.review.escape_bound import Audit, Design, EscapeBound, audited, escape_bound, passed

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Passes(Protocol):
    """n passes of one hour and probability (0: never drawn). Of those drawn: good, bad, waiting; lapsed: nobody ever answered."""

    @property
    def probability(self) -> float: ...
    @property
    def hour(self) -> int: ...
    @property
    def n(self) -> int: ...
    @property
    def good(self) -> int: ...
    @property
    def bad(self) -> int: ...
    @property
    def waiting(self) -> int: ...
    @property
    def lapsed(self) -> int: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Escapes:
    """bound: None while no policy draws passes for audit. until_hour: it speaks of passes before this hour; None: of all.

    answered, waiting, lapsed: audits, whatever the moment. floor: smallest probability of an audit. since_hour: of the first pass
    that is kept by the hour; None: retention has removed older ones.
    """

    bound: EscapeBound | None
    passes: int
    answered: int
    found: int
    waiting: int
    lapsed: int
    floor: float | None
    designs: int
    until_hour: int | None
    since_hour: int | None

    @property
    def until(self) -> datetime | None:
        return None if self.until_hour is None else _EPOCH + self.until_hour * timedelta(hours=1)

    @property
    def claimed(self) -> bool:
        """Whether anything is: an audit was answered, and not all passes may be bad."""
        return self.bound is not None and self.bound.audited > 0 and self.bound.escapes < self.bound.passes


def escapes(hours: Sequence[Passes], fractions: Sequence[float]) -> Escapes:
    """hours: of one product. fractions: `audit_fraction` of its policies, in the order of their publication."""
    floors = _lower_and_lower(fractions)
    oldest = min((one.hour for one in hours if one.waiting), default=None)
    now = _bound(hours, floors[-1]) if floors else None
    then = _bound([one for one in hours if one.hour < oldest], floors[-1]) if floors and oldest is not None else None
    stopped = now is not None and then is not None and then.passes > 0 and then.ppm < now.ppm
    first = min((one.hour for one in hours), default=0)
    return Escapes(
        bound=then if stopped else now,
        passes=sum(one.n for one in hours),
        answered=sum(one.good + one.bad for one in hours),
        found=sum(one.bad for one in hours),
        waiting=sum(one.waiting for one in hours),
        lapsed=sum(one.lapsed for one in hours),
        floor=floors[-1] if floors else None,
        designs=len(floors),
        until_hour=oldest if stopped else None,
        since_hour=first or None,
    )


def _bound(hours: Iterable[Passes], floor: float) -> EscapeBound:
    audit, pending = Audit(design=Design(floor=floor)), []
    for one in hours:
        drawn = one.good + one.bad + one.waiting + one.lapsed
        audit = passed(audit, one.probability or None, max(0, one.n - drawn))
        for bad, n in ((False, one.good), (True, one.bad)):
            audit = audited(audit, one.probability, bad, n)
        pending += [one.probability] * (one.waiting + one.lapsed)
    return escape_bound(audit, pending)


def _lower_and_lower(fractions: Sequence[float]) -> list[float]:
    """Each that is above 0 and below all before it: the floors of the designs so far."""
    found: list[float] = []
    for fraction in fractions:
        if fraction > 0 and (not found or fraction < found[-1]):
            found.append(fraction)
    return found
