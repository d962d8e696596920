"""One station's proofs as a pure machine: verdicts, registrations and time in; sets to run, results, proofs, windows out.

All times are append times. What comes from verdict.v1 and what comes from challenge.v1 may be read in any order against each
other: an answer to a set that is not known yet waits for it, and whether it came in time is told by its own append time.
"""

from __future__ import annotations

from dataclasses import replace

from schemas.challenge import ChallengeDueV1, ChallengePartV1, ChallengeScheduleV1
from streams.fates import Unprocessable
from streams.monitors.challenge.answers import Judged, add, complete, escaped
from streams.monitors.challenge.asking import ask, ask_limit
from streams.monitors.challenge.memory import MOST_EARLY, MOST_OPEN, Answer, Line, StationState
from streams.monitors.challenge.outcome import close, miss, unasked
from streams.monitors.challenge.schedule import shift_start_ms, trigger_of, zone_of
from streams.monitors.challenge.turn import UNASKED, Said, Turn, automatic_set

GRACE_MS = 5_000
EARLY_MS = 3_600_000
Registration = ChallengePartV1 | ChallengeScheduleV1 | ChallengeDueV1


def judge(state: StationState, event: Judged) -> tuple[StationState, list[Said]]:
    """Add one first verdict. The state itself where this one was read before."""
    if event.offset <= state.verdicts:
        return state, []
    turn = Turn(state)
    _close_late(turn, event.at_ms)
    if event.answer is not None:
        state = _answer(turn, state, event.answer)
    elif event.production:
        state = _count(turn, state, event)
    latest = max(state.latest_ms, event.at_ms)
    early = tuple(one for one in state.early if one.at_ms > latest - EARLY_MS)
    turn.tell(event.at_ms)
    return turn.done(replace(state, verdicts=event.offset, latest_ms=latest, early=early))


def register(state: StationState | None, message: Registration, offset: int, at_ms: int) -> tuple[StationState, list[Said]]:
    """Take what a person said on challenge.v1. The state itself where it was read before.

    Raises Unprocessable `unknown_zone`, `no_parts`, `too_many_sets`.
    """
    state = state or StationState(station=message.station)
    if offset <= state.told:
        return state, []
    turn, parts = Turn(state), state.parts
    if isinstance(message, ChallengePartV1):
        parts = {name: part for name, part in parts.items() if name != message.part}
        parts |= {} if message.retired else {message.part: message}
    elif isinstance(message, ChallengeScheduleV1):
        zone_of(message.zone)
        line = turn.line(message.product, message.proof)
        turn.put(replace(line, schedule=message, window_from=_beginning(line, state)))
    else:
        state = _asked_by_person(turn, state, message)
    turn.tell(at_ms)
    return turn.done(replace(state, told=offset, parts=parts))


def overdue(state: StationState, now_ms: int) -> tuple[StationState, list[Said]]:
    """Close the sets whose time is over. Only to be asked once verdict.v1 was read to its end of `now_ms`."""
    turn = Turn(state)
    _close_late(turn, now_ms - GRACE_MS)
    return turn.done(state) if len(turn.open) != len(state.open) else (state, [])


def due_ms(state: StationState) -> int | None:
    """When time alone has something to do: a set's end, or at once where windows wait to be read back."""
    if state.windows:
        return 0
    return min((one.answer_by_ms + GRACE_MS + 1 for one in state.open.values()), default=None)


def _beginning(line: Line, state: StationState) -> int | None:
    """Where the first window starts: with the schedule, as far as the log was read; None: with the next verdict."""
    return line.window_from if line.window_from is not None or state.verdicts < 0 else state.verdicts


def _close_late(turn: Turn, now_ms: int) -> None:
    for one in sorted((one for one in turn.open.values() if one.answer_by_ms < now_ms), key=lambda one: one.answer_by_ms):
        close(turn, one, at_ms=one.answer_by_ms, until=turn.state.verdicts)
        turn.tell(one.answer_by_ms)


def _answer(turn: Turn, state: StationState, answer: Answer) -> StationState:
    name = answer.item.stamp.set
    if name in turn.open:
        _add(turn, name, answer)
    elif name.startswith(UNASKED) and not turn.knows(name):
        unasked(turn, answer)
    elif not turn.knows(name):
        return replace(state, early=(*state.early, answer)[-MOST_EARLY:])
    return state


def _add(turn: Turn, name: str, answer: Answer) -> None:
    before = turn.open[name]
    after = add(before, answer)
    turn.open[name] = after
    if escaped(answer) and after is not before and not before.missed and after.due.trigger != "limit":
        after = miss(turn, after, answer)
    if complete(after):
        close(turn, after, at_ms=answer.at_ms, until=max(answer.offset, after.since))


def _count(turn: Turn, state: StationState, event: Judged) -> StationState:
    """A production part: it counts, and it may be the one with which a set is due."""
    newer = event.number > state.newest
    changeover = newer and state.product not in (None, event.product)
    for key, one in turn.open.items():
        if one.first is not None and one.due.product == event.product:
            turn.open[key] = replace(one, behind=one.behind + 1)
    for line in turn.lines_of(event.product):
        _count_in(turn, line, event, newer=newer, changeover=changeover)
    return replace(state, newest=event.number, product=event.product) if newer else state


def _count_in(turn: Turn, line: Line, event: Judged, *, newer: bool, changeover: bool) -> None:
    shift_ms = None if line.schedule is None else shift_start_ms(line.schedule, event.at_ms)
    new_shift = shift_ms is not None and line.shift_ms is not None and shift_ms > line.shift_ms
    new_models = newer and line.model_set not in (None, event.model_set)
    line = replace(
        line,
        since_pass=line.since_pass + 1,
        since_set=line.since_set + 1,
        unsafe=line.unsafe + 1,
        window_from=event.offset - 1 if line.window_from is None else line.window_from,
        shift_ms=max(filter(None, (shift_ms, line.shift_ms)), default=None),
        model_set=event.model_set if newer else line.model_set,
    )
    trigger = trigger_of(line, new_models=new_models, changeover=changeover, new_shift=new_shift)
    begins = trigger == "start" or new_shift
    line = turn.put(replace(line, wanted=line.wanted or trigger, limit_wanted=line.limit_wanted or begins))
    ask(turn, line, event)
    ask_limit(turn, turn.line(line.product, line.proof), event)


def _asked_by_person(turn: Turn, state: StationState, due: ChallengeDueV1) -> StationState:
    """Sets that the schedule asked for are known before they are written, so they are only for the gateway."""
    if automatic_set(due.set) or turn.knows(due.set):
        return state
    if not due.parts:
        raise Unprocessable("no_parts", f"set {due.set} names no challenge part")
    if len(turn.open) >= MOST_OPEN:
        raise Unprocessable("too_many_sets", f"{len(turn.open)} sets of {state.station} wait for answers")
    line = turn.line(due.product, due.proof)
    turn.put(replace(line, window_from=_beginning(line, state)))
    turn.begin(due, state.verdicts)
    mine = [one for one in state.early if one.item.stamp.set == due.set]
    for answer in mine:
        if due.set in turn.open:
            _add(turn, due.set, answer)
    _close_late(turn, state.latest_ms)
    return replace(state, early=tuple(one for one in state.early if one not in mine))
