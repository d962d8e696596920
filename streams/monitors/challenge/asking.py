"""Asking for a set, with the production part that made it due. Knows no answer."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from schemas.challenge import ChallengeDueV1, Trigger
from schemas.envelope import from_millis
from streams.monitors.challenge.answers import Judged
from streams.monitors.challenge.memory import Line
from streams.monitors.challenge.schedule import usable
from streams.monitors.challenge.turn import AUTOMATIC, Turn
from streams.monitors.graded import graded_parts


def ask(turn: Turn, line: Line, event: Judged) -> None:
    """For the set that the line wants, unless one still waits for its answers. Without usable parts nothing is proven."""
    if line.wanted is None or line.schedule is None or turn.busy(line):
        return
    parts, trouble = usable(turn.state.parts.values(), line.product, line.proof, from_millis(event.at_ms))
    if not parts:
        turn.put(replace(line, proven=False, why=trouble, set=None))
        return
    turn.put(replace(line, wanted=None, started=True, since_set=0))
    _due(turn, line, line.wanted, parts, event)


def ask_limit(turn: Turn, line: Line, event: Judged) -> None:
    """For graded defects on today's good images, where the schedule wants them: once a shift."""
    schedule = line.schedule
    if not line.limit_wanted or schedule is None or turn.busy(line, limit=True):
        return
    turn.put(replace(line, limit_wanted=False))
    if schedule.limit_sizes_px and line.proof == "digital":
        _due(turn, line, "limit", graded_parts(schedule.limit_sizes_px, schedule.limit_repeats), event)


def _due(turn: Turn, line: Line, trigger: Trigger, parts: tuple[str, ...], event: Judged) -> None:
    assert line.schedule is not None
    epoch, n = event.number
    due = ChallengeDueV1(
        station=turn.state.station,
        product=line.product,
        proof=line.proof,
        set=f"{AUTOMATIC}{line.proof}/{trigger}/{epoch}-{n:012d}",
        trigger=trigger,
        parts=parts,
        due_at=from_millis(event.at_ms),
        answer_by=from_millis(event.at_ms) + timedelta(seconds=line.schedule.within_s),
    )
    turn.begin(due, event.offset)
    turn.say(f"{due.set}/due", due.set, due)
