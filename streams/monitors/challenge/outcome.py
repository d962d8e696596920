"""What becomes of a set: its result, what that proves of the station, and which parts are suspect."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from schemas.challenge import ChallengeResultV1
from schemas.envelope import from_millis, to_millis
from streams.monitors.challenge.answers import escaped, items, unanswered, what_failed
from streams.monitors.challenge.course import Followed, follow
from streams.monitors.challenge.memory import Answer, Course, Line, OpenSet
from streams.monitors.challenge.turn import Turn
from streams.monitors.detection_limit import judge


def miss(turn: Turn, found: OpenSet, answer: Answer) -> OpenSet:
    """A defect was let through: the station is not proven from here on, whatever the rest of its set says.

    An answer that was read before its set is taken as read with it: the line has counted all parts until then.
    """
    line = turn.line(found.due.product, found.due.proof)
    until = max(answer.offset, found.since)
    _fail(turn, line, found.due.set, f"{answer.item.stamp.part} passed", until, answer.at_ms)
    found = turn.open[found.due.set] = replace(found, missed=True)
    return found


def unasked(turn: Turn, answer: Answer) -> None:
    """A master that nobody asked for was seen. It proves nothing unless it was let through."""
    if not escaped(answer):
        return
    stamp = answer.item.stamp
    line = turn.line(answer.product, stamp.proof)
    _fail(turn, line, stamp.set, f"{stamp.part} passed", answer.offset, answer.at_ms)
    result = ChallengeResultV1(
        station=turn.state.station,
        product=answer.product,
        proof=stamp.proof,
        set=stamp.set,
        trigger="manual",
        passed=False,
        items=(answer.item,),
        at=from_millis(answer.at_ms),
    )
    turn.finish(stamp.set)
    turn.say(f"{stamp.set}/result", stamp.set, result)


def close(turn: Turn, found: OpenSet, *, at_ms: int, until: int) -> None:
    """All answers are there, or time is over (at_ms: then). until: offset in verdict.v1 up to which parts are suspect."""
    due, silent, failed = found.due, unanswered(found), what_failed(found)
    turn.finish(due.set)
    if due.trigger == "limit":
        _judge_limit(turn, found, at_ms)
        return
    line = turn.line(due.product, due.proof)
    whole = not silent and due.trigger != "manual"
    followed = follow(line.course, items(found), passed=not failed, whole=whole)
    line = turn.put(replace(line, course=followed.course))
    turn.say(f"{due.set}/result", due.set, _result(turn, found, followed, from_millis(at_ms), passed=not failed))
    if not failed and not any(item.stamp.kind == "defect" for item in items(found)):
        return  # good parts that pass prove nothing of defects
    if not failed:
        _pass(turn, line, found, until, at_ms)
    elif found.missed or not (silent or any(map(escaped, found.answers))):
        turn.put(replace(line, proven=False, why=failed, set=due.set, faulty=line.faulty or found.missed))
    else:
        _fail(turn, line, due.set, failed, until, at_ms)


def _judge_limit(turn: Turn, found: OpenSet, at_ms: int) -> None:
    """Painted defects need not be found: they say how small a defect the station finds, and prove nothing else of it."""
    due, at, real = found.due, from_millis(at_ms), [one for one in items(found) if one.disposition != "no_verdict"]
    schedule = turn.line(due.product, due.proof).schedule
    limits, turn.limits[due.product] = judge(
        station=turn.state.station,
        product=due.product,
        set=due.set,
        at=at,
        items=real,
        state=turn.limits.get(due.product),
        declared_px=schedule.limit_reference_px if schedule else None,
    )
    result = _result(turn, found, Followed(course=Course()), at, passed=not unanswered(found))
    turn.say(f"{due.set}/result", due.set, result)
    for number, message in enumerate(limits):
        turn.say(f"{due.set}/limit/{number}", due.set, message)


def _pass(turn: Turn, line: Line, found: OpenSet, until: int, at_ms: int) -> None:
    """Proven since the set's first answer: parts judged meanwhile count as judged after it.

    Where another set was missed or passed since that answer, no further back than the window that began with it.
    """
    first = max(until if found.first is None else found.first, -1 if line.window_from is None else line.window_from)
    behind = min(found.behind, line.unsafe)
    if line.faulty:
        line = replace(line, unsafe=line.unsafe - behind)
        line = turn.suspect(line, found.due.set, first, at_ms)
    why = f"{len(found.due.parts)} of {len(found.due.parts)} challenge parts were answered as they should"
    turn.put(
        replace(
            line,
            proven=True,
            why=why,
            set=found.due.set,
            last_pass=found.due.set,
            last_pass_ms=at_ms,
            since_pass=behind,
            window_from=first,
            unsafe=behind,
            faulty=False,
        )
    )


def _fail(turn: Turn, line: Line, set: str, why: str, until: int, at_ms: int) -> None:
    line = turn.suspect(line, set, until, at_ms)
    turn.put(replace(line, proven=False, why=why, set=set, faulty=True))


def _result(turn: Turn, found: OpenSet, followed: Followed, at: datetime, *, passed: bool) -> ChallengeResultV1:
    due = found.due
    return ChallengeResultV1(
        station=turn.state.station,
        product=due.product,
        proof=due.proof,
        set=due.set,
        trigger=due.trigger,
        passed=passed,
        items=items(found),
        unanswered=unanswered(found),
        overdue=bool(unanswered(found)) and to_millis(at) == found.answer_by_ms,
        margin_cusum=followed.cusum,
        margin_limit=followed.limit,
        margin_alarm=followed.alarm,
        at=at,
    )
