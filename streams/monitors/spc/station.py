"""One station's subgroups as a pure machine: verdicts, plans, acts and time in; stages, facts, limits and signals out.

Parts are taken in the order of the station's sequence, whatever order their verdicts come in. Time is the append time of
verdict.v1; the station's own time is the capture time of its newest part and goes on with the log's, so a clock that is wrong by
hours closes nothing early. What is due at a time is done before the first record of a later time, so nothing depends on when
somebody asks.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from schemas.spc import LimitsActV1, PlanV1
from streams.fates import Unprocessable
from streams.monitors.challenge.schedule import zone_of
from streams.monitors.spc.acts import act_on
from streams.monitors.spc.closing import close, closes_ms, key_of, settle, where_of
from streams.monitors.spc.course import Where
from streams.monitors.spc.cutting import take
from streams.monitors.spc.memory import Line, Memory, Queued, Shelf, Turn
from streams.monitors.spc.part import Part, Stage
from streams.monitors.spc.placing import correct, late
from streams.monitors.spc.publishing import publish
from streams.monitors.spc.sequence import admit, due, missing, run

Act = PlanV1 | LimitsActV1
Event = tuple[int, int, str]  # log time, rank among those of one time, key


def judge(memory: Memory, shelf: Shelf, part: Part, stage: Stage, offset: int) -> tuple[Memory, Turn | None]:
    """Add one verdict; without a turn where this record was read before."""
    if offset <= memory.verdicts:
        return memory, None
    turn = Turn(memory, shelf)
    _advance(turn, part.at_ms)
    if part.revision > 1 and not missing(turn.order, part[:2]):
        correct(turn, part)
        return turn.done(verdicts=offset), turn
    turn.stages[part.stage] = stage
    turn.order, fate = admit(turn.order, part, turn.clock_ms)
    if fate == "late":
        late(turn, part, stage)
    elif fate == "forgotten":
        for series in turn.line(part.product).series:
            turn.lose(key_of(Where(memory.station, part.product, series.series)), part, "its number is forgotten")
    _drain(turn, part)
    return turn.done(verdicts=offset), turn


def register(memory: Memory, shelf: Shelf, act: Act, offset: int, at_ms: int) -> tuple[Memory, Turn | None]:
    """Take a person's word; it counts from its append time on.

    Raises Unprocessable `unknown_series`, `unknown_zone`, and what `act_on` raises.
    """
    if offset <= memory.told:
        return memory, None
    turn = Turn(memory, shelf)
    if isinstance(act, PlanV1):
        for series in act.series:
            zone_of(series.rule.zone)
    else:
        key = _known(turn, act)
        act_on(where_of(memory.station, key), turn.course(key), act)
    turn.acts.append(Queued(at_ms, act))
    _advance(turn, turn.clock_ms)
    return turn.done(told=offset), turn


def pass_time(memory: Memory, shelf: Shelf, now_ms: int) -> tuple[Memory, Turn | None]:
    """Do what is due by now. Only to be asked once verdict.v1 was read to its end of `now_ms`."""
    found = due_ms(memory, shelf)
    if found is None or found > now_ms:
        return memory, None
    turn = Turn(memory, shelf)
    _advance(turn, now_ms)
    return turn.done(), turn


def due_ms(memory: Memory, shelf: Shelf) -> int | None:
    """When time alone has something to do."""
    return min((event[0] for event in _events(Turn(memory, shelf))), default=None)


def _advance(turn: Turn, now_ms: int) -> None:
    """Everything that is due by now, in the order of its times."""
    now_ms = max(now_ms, turn.clock_ms)
    while (event := min(_events(turn), default=None)) is not None and event[0] <= now_ms:
        turn.clock_ms = max(turn.clock_ms, event[0])
        _do(turn, event)
    turn.clock_ms = now_ms


def _events(turn: Turn) -> Iterator[Event]:
    if (hole := due(turn.order)) is not None:
        yield hole, 0, ""
    for key, tally in turn.opens.items():
        if tally.stretch is not None:
            over = closes_ms(tally, turn.newest, _grace_s(turn, key))
            if over is not None:
                yield over, 1, key
    for key, due_at in turn.dues.items():
        yield due_at, 2, key
    for index, queued in enumerate(turn.acts):
        yield queued.at_ms, 3, str(index)


def _grace_s(turn: Turn, key: str) -> float:
    product, series = key.split("|")
    return turn.line(product).cut(series).series.rule.grace_s


def _do(turn: Turn, event: Event) -> None:
    _, kind, key = event
    if kind == 0:
        turn.order, part = run(turn.order, given_up=True)
        if part is not None:
            _take(turn, part)
        _drain(turn)
    elif kind == 1:
        close(turn, where_of(turn.memory.station, key), "time", turn.clock_ms, 0)
    elif kind == 2:
        turn.courses[key], said = publish(where_of(turn.memory.station, key), turn.course(key), turn.clock_ms)
        turn.said += said
        settle(turn, key)
    else:
        _obey(turn, turn.acts.pop(int(key)))


def _drain(turn: Turn, fresh: Part | None = None) -> None:
    """The parts that follow each other. fresh: the one whose record is at work."""
    while True:
        turn.order, part = run(turn.order)
        if part is None:
            return
        if fresh is not None and part[:2] == fresh[:2]:
            take(turn, part, turn.stages[part.stage])  # where it cannot be, its record becomes a dead letter
        else:
            _take(turn, part)


def _take(turn: Turn, part: Part) -> None:
    """A part that waited. One that cannot be taken is lost and said: its record is done, and all that follow wait for it."""
    before = turn.saved()
    try:
        take(turn, part, turn.stages[part.stage])
    except (ArithmeticError, LookupError, ValueError, Unprocessable) as error:
        turn.go_back(before)
        for series in turn.line(part.product).series:
            key = key_of(Where(turn.memory.station, part.product, series.series))
            turn.lose(key, part, f"it cannot be taken: {type(error).__name__}: {error}")


def _obey(turn: Turn, queued: Queued) -> None:
    act = queued.message
    if isinstance(act, PlanV1):
        line = turn.line(act.product)
        turn.lines[act.product] = _planned(line, act)
        return
    key = f"{act.product}|{act.series}"
    try:
        turn.courses[key], said = act_on(where_of(turn.memory.station, key), turn.course(key), act)
    except Unprocessable as error:  # it could be done when it was said
        turn.lost.append(f"{act.act} of {act.characteristic}: {error.detail}")
        return
    turn.said += said


def _planned(line: Line, plan: PlanV1) -> Line:
    """In force with the next part: where a stage has begun, it ends there."""
    return replace(line, coming=plan) if line.stage_id else replace(line, plan=plan)


def _known(turn: Turn, act: LimitsActV1) -> str:
    names = [series.series for series in turn.line(act.product).series]
    if act.series not in names:
        raise Unprocessable("unknown_series", f"{act.series!r}: {act.product} has {', '.join(names)}")
    return f"{act.product}|{act.series}"
