"""When a subgroup is over, and handing it on. Knows no part's place, no chart."""

from __future__ import annotations

from dataclasses import replace

from schemas.spc import SubgroupRuleV1
from streams.monitors.spc.course import Where
from streams.monitors.spc.memory import Newest, Turn
from streams.monitors.spc.part import Part
from streams.monitors.spc.publishing import close as closed
from streams.monitors.spc.publishing import next_due
from streams.monitors.spc.tally import ClosedBy, Tally

BACK_MS = 60_000
"""A clock that is set back by less leaves a part in the subgroup that is open; by more, it begins another."""


def key_of(where: Where) -> str:
    return f"{where.product}|{where.series}"


def where_of(station: str, key: str) -> Where:
    product, series = key.split("|")
    return Where(station, product, series)


def over(tally: Tally, part: Part, rule: SubgroupRuleV1) -> ClosedBy | None:
    """Why this part, the next in order and of the same stage, is not in it any more."""
    if tally.epoch != part.epoch:
        return "sequence"
    if rule.lot and part.lot != tally.lot:
        return "lot"
    if tally.stretch is None:
        return None
    begin, end = tally.stretch
    return None if begin - BACK_MS <= part.captured_ms < end else "time"


def closes_ms(tally: Tally, newest: Newest, grace_s: float) -> int | None:
    """Log time when its stretch and the time of grace are over by the station's own time; None without a boundary of time."""
    if tally.stretch is None:
        return None
    return newest.at_ms + max(0, tally.stretch[1] + round(grace_s * 1000) - newest.captured_ms)


def close(turn: Turn, where: Where, reason: ClosedBy, now_ms: int, grace_s: float) -> None:
    """The open subgroup of a series is over; it is published once the time of grace is over too."""
    key = key_of(where)
    tally = replace(turn.opens.pop(key), closed_by=reason, unplaced=turn.unplaced.pop(key, 0))
    cut = turn.line(where.product).cut(where.series)
    turn.courses[key] = closed(turn.course(key), tally, cut, now_ms + round(grace_s * 1000))
    settle(turn, key)


def settle(turn: Turn, key: str) -> None:
    """When the next of its subgroups is to be published."""
    due_ms = next_due(turn.course(key))
    if due_ms is None:
        turn.dues.pop(key, None)
    else:
        turn.dues[key] = due_ms
