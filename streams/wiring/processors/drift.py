"""drift: anomaly evidence in, events, summaries and the state of baselines out. No rules here.

What waits is released by the time of evidence.v1's own log, which the reducer hears as it reads: the private ticks only ask. So
every event is a function of the log, and a repeated one has the same id and content.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Any, TypeVar, get_args

import structlog

from schemas.baseline import BaselineStateV1, BaselineV1
from schemas.codec import Reader, keyed, record_of
from schemas.common import BaselineState, Message, digest
from schemas.drift import DriftEventV1, DriftSummaryV1
from schemas.envelope import ContractError, Received, Record
from schemas.evidence import AnomalyV1
from schemas.model_set import ModelSetV1
from schemas.policy import PolicyV1
from schemas.topics import DEAD_LETTER, DRIFT_TICK, EVIDENCE
from streams.fates import Unavailable
from streams.metrics import (
    BASELINE_STATE,
    BASELINE_STATES,
    CERTIFICATE_ENDS,
    DRIFT_EVENTS,
    DRIFT_HOLES,
    DRIFT_STREAMS,
    DRIFT_UNJUDGED,
    DRIFT_WAITING,
    SCORES,
    Row,
)
from streams.monitors.announcing import event_id
from streams.monitors.hearing import scored, stream_of
from streams.monitors.references import Library, References
from streams.monitors.stream import Outcome, Rules, due, expire, step
from streams.monitors.stream_state import StreamState, dump, load
from streams.settings import Settings
from streams.wiring.adapters.baseline_registry import BaselineRegistry
from streams.wiring.adapters.baselines import BaselineEntry
from streams.wiring.adapters.kafka import partitions
from streams.wiring.engines.tables import State, Tables, TablesConfig

log = structlog.get_logger("drift")
APP = "drift"
TABLE = "streams-v4"
_DAY_S = 24 * 3600
_KEPT_STREAMS = 1024  # unpacked beside their table entry: a line's streams, not a plant's
_READER = Reader(AnomalyV1)
Answer = TypeVar("Answer")


class Streams:
    """The pure rules of `monitors.stream` as the engine wants them. A table's entry is a dumped StreamState."""

    def __init__(self, every_ms: int, library: Library) -> None:
        self._every_ms, self._references = every_ms, References(library)
        self._log_ms: dict[int, int] = {}  # partition -> the latest append time read; made anew by reading on
        self._last: tuple[Received, AnomalyV1] | None = None
        self._unpacked: OrderedDict[str, tuple[State, StreamState]] = OrderedDict()

    def key(self, record: Received) -> str | None:
        """The digest of the score stream. Raises ContractError."""
        self._log_ms[record.partition] = max(record.timestamp_ms, self._log_ms.get(record.partition, 0))
        found = _READER.read(record)
        if found is None or not isinstance(found[1], AnomalyV1):
            return None
        self._last = record, found[1]
        return stream_of(found[1])[0]

    def step(self, state: State | None, record: Received) -> tuple[State | None, list[Record]]:
        evidence = self._read(record)
        key, stream = stream_of(evidence)
        before = StreamState(stream) if state is None else self._load(key, state)
        outcome = step(before, scored(evidence, record.timestamp_ms), self._rules(key))
        SCORES.labels(evidence.station).inc(outcome.judged)
        if outcome.fate != "fresh":
            DRIFT_UNJUDGED.labels(outcome.fate).inc()
        return self._after(key, record.partition, state, before, outcome)

    def due(self, state: State) -> float | None:
        due_ms: int | None = state["due_ms"]
        return due_ms

    def expire(self, key: str, state: State, now_ms: float) -> tuple[State | None, list[Record]]:
        """now_ms: a tick's, so only a question: the log says how far time has gone."""
        log_ms = self._log_ms.get(state["partition"], 0)
        if state["due_ms"] is None or log_ms < state["due_ms"]:
            return state, []
        before = self._load(key, state)
        outcome = expire(before, log_ms, self._rules(key))
        SCORES.labels(before.stream.station).inc(outcome.judged)
        return self._after(key, state["partition"], state, before, outcome)

    def _read(self, record: Received) -> AnomalyV1:
        if self._last is None or self._last[0] is not record:
            self.key(record)
        if self._last is None or self._last[0] is not record:
            raise ContractError("unknown_type", "no anomaly evidence")
        return self._last[1]

    def _rules(self, key: str) -> Rules:
        return Rules(id=key, references=self._references, every_ms=self._every_ms)

    def _load(self, key: str, state: State) -> StreamState:
        kept = self._unpacked.get(key)
        return kept[1] if kept is not None and kept[0] is state else load(state["stream"])

    def _after(
        self, key: str, partition: int, state: State | None, before: StreamState, outcome: Outcome
    ) -> tuple[State | None, list[Record]]:
        """What the engine gets: the same object where nothing changed."""
        DRIFT_HOLES.inc(outcome.holes)
        for message in outcome.messages:
            if isinstance(message, DriftEventV1):
                DRIFT_EVENTS.labels(message.kind).inc()
        if outcome.state is before or outcome.state == before:
            return state, []
        new = {"partition": partition, "due_ms": due(outcome.state, self._every_ms), "stream": dump(outcome.state)}
        self._unpacked[key] = new, outcome.state
        self._unpacked.move_to_end(key)
        if len(self._unpacked) > _KEPT_STREAMS:
            self._unpacked.popitem(last=False)
        return new, [record_for(key, message) for message in outcome.messages]


