"""Parts that come late, and later verdicts of parts that were counted: which subgroup is theirs. Knows no chart."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Literal

from streams.monitors.spc import tally as counts
from streams.monitors.spc.closing import key_of, settle
from streams.monitors.spc.course import Closed, Course, Where
from streams.monitors.spc.memory import Turn
from streams.monitors.spc.part import Part, Stage
from streams.monitors.spc.plans import measured
from streams.monitors.spc.publishing import revise
from streams.monitors.spc.stages import changed
from streams.monitors.spc.tally import Tally

Place = Literal["open"] | int | None


def late(turn: Turn, part: Part, stage: Stage) -> None:
    """A part whose number was given up: it enters the subgroups that its number lies in."""
    for where in _series(turn, part.product):
        key, counted = key_of(where), measured(turn.line(part.product).cut(where.series).series, part)
        place = _between(turn.opens.get(key), turn.course(key), part, stage)
        _change(turn, where, place, part, partial(counts.add, part=counted), "late part")


def correct(turn: Turn, part: Part) -> None:
    """A later verdict of a part that was released."""
    if not part.production:
        return

    def corrected(tally: Tally) -> Tally | None:
        return counts.correct(tally, part.n, part.revision, part.said, part.before)

    for where in _series(turn, part.product):
        key = key_of(where)
        place = _within(turn.opens.get(key), turn.course(key), part)
        _change(turn, where, place, part, corrected, f"revision {part.revision} of a verdict")


def _series(turn: Turn, product: str) -> list[Where]:
    """Of the plan; a stage that is over may have had others, whose subgroups are corrected no more."""
    return [Where(turn.memory.station, product, series.series) for series in turn.line(product).series]


def _change(turn: Turn, where: Where, place: Place, part: Part, change: Callable[[Tally], Tally | None], why: str) -> None:
    key, course = key_of(where), turn.course(key_of(where))
    if place is None:
        turn.lose(key, part, "its subgroup is too old to be changed")
        return
    before = turn.opens[key] if place == "open" else course.closed[place].tally
    after = change(before)
    if after is None:
        turn.lose(key, part, "revisions between are missing")
    elif place == "open":
        turn.opens[key] = after
    elif after is not before:
        number = f"{part.epoch}-{part.n:012d}"
        turn.courses[key], said = revise(where, course, place, after, f"{why}: {number}", turn.clock_ms)
        turn.said += said
        _carry(turn, where, after, f"{why} before: {number}")
        settle(turn, key)


def _carry(turn: Turn, where: Where, last: Tally, why: str) -> None:
    """The gap that runs from a corrected subgroup into those behind it."""
    key = key_of(where)
    while (tally := _next(turn, key, last)) is not None:
        after = counts.carried(tally, last.since)
        if after is tally:
            return
        if tally is turn.opens.get(key):
            turn.opens[key] = after
            return
        course = turn.course(key)
        place = next(i for i, one in enumerate(course.closed) if one.tally is tally)
        turn.courses[key], said = revise(where, course, place, after, why, turn.clock_ms)
        turn.said += said
        last = after


def _next(turn: Turn, key: str, last: Tally) -> Tally | None:
    """The subgroup behind this one, of the same stage."""
    tallies = [one.tally for one in turn.course(key).closed] + ([turn.opens[key]] if key in turn.opens else [])
    return next((one for one in tallies if (one.stage_id, one.number) == (last.stage_id, last.number + 1)), None)


def _within(tally: Tally | None, course: Course, part: Part) -> Place:
    """The subgroup whose numbers hold this one."""
    if tally is not None and tally.epoch == part.epoch and tally.first <= part.n <= tally.last:
        return "open"
    return next((i for i, one in enumerate(course.closed) if _holds(one, part)), None)


def _holds(one: Closed, part: Part) -> bool:
    return one.tally.epoch == part.epoch and one.tally.first <= part.n <= one.tally.last


def _between(tally: Tally | None, course: Course, part: Part, stage: Stage) -> Place:
    """Also between two subgroups: of the one before, unless that ended for a reason that this part is behind."""
    found = _within(tally, course, part)
    at = part[:2]
    if found is not None:
        return found
    earlier = [i for i, one in enumerate(course.closed) if (one.tally.epoch, one.tally.last) < at]
    later = [i for i, one in enumerate(course.closed) if (one.tally.epoch, one.tally.first) > at]
    following: Place = later[0] if later else ("open" if tally is not None else None)
    if not earlier:
        forgotten = course.gone is not None and at <= course.gone
        return None if forgotten else following
    before = course.closed[earlier[-1]]
    if following is None or (before.tally.epoch == part.epoch and _fits(before, course, part, stage)):
        return earlier[-1]
    return following


def _fits(one: Closed, course: Course, part: Part, stage: Stage) -> bool:
    if one.tally.closed_by == "time":
        return one.tally.stretch is None or part.captured_ms < one.tally.stretch[1]
    if one.tally.closed_by == "lot":
        return part.lot == one.tally.lot
    if one.tally.closed_by == "stage":
        cut = course.stages.get(one.tally.stage_id)
        return cut is None or not changed(cut.stage, stage)
    return True
