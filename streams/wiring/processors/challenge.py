"""challenge: verdicts and registrations in; sets to run, results, proofs and suspect windows out. No rules here.

The parts of a suspect window are read back from verdict.v1: at once, and where they are many, or lie among many of other
stations, further with every tick. Time is the append time of verdict.v1; a private tick only asks, and a set is overdue by it
only once verdict.v1 was read to its end. No turn reads back more than READ_AT_ONCE records: the loop serves others, too.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import structlog
from pydantic import TypeAdapter

from schemas.challenge import ChallengeDueV1, ChallengePartV1, ChallengeResultV1, ChallengeScheduleV1, StationProofV1
from schemas.codec import Reader, record_of
from schemas.envelope import ContractError, Received, Record
from schemas.topics import CHALLENGE, CHALLENGE_TICK, DEAD_LETTER, VERDICT
from schemas.verdict import VerdictV1
from streams.judgement.rules import Rules
from streams.judgement.versions import RuleBook
from streams.metrics import MISSED, PASSED_AT, PROVEN, Row
from streams.monitors.challenge.answers import judged
from streams.monitors.challenge.memory import StationState, Window
from streams.monitors.challenge.station import due_ms, judge, overdue, register
from streams.monitors.challenge.turn import Said
from streams.monitors.challenge.windows import PAGE, belongs, page, turned
from streams.settings import Settings
from streams.wiring.adapters.kafka import KafkaRefused, KafkaUnreachable, partitions, read_between
from streams.wiring.adapters.registry import Registry
from streams.wiring.engines.tables import State, Tables, TablesConfig
from streams.wiring.processors.triage import PatientVersions

log = structlog.get_logger("challenge")
APP = "challenge"
TABLE = "stations-v1"
_LOOK_AGAIN_MS = 1_000
_PAGES_AT_ONCE = 10
READ_AT_ONCE = 20_000  # records: a second or less
_NOW = 1 << 62  # an offset that no log reaches: read to its end
_READER = Reader(VerdictV1, ChallengePartV1, ChallengeScheduleV1, ChallengeDueV1)
_VERDICTS = Reader(VerdictV1)
_MEMORY: TypeAdapter[StationState] = TypeAdapter(StationState)


class Past:
    """verdict.v1, read again. Raises KafkaUnreachable, KafkaRefused."""

    def __init__(self, client: Mapping[str, Any]) -> None:
        self._client = client

    def verdicts(self, station: str, partition: int, after: int, end: int) -> Iterator[tuple[int, VerdictV1 | None]]:
        """Every record's offset behind `after`, before `end`; with the verdict, where it is a readable one of this station."""
        key = station.encode()
        for record in read_between(self._client, (VERDICT, partition), after + 1, end):
            yield record.offset, _verdict(record) if record.key == key else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Half:
    """How far a page that is not full yet was read. It is not kept: another process begins the page again."""

    window: Window
    read_to: int
    parts: tuple[VerdictV1, ...]


