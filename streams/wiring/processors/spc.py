"""spc: verdicts, plans and acts in; subgroups, limits, stages and signals out. No rules here.

Time is the append time of verdict.v1, which is heard as it is read; a private tick only asks, and where the log stands still it
counts for a time once verdict.v1 was read to its end.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

import structlog
from pydantic import TypeAdapter

from schemas.codec import Reader, record_of
from schemas.envelope import ContractError, Received, Record
from schemas.spc import LimitsActV1, PlanV1, SignalV1, SubgroupV1
from schemas.topics import DEAD_LETTER, SPC, SPC_TICK, VERDICT
from schemas.verdict import VerdictV1
from streams.metrics import SPC_SIGNALS, SPC_SUBGROUPS, SPC_UNPLACED
from streams.monitors.spc.course import Course, Output
from streams.monitors.spc.memory import Line, Memory, Turn
from streams.monitors.spc.part import part_of
from streams.monitors.spc.station import due_ms, judge, pass_time, register
from streams.settings import Settings
from streams.wiring.adapters.kafka import KafkaRefused, KafkaUnreachable, partitions, read_between
from streams.wiring.engines.tables import PARTS, State, Tables, TablesConfig
from streams.wiring.processors.spc_gauges import follow

log = structlog.get_logger("spc")
APP = "spc"
TABLE = "stations-v1"
_MARGIN_MS = 5_000  # by which the clocks of two brokers, of the tick's and of the verdicts', may differ
_STILL_MS = 2_000
_NOW = 1 << 62  # an offset that no log reaches: read to its end
_KEPT = 4096  # unpacked beside their entries in the table
_READER = Reader(VerdictV1, PlanV1, LimitsActV1)
_VERDICTS = Reader(VerdictV1)
_MEMORY: TypeAdapter[Memory] = TypeAdapter(Memory)
_LINE: TypeAdapter[Line] = TypeAdapter(Line)
_COURSE: TypeAdapter[Course] = TypeAdapter(Course)
Kind = TypeVar("Kind", Memory, Line, Course)


class Unpacked:
    """Entries of the table as objects; those used last are kept."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[str, str], tuple[State, Any]] = OrderedDict()

    def get(self, place: tuple[str, str], packed: State, adapter: TypeAdapter[Kind]) -> Kind:
        kept = self._kept.get(place)
        if kept is not None and kept[0] is packed:
            found: Kind = kept[1]
            return found
        return self.put(place, packed, adapter.validate_python(packed))

    def put(self, place: tuple[str, str], packed: State, found: Kind) -> Kind:
        self._kept[place] = packed, found
        self._kept.move_to_end(place)
        if len(self._kept) > _KEPT:
            self._kept.popitem(last=False)
        return found


class Parts:
    """A station's cold parts: lines by product, courses by `product|series`."""

    def __init__(self, station: str, packed: Mapping[str, State], unpacked: Unpacked) -> None:
        self._station, self._packed, self._unpacked = station, packed, unpacked

    def line(self, product: str) -> Line | None:
        packed = self._packed.get(product)
        return None if packed is None else self._unpacked.get((self._station, product), packed, _LINE)

    def course(self, key: str) -> Course | None:
        packed = self._packed.get(key)
        return None if packed is None else self._unpacked.get((self._station, key), packed, _COURSE)


