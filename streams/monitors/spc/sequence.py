"""Parts in the order of the station's sequence. Verdicts come in any order; subgroups, stages and runs want the parts' own.

Pure: time is the append time of verdict.v1. A part whose number follows the one released last goes through at once. One behind a
hole waits until the hole is filled, until WAIT_MS after it came, or until more than MOST wait; the hole is remembered, so that
what comes for it later is known as late, and everything else below as a copy. Holes beyond KEPT are forgotten: below `floor`
nobody can tell a late part from a copy.
"""

from __future__ import annotations

from bisect import insort
from typing import Literal, NamedTuple

from schemas.ids import LAST_N
from streams.monitors.spc.part import Part

WAIT_MS = 2_000
MOST, KEPT = 64, 128
Fate = Literal["fresh", "copy", "late", "revised", "forgotten"]
Number = tuple[int, int]


class Order(NamedTuple):
    """epoch, n: released last, -1 before the first. holes: (epoch, first, last) of numbers that never came. floor: see above."""

    epoch: int = -1
    n: int = -1
    floor: Number = (0, 0)
    holes: tuple[tuple[int, int, int], ...] = ()
    waiting: tuple[Part, ...] = ()


def admit(order: Order, part: Part, now_ms: int) -> tuple[Order, Fate]:
    """Take one part. `fresh`: it waits now, `run` says whether it is released; `revised`: a later revision of a waiting one."""
    at = part[:2]
    if at > (order.epoch, order.n):
        return _wait(order, part._replace(heard_ms=now_ms))
    hole = next((one for one in order.holes if one[0] == part.epoch and one[1] <= part.n <= one[2]), None)
    if hole is None:
        return order, "forgotten" if at < order.floor else "copy"
    rest = [(hole[0], hole[1], part.n - 1), (hole[0], part.n + 1, hole[2])]
    holes = [one for one in (*order.holes, *rest) if one != hole and one[1] <= one[2]]
    return order._replace(holes=tuple(sorted(holes))), "late"


def missing(order: Order, at: Number) -> bool:
    """Whether no verdict of this number was ever seen."""
    return at > (order.epoch, order.n) or any(one[0] == at[0] and one[1] <= at[1] <= one[2] for one in order.holes)


def due(order: Order) -> int | None:
    """Log time when the first hole is given up; None where nothing waits."""
    return min(part.heard_ms for part in order.waiting) + WAIT_MS if order.waiting else None


def run(order: Order, *, given_up: bool = False) -> tuple[Order, Part | None]:
    """The next part where it follows what was released last, or where the hole before it is given up or too many wait."""
    if not order.waiting:
        return order, None
    part, begun = order.waiting[0], order.epoch >= 0
    follows = begun and part.n == (order.n + 1 if part.epoch == order.epoch else 0)
    if not (follows or given_up or len(order.waiting) > MOST):
        return order, None
    floor, holes = order.floor if begun else part[:2], order.holes
    first = order.n + 1 if part.epoch == order.epoch else 0
    if begun and part.epoch > order.epoch:
        holes = (*holes, (order.epoch, order.n + 1, LAST_N))
    if begun and first < part.n:
        holes = (*holes, (part.epoch, first, part.n - 1))
    if len(holes) > KEPT:
        floor, holes = (holes[0][0], holes[0][2] + 1), holes[1:]
    return Order(part.epoch, part.n, floor, holes, order.waiting[1:]), part


def _wait(order: Order, part: Part) -> tuple[Order, Fate]:
    waiting = list(order.waiting)
    same = next((i for i, one in enumerate(waiting) if one[:2] == part[:2]), None)
    if same is None:
        insort(waiting, part, key=lambda one: one[:2])
        return order._replace(waiting=tuple(waiting)), "fresh"
    before = waiting[same]
    if part.revision <= before.revision:
        return order, "copy"
    waiting[same] = before._replace(said=part.said, revision=part.revision)
    return order._replace(waiting=tuple(waiting)), "revised"
