"""drift, first stage: anomaly evidence in, a summary a window and score stream out. No rules here.

A window closes by the time of evidence.v1's own log, which the reducer hears as it reads: the private ticks only ask. So a
window holds the same scores whenever it is computed, and a repeated summary has the same id and content.
"""

from __future__ import annotations

from collections.abc import Callable

import structlog

from schemas.codec import Reader, record_of
from schemas.drift import DriftSummaryV1
from schemas.envelope import ContractError, Received, Record
from schemas.evidence import AnomalyV1
from schemas.model_set import ModelSetV1
from schemas.topics import DEAD_LETTER, DRIFT_TICK, EVIDENCE
from streams.fates import Unavailable
from streams.metrics import SCORES
from streams.monitors.summary import (
    StreamState,
    due,
    dump,
    edges_of,
    expire,
    forgotten,
    load,
    step,
    stream_digest,
    stream_of,
)
from streams.settings import Settings
from streams.wiring.adapters.kafka import partitions
from streams.wiring.adapters.registry import Registry
from streams.wiring.engines.tables import State, Tables, TablesConfig

log = structlog.get_logger("drift")
APP = "drift"
TABLE = "streams-v1"
_LOOK_AGAIN_MS = 1_000
_READER = Reader(AnomalyV1)
Edges = Callable[[AnomalyV1], tuple[float, ...]]


class Summaries:
    """The pure rules of `monitors.summary` as the engine wants them. State: partition, look_ms (not before), stream."""

    def __init__(self, every_ms: int, edges: Edges) -> None:
        self._every_ms, self._edges = every_ms, edges
        self._log_ms: dict[int, int] = {}  # partition -> the latest append time read; made anew by reading on
        self._last: tuple[Received, AnomalyV1] | None = None

    def key(self, record: Received) -> str | None:
        """The score stream, for production scores. Raises ContractError."""
        self._log_ms[record.partition] = max(record.timestamp_ms, self._log_ms.get(record.partition, 0))
        found = _READER.read(record)
        if found is None or not isinstance(found[1], AnomalyV1) or found[1].purpose != "production":
            return None
        self._last = record, found[1]
        return stream_digest(stream_of(found[1]))

    def step(self, state: State | None, record: Received) -> tuple[State, list[Record]]:
        evidence = self._read(record)
        before = None if state is None else load(state["stream"])
        now_ms, edges = record.timestamp_ms, self._edges(evidence)
        after, closed = step(before, evidence, now_ms, every_ms=self._every_ms, edges=edges)
        if before is None or after.seen is not before.seen:
            SCORES.labels(evidence.station).inc()
        return _state(record.partition, now_ms, after), [*map(_record, closed)]

    def due(self, state: State) -> float:
        return float(max(due(load(state["stream"]), every_ms=self._every_ms), state["look_ms"]))

    def expire(self, key: str, state: State, now_ms: float) -> tuple[State | None, list[Record]]:
        """now_ms: a tick's, so only a question: the log says how far time has gone."""
        log_ms = self._log_ms.get(state["partition"], 0)
        after, closed = expire(load(state["stream"]), log_ms, every_ms=self._every_ms)
        if not closed and forgotten(after, log_ms):
            return None, []
        return _state(state["partition"], round(now_ms) + _LOOK_AGAIN_MS, after), [*map(_record, closed)]

    def _read(self, record: Received) -> AnomalyV1:
        if self._last is None or self._last[0] is not record:
            self.key(record)
        if self._last is None or self._last[0] is not record:
            raise ContractError("unknown_type", "no anomaly evidence of production")
        return self._last[1]


def _state(partition: int, look_ms: int, stream: StreamState) -> State:
    return {"partition": partition, "look_ms": look_ms, "stream": dump(stream)}


def _record(summary: DriftSummaryV1) -> Record:
    stream = stream_digest(summary.stream)
    identity = f"{stream}/{summary.first}/summary"
    return record_of(summary, id=identity, station=summary.stream.station, subject=stream, time=summary.closed_at)


def edges_from(registry: Registry) -> Edges:
    """Edges by the calibration scores in the stamped model set; a version never changes, so they are kept."""
    known: dict[tuple[str, str], tuple[float, ...]] = {}

    def edges(evidence: AnomalyV1) -> tuple[float, ...]:
        key = evidence.model_set, evidence.view
        if key not in known:
            models = _patiently(registry, evidence.model_set)
            model = None if models is None else models.model("anomaly")
            known[key] = edges_of(() if model is None else model.calibration.get(evidence.view, ()))
        return known[key]

    return edges


def _patiently(registry: Registry, digest: str) -> ModelSetV1 | None:
    """A reducer calls nobody, so a registry that is away stops it here; the watchdog ends a process that waits too long."""
    while True:
        try:
            return registry.model_set(digest)
        except Unavailable as error:
            log.warning("waiting for the model sets", error=str(error))


def build(settings: Settings, slot: int) -> Tables:
    """The processor, not yet running. Raises ValueError where no Kafka is named or a topic is missing, KafkaUnreachable."""
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
    )
    rules = Summaries(round(settings.summary_every_s * 1000), edges_from(Registry(client).start()))
    return Tables(config, rules, on_dead=lambda record, dead: ())
