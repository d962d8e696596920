"""challenge: verdicts and registrations in; sets to run, results, proofs and suspect windows out. No rules here.

The parts of a suspect window are read back from verdict.v1: at once, and where they are many, further with every tick. Time is
the append time of verdict.v1; a private tick only asks, and a set is overdue by it only once verdict.v1 was read to its end.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
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
from streams.monitors.challenge.memory import StationState
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
_NOW = 1 << 62  # an offset that no log reaches: read to its end
_READER = Reader(VerdictV1, ChallengePartV1, ChallengeScheduleV1, ChallengeDueV1)
_VERDICTS = Reader(VerdictV1)
_MEMORY: TypeAdapter[StationState] = TypeAdapter(StationState)


class Past:
    """verdict.v1, read again. Raises KafkaUnreachable, KafkaRefused."""

    def __init__(self, client: Mapping[str, Any]) -> None:
        self._client = client

    def verdicts(self, station: str, partition: int, after: int, end: int) -> Iterator[tuple[int, VerdictV1]]:
        """(offset, verdict) of one station behind offset `after`, before `end`; what is no readable verdict is left out."""
        key = station.encode()
        for record in read_between(self._client, (VERDICT, partition), after + 1, end):
            if record.key == key and (verdict := _verdict(record)) is not None:
                yield record.offset, verdict

    def read_to_end(self, station: str, partition: int, offset: int) -> bool:
        """Whether no first verdict of the station lies behind this offset."""
        return not any(verdict.revision == 1 for _, verdict in self.verdicts(station, partition, offset, _NOW))


class Challenges:
    """The rules of `monitors.challenge` as the engine wants them. State: partition, due_ms, station (its memory)."""

    def __init__(self, rules: RuleBook, past: Past) -> None:
        self._rules, self._past = rules, past
        self._read: dict[int, int] = {}  # partition of verdict.v1 -> offset read; made anew by reading on
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
        after, more = self._read_back(record.partition, after)
        return self._dump(record.partition, after, 0), [_record(after.station, one) for one in (*said, *more)]

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
            return register(before, message, record.offset, record.timestamp_ms)
        return before, []

    def _thresholds(self, verdict: VerdictV1) -> Mapping[str, float]:
        if verdict.challenge is None:
            return {}
        rules = self._rules.rules(verdict.policy, verdict.model_set)
        return rules.thresholds if isinstance(rules, Rules) else {}

    def _has_read(self, state: StationState, partition: int) -> bool:
        try:
            return self._past.read_to_end(state.station, partition, max(state.verdicts, self._read.get(partition, -1)))
        except (KafkaUnreachable, KafkaRefused) as error:
            log.warning("verdicts cannot be read", error=str(error))
            return False

    def _read_back(self, partition: int, state: StationState) -> tuple[StationState, list[Said]]:
        """The next pages of the suspect windows; what cannot be read now stays for the next tick."""
        said: list[Said] = []
        try:
            while state.windows and len(said) < _PAGES_AT_ONCE:
                state, told = self._pages(partition, state, _PAGES_AT_ONCE - len(said))
                said += told
        except (KafkaUnreachable, KafkaRefused) as error:
            log.warning("a suspect window cannot be read back", error=str(error))
        return state, said

    def _pages(self, partition: int, state: StationState, most: int) -> tuple[StationState, list[Said]]:
        """Of the first window."""
        window, said, parts = state.windows[0], [], []
        for offset, verdict in self._past.verdicts(state.station, partition, window.after, window.until + 1):
            if not belongs(window, state.station, verdict):
                continue
            parts.append(verdict)
            if len(parts) == PAGE:
                said.append(page(state.station, window, parts))
                state, parts = turned(state, offset), []
                if len(said) == most or not state.windows or state.windows[0].set != window.set:
                    return state, said
                window = state.windows[0]
        return turned(state, window.until), [*said, page(state.station, window, parts)]

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
    PROVEN.follow(lambda: proofs(tables.states()))
    PASSED_AT.follow(lambda: passes(tables.states()))
    return tables


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