class Stations:
    """The rules of `monitors.spc` as the engine wants them. State: partition, due_ms, station (its memory), parts.

    states: of all stations that this process owns, once the engine is there.
    """

    def __init__(self, client: Mapping[str, Any]) -> None:
        self._client, self._unpacked = client, Unpacked()
        self._log_ms: dict[int, int] = {}  # partition -> how far verdict.v1 has gone; made anew by reading on
        self._read: dict[int, int] = {}
        self._still: dict[int, tuple[int, int]] = {}  # offset read, and the tick that saw it first or asked last
        self.states: Callable[[], Iterable[State]] = tuple

    def key(self, record: Received) -> str | None:
        """The station. What was written by this program itself is not for it."""
        if record.topic == VERDICT:
            self._read[record.partition] = record.offset
            self._log_ms[record.partition] = max(record.timestamp_ms, self._log_ms.get(record.partition, 0))
        return record.key.decode(errors="replace") if record.key and _READER.wants(record) else None

    def step(self, state: State | None, record: Received) -> tuple[State | None, list[Record]]:
        read = _READER.read(record)
        if read is None:
            return state, []
        message = read[1]
        if not isinstance(message, VerdictV1 | PlanV1 | LimitsActV1) or record.key != message.station.encode():
            raise ContractError("bad_header", f"the key is no {getattr(message, 'station', 'station')}")
        memory, parts = self._load(message.station, state)
        if isinstance(message, VerdictV1):
            part, stage = part_of(message, record.timestamp_ms)
            after, turn = judge(memory, parts, part, stage, record.offset)
        else:
            after, turn = register(memory, parts, message, record.offset, record.timestamp_ms)
        return self._after(record.partition, state, after, parts, turn)

    def due(self, state: State) -> float | None:
        found: int | None = state["due_ms"]
        return found

    def expire(self, key: str, state: State, now_ms: float) -> tuple[State | None, list[Record]]:
        """now_ms: a tick's, so only a question: the log says how far time has gone."""
        memory, parts = self._load(key, state)
        due = due_ms(memory, parts)
        if due is not None and due > now_ms:
            return {**state, "due_ms": due}, []
        if due is None or self._log(state["partition"], due, int(now_ms)) < due:
            return state, []
        after, turn = pass_time(memory, parts, self._log_ms[state["partition"]])
        return self._after(state["partition"], state, after, parts, turn)

    def _log(self, partition: int, due: int, now_ms: int) -> int:
        """How far verdict.v1 has gone in this partition; where that is not enough, also by its silence."""
        if self._log_ms.get(partition, 0) < due <= now_ms - _MARGIN_MS and self._silent(partition, now_ms):
            self._log_ms[partition] = max(self._log_ms.get(partition, 0), now_ms - _MARGIN_MS)
        return self._log_ms.get(partition, 0)

    def _silent(self, partition: int, now_ms: int) -> bool:
        """Whether no verdict lies behind those that were read. Kafka is only asked where none was read for a while: with work
        waiting, and ticks read ahead of it, the answer is no, and asking for every station would hold the work up further.
        """
        before, since_ms = self._still.get(partition, (-2, 0))
        if before != self._read.get(partition, -1):
            self._still[partition] = self._read.get(partition, -1), now_ms
            return False
        if now_ms - since_ms < _STILL_MS:
            return False
        self._still[partition] = before, now_ms
        return self._at_end(partition)

    def _at_end(self, partition: int) -> bool:
        mine = (state["station"].get("verdicts", -1) for state in self.states() if state["partition"] == partition)
        read = max(self._read.get(partition, -1), *mine, -1)
        try:
            return not any(_readable(record) for record in read_between(self._client, (VERDICT, partition), read + 1, _NOW))
        except (KafkaUnreachable, KafkaRefused) as error:
            log.warning("verdicts cannot be read", error=str(error))
            return False

    def _load(self, station: str, state: State | None) -> tuple[Memory, Parts]:
        if state is None:
            return Memory(station=station), Parts(station, {}, self._unpacked)
        memory = self._unpacked.get((station, ""), state["station"], _MEMORY)
        return memory, Parts(station, state[PARTS], self._unpacked)

    def _after(
        self, partition: int, state: State | None, after: Memory, parts: Parts, turn: Turn | None
    ) -> tuple[State | None, list[Record]]:
        if turn is None:
            return state, []
        for why in turn.lost:
            SPC_UNPLACED.labels(after.station).inc()
            log.warning("changes nothing", station=after.station, why=why)
        packed = dict(state[PARTS]) if state is not None else {}
        for name, line in turn.lines.items():
            packed[name] = _LINE.dump_python(line, mode="json", exclude_defaults=True)
            self._unpacked.put((after.station, name), packed[name], line)
        for name, course in turn.courses.items():
            packed[name] = _COURSE.dump_python(course, mode="json", exclude_defaults=True)
            self._unpacked.put((after.station, name), packed[name], course)
        main = _MEMORY.dump_python(after, mode="json", exclude_defaults=True)
        self._unpacked.put((after.station, ""), main, after)
        due = due_ms(after, Parts(after.station, packed, self._unpacked))
        before = None if state is None else state["due_ms"]
        if due is not None and before is not None and after.clock_ms < before <= due:
            due = before  # asked a little early it says the right time; so an alarm is not set anew with every verdict
        new = {"partition": partition, "due_ms": due, "station": main, PARTS: packed}
        return new, [_record(after.station, said) for said in turn.said]


def _readable(record: Received) -> bool:
    try:
        return _VERDICTS.read(record) is not None
    except ContractError:
        return False


def _record(station: str, said: Output) -> Record:
    message = said.message
    if isinstance(message, SubgroupV1):
        SPC_SUBGROUPS.labels(station).inc()
    if isinstance(message, SignalV1) and message.status == "open" and not message.again:
        SPC_SIGNALS.labels(station, message.rule).inc()
        log.warning("signal", station=station, characteristic=message.characteristic, rule=message.rule, to=message.direction)
    return record_of(message, id=said.id, station=station, subject=said.subject, time=getattr(message, "at", None))


def build(settings: Settings, slot: int, *, session_timeout_s: float = 45.0) -> Tables:
    """The processor, not yet running. Raises ValueError where no Kafka is named or a topic is missing, KafkaUnreachable.

    session_timeout_s: so long after a process has gone others take its partitions over.
    """
    client = settings.client()
    found = partitions(client, [VERDICT, SPC])
    if missing := [name for name in (VERDICT, SPC) if name not in found]:
        raise ValueError(f"no topic {', '.join(missing)}: `verdictline topics apply` makes it")
    config = TablesConfig(
        app=APP,
        instance=f"{APP}-{slot}",
        client=client,
        source=VERDICT,
        also=(SPC,),
        table=TABLE,
        tick_topic=SPC_TICK,
        dead_letter_topic=DEAD_LETTER,
        partitions=found[VERDICT],
        session_timeout_s=session_timeout_s,
    )
    stations = Stations(client)
    tables = Tables(config, stations, on_dead=lambda record, dead: ())
    stations.states = tables.states
    follow(tables.parts)
    return tables
