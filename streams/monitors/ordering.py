"""Scores in the order of their inspections. Evidence comes in any order; the statistics want the order of the parts.

Pure: time is the highest append time heard of, so a clock that is set back delays and loses nothing. A score whose number
follows the one released last goes through at once. One behind a hole waits until the hole is filled, until GAP_MS after the first
score behind it came, or until more than MOST wait. What comes for a hole after that is late: counted and never judged, so nothing
is judged twice or out of order. A station's numbers are shared by its products: a stream meets holes that nobody will fill, which
cost GAP_MS of delay and nothing else. A part of another purpose fills its number without a score.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Sequence
from typing import Literal, NamedTuple

from schemas.common import Proof

GAP_MS = 5_000
MOST = 64
KNOWN = 64  # so far behind the number released last it is known whether a number came
_MASK = (1 << KNOWN) - 1
Fate = Literal["fresh", "copy", "late"]
Statistics = tuple[float, float, float, float | None, float | None]  # in the order of ImageStatsV1


class Scored(NamedTuple):
    """One part's anomaly evidence: its place in the station's sequence, and what station, line and model said of it.

    score: None for a part of another purpose. at_ms: append time; heard_ms: log time when it came, set by `admit`.
    baseline, policy, model_set: digests as stamped. image: its statistics; golden: (name, proof, image) of a golden
    part, whose score is nobody's production.
    """

    epoch: int
    n: int
    at_ms: int
    score: float | None = None
    p_value: float = 1.0
    lot: str | None = None
    tool: str | None = None
    baseline: str | None = None
    policy: str | None = None
    model_set: str = ""
    image: Statistics | None = None
    golden: tuple[str, Proof, str] | None = None
    heard_ms: int = 0


class Order(NamedTuple):
    """clock_ms: log time. epoch, n: released last, -1 before the first. waiting: by number.

    holes: bit i stands for the number n - 1 - i of that epoch, set where it never came.
    """

    clock_ms: int = 0
    epoch: int = -1
    n: int = -1
    holes: int = 0
    waiting: tuple[Scored, ...] = ()


def admit(order: Order, part: Scored) -> tuple[Order, list[Scored], Fate]:
    """Take one part; what it releases, in order. First closes what its append time closes."""
    order, released = overdue(order, part.at_ms)
    fate = _fate(order, part)
    if fate == "copy":
        return order, released, fate
    if fate == "late":  # another copy of it is a copy
        return order._replace(holes=order.holes & ~(1 << (order.n - 1 - part.n))), released, fate
    waiting = list(order.waiting)
    insort(waiting, part._replace(heard_ms=order.clock_ms))
    order, more = _released(order, waiting, due=len(waiting) > MOST)
    return order, [*released, *more], fate


def overdue(order: Order, now_ms: int) -> tuple[Order, list[Scored]]:
    """Close the holes whose time is over. now_ms: how far the log has gone; time never goes back."""
    if now_ms > order.clock_ms:
        order = order._replace(clock_ms=now_ms)
    released: list[Scored] = []
    while (due_ms := closes(order)) is not None and due_ms <= order.clock_ms:
        order, more = _released(order, order.waiting, due=True)
        released += more
    return order, released


def closes(order: Order) -> int | None:
    """Log time when the first hole closes; None where nothing waits."""
    return min(part.heard_ms for part in order.waiting) + GAP_MS if order.waiting else None


def _fate(order: Order, part: Scored) -> Fate:
    if part[:2] > (order.epoch, order.n):
        return "copy" if any(part[:2] == other[:2] for other in order.waiting) else "fresh"
    behind = order.n - 1 - part.n
    missed = part.epoch == order.epoch and 0 <= behind < KNOWN and order.holes >> behind & 1
    return "late" if missed else "copy"


def _released(order: Order, waiting: Sequence[Scored], *, due: bool) -> tuple[Order, list[Scored]]:
    """The run of successive numbers at the front, where it follows what was released last or is due."""
    epoch, n, holes = order.epoch, order.n, order.holes
    count = 0
    for part in waiting:
        if part[:2] != (epoch, n + 1) and not (due and count == 0):
            break
        before, holes = (n, holes) if part.epoch == epoch else (-1, 0)
        holes = _shifted(holes, part.n - before)
        epoch, n = part.epoch, part.n
        count += 1
    return Order(order.clock_ms, epoch, n, holes, tuple(waiting[count:])), list(waiting[:count])


def _shifted(holes: int, steps: int) -> int:
    """After a number `steps` further on, none of those between having come."""
    if steps > KNOWN:
        return _MASK
    return (holes << steps | (1 << steps - 1) - 1) & _MASK