def record_for(key: str, message: Message) -> Record:
    """The record of one output, with an id that a replay gives again. key: the stream's digest."""
    match message:
        case DriftEventV1():
            facts = event_id(key, message), message.inspection, message.at
        case DriftSummaryV1():
            facts = f"{key}/{message.first}/summary", key, message.closed_at
        case BaselineStateV1():
            at = f"{key}/{message.inspection}/state/{message.state}"
            return keyed(message, id=at, key=f"state/{key}", subject=key, time=message.since)
        case BaselineV1():
            named = digest(message)
            return keyed(message, id=named, key=named, subject=key, time=None)
        case _:
            raise TypeError(f"nobody reads a {type(message).__name__} of drift")
    identity, subject, time = facts
    return record_of(message, id=identity, station=message.stream.station, subject=subject, time=time)


class Patient:
    """A reducer calls nobody, so a registry that is away stops it; the watchdog ends a process that waits too long."""

    def __init__(self, registry: BaselineRegistry) -> None:
        self._registry = registry

    def baseline(self, digest: str) -> BaselineV1 | None:
        return self._ask(lambda: self._registry.baseline(digest))

    def model_set(self, digest: str) -> ModelSetV1 | None:
        return self._ask(lambda: self._registry.model_set(digest))

    def policy(self, digest: str) -> PolicyV1 | None:
        return self._ask(lambda: self._registry.policy(digest))

    def _ask(self, question: Callable[[], Answer]) -> Answer:
        while True:
            try:
                return question()
            except Unavailable as error:
                log.warning("waiting for baselines, policies and model sets", error=str(error))


def build(settings: Settings, slot: int, *, session_timeout_s: float = 45.0) -> Tables:
    """The processor, not yet running. Raises ValueError where no Kafka is named or a topic is missing, KafkaUnreachable.

    session_timeout_s: so long after a process has gone others take its partitions over.
    """
    client = settings.client()
    found = partitions(client, [EVIDENCE])
    if not found:
        raise ValueError(f"no topic {EVIDENCE}: `verdictline topics apply` makes it")
    config = TablesConfig(
        app=APP,
        instance=f"{APP}-{slot}",
        client=client,
        source=EVIDENCE,
        table=TABLE,
        tick_topic=DRIFT_TICK,
        dead_letter_topic=DEAD_LETTER,
        partitions=found[EVIDENCE],
        session_timeout_s=session_timeout_s,
    )
    registry = BaselineRegistry(client).start()
    streams = Streams(round(settings.summary_every_s * 1000), Patient(registry))
    tables = Tables(config, streams, on_dead=lambda record, dead: ())
    for name in get_args(BaselineState):
        DRIFT_STREAMS.labels(name).set_function(partial(_how_many, tables, name))
    BASELINE_STATE.follow(lambda: standings(tables.states()))
    CERTIFICATE_ENDS.follow(lambda: certificate_ends(tables.states(), registry.baseline_entries()))
    DRIFT_WAITING.set_function(lambda: sum(len(state["stream"]["order"][-1]) for state in tables.states()))
    return tables


def standings(states: Iterable[State]) -> Iterator[Row]:
    """(station, product, view), number of the state in BASELINE_STATES."""
    for place, stream in _newest(states).items():
        if stream["said"] is not None:
            yield place, float(BASELINE_STATES.index(stream["said"]))


def certificate_ends(states: Iterable[State], entries: Mapping[str, BaselineEntry]) -> Iterator[Row]:
    """(station, product, view), end of the certificate in seconds since 1970, where it is for a number of days."""
    for place, stream in _newest(states).items():
        entry = entries.get(stream["basis"][1] or "") if stream["basis"] is not None else None
        if entry is not None and entry.certificate.days is not None:
            yield place, stream["trust"][0] / 1000 + entry.certificate.days * _DAY_S


def _newest(states: Iterable[State]) -> dict[tuple[str, ...], dict[str, Any]]:
    """The dumped stream that was judged last of each (station, product, view): another model or camera has another one."""
    found: dict[tuple[str, ...], dict[str, Any]] = {}
    for stream in sorted((state["stream"] for state in states), key=lambda stream: stream["moment_ms"]):
        named = stream["stream"]
        found[named["station"], named["product"], named["view"]] = stream
    return found


def _how_many(tables: Tables, name: str) -> int:
    return sum(state["stream"]["said"] == name for state in tables.states())
