"""A partition of evidence.v1 without a broker: records with offsets and append times, and the shard that reads them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from schemas.codec import record_of
from schemas.common import Message, digest
from schemas.envelope import Received, Record
from schemas.evidence import TickV1
from schemas.model_set import ModelSetV1
from schemas.policy import PolicyV1
from schemas.verdict import VerdictV1
from streams.judgement.shard import TriageShard
from streams.judgement.versions import RuleBook
from tests.helpers.judgement import STATION, evidence_key

T0_MS = 1_767_600_000_000


class Published:
    """Versions that were published, by digest."""

    def __init__(self, *messages: PolicyV1 | ModelSetV1) -> None:
        self._policies = {digest(one): one for one in messages if isinstance(one, PolicyV1)}
        self._model_sets = {digest(one): one for one in messages if isinstance(one, ModelSetV1)}

    def policy(self, digest: str) -> PolicyV1 | None:
        return self._policies.get(digest)

    def model_set(self, digest: str) -> ModelSetV1 | None:
        return self._model_sets.get(digest)


def evidence_record(message: Message) -> Record:
    subject = str(getattr(message, "inspection", "tick"))
    return record_of(message, id=evidence_key(message), station=str(getattr(message, "station", STATION)), subject=subject)


def appended(record: Record, offset: int, at_ms: int, partition: int = 0) -> Received:
    """What the broker makes of it."""
    return Received(
        topic=record.topic,
        partition=partition,
        offset=offset,
        timestamp_ms=at_ms,
        key=record.key,
        value=record.value,
        headers=record.headers,
    )


def log_of(events: Iterable[tuple[float, Message]]) -> list[Received]:
    """(seconds after T0, message) -> the log, in the order given."""
    return [appended(evidence_record(message), i, T0_MS + round(at * 1000)) for i, (at, message) in enumerate(events)]


def tick() -> TickV1:
    return TickV1(owner="triage-0")


def play(log: Sequence[Received], versions: Published) -> tuple[list[Record], TriageShard]:
    shard = TriageShard(RuleBook(versions))
    return [output for record in log for output in shard.step(record).outputs], shard


def verdicts(outputs: Iterable[Record]) -> list[VerdictV1]:
    return [VerdictV1.read(record.value or b"") for record in outputs if record.topic == "verdict.v1"]