class Challenges:
    """The rules of `monitors.challenge` as the engine wants them. State: partition, due_ms, station (its memory).

    read_at_once: records of verdict.v1 that are read back in a turn.
    """

    def __init__(self, rules: RuleBook, past: Past, read_at_once: int = READ_AT_ONCE) -> None:
        self._rules, self._past, self._at_once = rules, past, read_at_once
        self._read: dict[int, int] = {}  # partition of verdict.v1 -> offset read; made anew by reading on
        self._clear: dict[str, int] = {}  # station -> offset up to which no first verdict of it lies; made anew as well
        self._halves: dict[str, Half] = {}  # station -> the page at work
        self._loaded: dict[str, tuple[State, StationState]] = {}

    def key(self, record: Received) -> str | None:
        """The station. What was written by this program itself is not for it."""
        if record.topic == VERDICT:
            self._read[record.partition] = record.offset
        return record.key.decode(errors="replace") if record.key and _READER.wants(record) else None

    def step(self, state: State | None, record: Received) -> tuple[State | None, list[Record]]:
        before = self._load(state)
        if before is None and record.topic == VERDICT:
            return None, []  # a station without challenge parts costs no more than this
        after, said = self._step(before, record)
        if after is None or after is before:
            return state, []
        if before is None or after.windows != before.windows:  # else it is a tick's turn
            after, more = self._read_back(record.partition, after)
            said = [*said, *more]
        return self._dump(record.partition, after, 0), [_record(after.station, one) for one in said]

    def due(self, state: State) -> float | None:
        found = state["due_ms"]
        return None if found is None else float(found)

    def expire(self, key: str, state: State, now_ms: float) -> tuple[State | None, list[Record]]:
        """now_ms: a tick's."""
        before, partition = self._load(state), state["partition"]
        assert before is not None
        after, said = overdue(before, int(now_ms)) if self._has_read(before, partition) else (before, [])
        after, more = self._read_back(partition, after)
        if after is before:
            return state, []
        return self._dump(partition, after, int(now_ms) + _LOOK_AGAIN_MS), [_record(key, one) for one in (*said, *more)]

    def _step(self, before: StationState | None, record: Received) -> tuple[StationState | None, list[Said]]:
        read = _READER.read(record)
        message = None if read is None else read[1]
        if isinstance(message, VerdictV1) and before is not None:
            if message.revision > 1:
                return before, []
            return judge(before, judged(message, record.offset, record.timestamp_ms, self._thresholds(message)))
        if isinstance(message, ChallengePartV1 | ChallengeScheduleV1 | ChallengeDueV1):
            if record.key != message.station.encode():
                raise ContractError("bad_header", f"the key is no {message.station}")
            _count_from_zero(message.station, message.proof)
            return register(before, message, record.offset, record.timestamp_ms)
        return before, []

    def _thresholds(self, verdict: VerdictV1) -> Mapping[str, float]:
        if verdict.challenge is None:
            return {}
        rules = self._rules.rules(verdict.policy, verdict.model_set)
        return rules.thresholds if isinstance(rules, Rules) else {}

    def _has_read(self, state: StationState, partition: int) -> bool:
        """Whether no first verdict of the station lies between what this loop has read and the end of the log."""
        station = state.station
        begin = max(state.verdicts, self._read.get(partition, -1), self._clear.get(station, -1))
        try:
            for read, (offset, verdict) in enumerate(self._past.verdicts(station, partition, begin, _NOW), 1):
                if (verdict is not None and verdict.revision == 1) or read > self._at_once:
                    return False
                self._clear[station] = offset
        except (KafkaUnreachable, KafkaRefused) as error:
            log.warning("verdicts cannot be read", error=str(error))
            return False
        return True

    def _read_back(self, partition: int, state: StationState) -> tuple[StationState, list[Said]]:
        """The next pages of the suspect windows; what cannot be read now stays for the next tick."""
        said: list[Said] = []
        left = self._at_once
        try:
            while state.windows and len(said) < _PAGES_AT_ONCE and left > 0:
                state, told, left = self._page(partition, state, left)
                said += told
        except (KafkaUnreachable, KafkaRefused) as error:
            log.warning("a suspect window cannot be read back", error=str(error))
        return state, said

    def _page(self, partition: int, state: StationState, most: int) -> tuple[StationState, list[Said], int]:
        """The first window's next page, once it is complete; and how many of the `most` records are left to read."""
        window, read = state.windows[0], 0
        half = self._halves.pop(state.station, None)
        half = half if half is not None and half.window == window else Half(window=window, read_to=window.after, parts=())
        parts = [*half.parts]
        for offset, verdict in self._past.verdicts(state.station, partition, half.read_to, window.until + 1):
            read += 1
            if verdict is not None and belongs(window, state.station, verdict):
                parts.append(verdict)
            if len(parts) == PAGE:
                return turned(state, offset), [page(state.station, window, parts)], most - read
            if read == most:
                self._halves[state.station] = Half(window=window, read_to=offset, parts=tuple(parts))
                return state, [], 0
        return turned(state, window.until), [page(state.station, window, parts)], most - read

    def _load(self, state: State | None) -> StationState | None:
        if state is None:
            return None
        kept = self._loaded.get(state["station"]["station"])
        if kept is not None and kept[0] is state:
            return kept[1]
        return _MEMORY.validate_python(state["station"])

    def _dump(self, partition: int, memory: StationState, look_ms: int) -> State:
        due = due_ms(memory)
        station = _MEMORY.dump_python(memory, mode="json", exclude_defaults=True)
        state = {"partition": partition, "due_ms": None if due is None else max(due, look_ms), "station": station}
        self._loaded[memory.station] = state, memory
        return state


