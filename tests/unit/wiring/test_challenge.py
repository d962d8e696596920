"""Suspect windows that lie among many records of other stations are read a piece a turn, and come out as if read in one."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from pydantic import TypeAdapter

from schemas.challenge import SuspectWindowV1
from schemas.codec import Reader
from schemas.envelope import Received, Record
from schemas.verdict import VerdictV1
from streams.judgement.versions import RuleBook
from streams.monitors.challenge.memory import StationState, Window
from streams.monitors.challenge.windows import PAGE
from streams.wiring.engines.tables import State
from streams.wiring.processors.challenge import Challenges, Past
from tests.helpers.challenges import PRODUCT, STATION, T0_MS, Station, due, part, verdict
from tests.helpers.evidence_log import Published

RULES = RuleBook(Published())
OTHERS = 12  # records of other stations for each of this one
_MEMORY = TypeAdapter(StationState)


class Log(Past):
    """verdict.v1 in memory. own: verdicts of the station; end: of the log; read: records looked at."""

    def __init__(self, own: int, end: int | None = None) -> None:
        self.own, self.read = own, 0
        self.end = own * (OTHERS + 1) if end is None else end

    def verdicts(self, station: str, partition: int, after: int, end: int) -> Iterator[tuple[int, VerdictV1 | None]]:
        for offset in range(after + 1, min(end, self.end)):
            self.read += 1
            yield offset, made(offset) if self.own and offset % (OTHERS + 1) == OTHERS else None


@cache
def made(offset: int) -> VerdictV1:
    return verdict(offset)


def suspected(log: Log) -> State:
    window = Window(product=PRODUCT, proof="digital", set="s/1", after=-1, until=log.end - 1, count=log.own, at_ms=T0_MS)
    return state_of(StationState(station=STATION, verdicts=log.end - 1, windows=(window,)))


def state_of(memory: StationState) -> State:
    station = _MEMORY.dump_python(memory, mode="json", exclude_defaults=True)
    return {"partition": 0, "due_ms": 0, "station": station}


def turns(log: Log, at_once: int) -> Iterator[list[SuspectWindowV1]]:
    """What each tick says, until the window is told."""
    rules, state = Challenges(RULES, log, at_once), suspected(log)
    for tick in range(10_000):
        if state["station"].get("windows") is None:
            return
        found, records = rules.expire(STATION, state, T0_MS + 1000 * tick)
        assert found is not None
        state = found
        yield [message(record) for record in records]


def message(record: Record) -> SuspectWindowV1:
    received = Received(
        topic=record.topic, partition=0, offset=0, timestamp_ms=0, key=record.key, value=record.value, headers=record.headers
    )
    read = Reader(SuspectWindowV1).read(received)
    assert read is not None
    assert isinstance(read[1], SuspectWindowV1)
    return read[1]


def test_a_window_among_foreign_records_is_read_a_piece_a_turn() -> None:
    whole, pieces = Log(PAGE + 30), Log(PAGE + 30)
    (at_once,) = turns(whole, 1_000_000)
    told, before = list[SuspectWindowV1](), 0
    for said in turns(pieces, 1000):
        told += said
        assert pieces.read - before <= 1000
        before = pieces.read
    assert told == at_once
    assert [len(window.parts) for window in told] == [PAGE, 30]
    assert pieces.read == whole.read  # nothing twice


def test_another_process_begins_the_page_again() -> None:
    log = Log(200)
    state = suspected(log)
    first = Challenges(RULES, log, 1000)
    assert first.expire(STATION, state, T0_MS) == (state, [])
    told = [said for said in turns(log, 1000) if said]
    assert [len(window.parts) for (window,) in told] == [200]


def test_a_set_is_overdue_once_the_log_was_read_to_its_end_a_piece_a_turn() -> None:
    """Nothing but records of other stations: as many turns as it takes, and the next question goes on from there."""
    station, log = Station(), Log(0, end=4500)
    station.tell(part("a"), due(within_s=10))
    assert station.state is not None
    rules, state = Challenges(RULES, log, 1000), state_of(station.state)
    late_ms = T0_MS + 60_000
    for turn in range(4):
        assert rules.expire(STATION, state, late_ms + turn) == (state, [])
        assert log.read == 1001 * (turn + 1)
    after, said = rules.expire(STATION, state, late_ms + 4)
    assert after is not state
    assert said
    assert log.read < 4500 + 5
    log.own = 1  # a verdict of its own comes, too late to count but not yet read
    log.end += 1000
    again = Challenges(RULES, log, 10_000)
    assert again.expire(STATION, state, late_ms) == (state, [])
