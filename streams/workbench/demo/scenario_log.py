"""What a station's log holds: its anomaly evidence, what drift.v1 says of it, and what the drift monitor's pure rules make of it.

The rules are run over the same records from the first to the last, in one go: an undisturbed run. What the processor wrote,
whatever happened to it meanwhile, must be the same to the byte.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any

from confluent_kafka import TopicPartition

from schemas.drift import DriftEventV1
from schemas.envelope import Received
from schemas.evidence import AnomalyV1
from schemas.topics import DRIFT, EVIDENCE
from streams.monitors.hearing import scored, stream_of
from streams.monitors.references import Library, References
from streams.monitors.stream import Rules, step
from streams.monitors.stream_state import StreamState
from streams.wiring.adapters.kafka import Reader, ends
from streams.wiring.processors.drift import record_for

_TAKE_S = 0.2


class StationLog(AbstractContextManager["StationLog"]):
    """What is written about one score stream from now on. evidence: in the order of the log; said: by event id.

    answered: the inspections that the evidence speaks of.
    """

    def __init__(self, client: Mapping[str, Any], station: str, stream: str) -> None:
        self.evidence: list[Received] = []
        self.answered: set[str] = set()
        self.said: dict[str, bytes] = {}
        self.conflicts: set[str] = set()
        self._station, self._stream = station, stream
        begin = ends(client, [EVIDENCE, DRIFT])
        self._reader = Reader(client, [TopicPartition(*place, offset) for place, offset in begin.items()])

    def __exit__(self, *_: object) -> None:
        self._reader.__exit__()

    def read(self) -> None:
        """What has come, waiting a little for it."""
        for record in self._reader.take(_TAKE_S) or ():
            if record.header("ce_source") != self._station:
                continue
            if record.topic == DRIFT:
                self._keep(record)
            elif record.header("ce_type") == AnomalyV1.TYPE:
                self.evidence.append(record)
                self.answered.add(record.header("ce_subject") or "")

    def _keep(self, record: Received) -> None:
        name, value = record.header("ce_id") or "", record.value or b""
        if name.startswith(self._stream) and self.said.setdefault(name, value) != value:
            self.conflicts.add(name)

    def events(self) -> list[DriftEventV1]:
        """In the order of drift.v1."""
        return [DriftEventV1.read(value) for value in events_in(self.said).values()]


def events_in(said: Mapping[str, bytes]) -> dict[str, bytes]:
    """Without windows."""
    return {name: value for name, value in said.items() if not name.endswith("/summary")}


def ruled(log: StationLog, library: Library, every_ms: int) -> dict[str, bytes]:
    """What drift.v1 must hold by now: events, and the windows of `every_ms` that parts have closed."""
    references = References(library)
    states: dict[str, StreamState] = {}
    found: dict[str, bytes] = {}
    for record in log.evidence:
        evidence = AnomalyV1.read(record.value or b"")
        key, stream = stream_of(evidence)
        rules = Rules(id=key, references=references, every_ms=every_ms)
        outcome = step(states.get(key, StreamState(stream)), scored(evidence, record.timestamp_ms), rules)
        states[key] = outcome.state
        records = [record_for(key, message) for message in outcome.messages]
        found |= {_id(one.headers): one.value or b"" for one in records if one.topic == DRIFT}
    return found


def _id(headers: Any) -> str:
    return str(dict(headers)["ce_id"].decode())