def _verdict(record: Received) -> VerdictV1 | None:
    try:
        read = _VERDICTS.read(record)
    except ContractError:
        return None
    return read[1] if read is not None and isinstance(read[1], VerdictV1) else None


def _record(station: str, said: Said) -> Record:
    message = said.message
    if isinstance(message, StationProofV1):
        tell = log.info if message.proven else log.error
        tell("proven" if message.proven else "NOT PROVEN", station=station, proof=message.proof, why=message.why)
    if isinstance(message, ChallengeResultV1) and message.trigger != "limit":
        MISSED.labels(station, message.proof).inc(not message.passed)
    time = message.due_at if isinstance(message, ChallengeDueV1) else getattr(message, "at", None)
    return record_of(message, id=said.id, station=station, subject=said.subject, time=time)


def build(settings: Settings, slot: int) -> Tables:
    """The processor, not yet running. Raises ValueError where no Kafka is named or a topic is missing, KafkaUnreachable."""
    client = settings.client()
    found = partitions(client, [VERDICT, CHALLENGE])
    if missing := [name for name in (VERDICT, CHALLENGE) if name not in found]:
        raise ValueError(f"no topic {', '.join(missing)}: `verdictline topics apply` makes it")
    config = TablesConfig(
        app=APP,
        instance=f"{APP}-{slot}",
        client=client,
        source=VERDICT,
        also=(CHALLENGE,),
        table=TABLE,
        tick_topic=CHALLENGE_TICK,
        dead_letter_topic=DEAD_LETTER,
        partitions=found[VERDICT],
    )
    rules = Challenges(RuleBook(PatientVersions(Registry(client).start())), Past(client))
    tables = Tables(config, rules, on_dead=lambda record, dead: ())
    PROVEN.follow(lambda: watched(tables.states()))
    PASSED_AT.follow(lambda: passes(tables.states()))
    return tables


def watched(states: Iterable[State]) -> list[Row]:
    """The rows of `proofs`, and each of these stations counts its missed sets from now on."""
    rows = [*proofs(states)]
    for (station, _, proof), _ in rows:
        _count_from_zero(station, proof)
    return rows


def _count_from_zero(station: str, proof: str) -> None:
    """As soon as it is known: `increase` does not see a series being born at 1, so the first miss would alert nobody."""
    MISSED.labels(station, proof)


def proofs(states: Iterable[State]) -> Iterator[Row]:
    """(station, product, proof), proven. states: as the table holds them, defaults left out."""
    for station, line in _lines(states):
        yield (station, line["product"], line["proof"]), float(line.get("proven", False))


def passes(states: Iterable[State]) -> Iterator[Row]:
    """(station, product, proof), when a set last passed; nothing where none ever did."""
    for station, line in _lines(states):
        if (at_ms := line.get("last_pass_ms")) is not None:
            yield (station, line["product"], line["proof"]), at_ms / 1000


def _lines(states: Iterable[State]) -> Iterator[tuple[str, dict[str, Any]]]:
    for state in states:
        memory = state["station"]
        yield from ((memory["station"], line) for line in memory.get("lines", {}).values())
