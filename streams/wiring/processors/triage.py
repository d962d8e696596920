"""triage: evidence in, verdicts and requests for geometry out, in transactions. No rules here: `judgement` has them.

`redecide` runs the same machine over a log again: its verdicts are those of verdict.v1, byte for byte.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar
from weakref import WeakSet

import structlog

from schemas.codec import SCHEMA_BASE, enveloped
from schemas.envelope import Envelope, Received, Record, from_millis
from schemas.evidence import TickV1
from schemas.model_set import ModelSetV1
from schemas.policy import PolicyV1
from schemas.topics import DEAD_LETTER, EVIDENCE, TRIAGE_STATE, VERDICT
from schemas.verdict import VerdictV1
from streams.effects import Effects
from streams.fates import Unavailable
from streams.judgement.shard import TriageShard
from streams.judgement.versions import RuleBook, Versions
from streams.metrics import (
    ANNOUNCED,
    CONFLICTS,
    COPIES,
    DEAD_LETTERS,
    HANDLED,
    JUDGED,
    LAST_VERDICT,
    NO_VERDICTS,
    OPEN,
    REVISED,
    STATES,
    VERDICT_SECONDS,
    VERDICTS,
)
from streams.settings import Settings
from streams.wiring.adapters.registry import Registry
from streams.wiring.engines.exact import Batching, Exact

log = structlog.get_logger("triage")
GROUP = "triage"
KINDS = ("announced", "anomaly", "classification", "segmentation", "failed", "reviewed")
_UNKNOWN_S = 1.0
T = TypeVar("T")


class PatientVersions:
    """A reducer calls nobody, so a registry that is away stops it here; the watchdog ends a process that waits too long.

    That nobody knows a version is believed for a second: a station with a wrong stamp must not cost a look at Kafka a part.
    """

    def __init__(self, versions: Versions) -> None:
        self._versions = versions
        self._unknown: dict[str, float] = {}

    def policy(self, digest: str) -> PolicyV1 | None:
        return self._insist(self._versions.policy, digest)

    def model_set(self, digest: str) -> ModelSetV1 | None:
        return self._insist(self._versions.model_set, digest)

    def _insist(self, ask: Callable[[str], T | None], digest: str) -> T | None:
        if time.monotonic() < self._unknown.get(digest, 0):
            return None
        while True:
            try:
                found = ask(digest)
            except Unavailable as error:
                log.warning("waiting for policies and model sets", error=str(error))
                time.sleep(0.2)
                continue
            self._unknown = {} if found is not None else {**self._unknown, digest: time.monotonic() + _UNKNOWN_S}
            return found


class CountedShard(TriageShard):
    """A shard whose tally becomes metrics. A batch that is done again is counted again."""

    def step(self, record: Received) -> Effects:
        effects = super().step(record)
        tally = self.tally.taken()
        for station, count in tally.announced.items():
            ANNOUNCED.labels(station).inc(count)
        for verdict in tally.verdicts:
            _count(verdict)
        for counter, counts in ((COPIES, tally.copies), (CONFLICTS, tally.conflicts)):
            for stage, count in counts.items():
                counter.labels(stage).inc(count)
        for reason, count in tally.dead.items():
            DEAD_LETTERS.labels(GROUP, reason).inc(count)
            log.warning("dead letter", reason=reason, partition=record.partition, offset=record.offset)
        if tally.ignored:
            HANDLED.labels(GROUP, "ignored").inc(tally.ignored)
        return effects


def _count(verdict: VerdictV1) -> None:
    """Yield and SPC are about production; who waits for a verdict is not."""
    if verdict.revision > 1:
        REVISED.labels(verdict.station, verdict.disposition).inc()
        return
    JUDGED.labels(verdict.station).inc()
    NO_VERDICTS.labels(verdict.station, "missing_evidence").inc(0)  # is there before the first one: an alert sees it
    VERDICT_SECONDS.labels(verdict.station).observe((verdict.decided_at - verdict.announced_at).total_seconds())
    LAST_VERDICT.labels(verdict.station).set(verdict.decided_at.timestamp())
    if verdict.disposition == "no_verdict":
        NO_VERDICTS.labels(verdict.station, verdict.reasons[0].code).inc()
    if verdict.purpose == "production":
        VERDICTS.labels(verdict.station, verdict.product, verdict.disposition).inc()


class Triage(Exact):
    """The engine with the registry that it asks; both end together."""

    def __init__(self, settings: Settings, slot: int) -> None:
        self._registry = Registry(settings.client())
        rules = RuleBook(PatientVersions(self._registry))
        shards: WeakSet[CountedShard] = WeakSet()

        def make_shard(_: int) -> CountedShard:
            shards.add(shard := CountedShard(rules))
            return shard

        STATES.labels(GROUP).set_function(lambda: sum(map(len, shards)))
        OPEN.set_function(lambda: sum(shard.waiting for shard in shards))
        for kind in KINDS:  # 0 from the start: an alert sees the first one
            COPIES.labels(kind), CONFLICTS.labels(kind)
        instance = f"{GROUP}-{slot}"
        super().__init__(
            group=GROUP,
            instance=instance,
            sources=[EVIDENCE],
            changelog=TRIAGE_STATE,
            dead_letter_topic=DEAD_LETTER,
            make_shard=make_shard,
            on_dead=lambda record, dead: (),  # a bug: what is not in the log decides nothing, the deadline does
            client=settings.client(),
            tick=lambda partition: tick_record(instance, partition, time.time()),
            batching=Batching(batch_ms=settings.batch_ms),
        )

    def run(self) -> None:
        with self._registry:
            super().run()


def tick_record(owner: str, partition: int, now_s: float) -> Record:
    """Time for one partition of evidence.v1. The broker's append time counts, not the sender's."""
    millis = round(now_s * 1000)
    envelope = Envelope(
        id=f"{owner}/{partition}/{millis}",
        source=f"urn:verdictline:{GROUP}",
        type=TickV1.TYPE,
        subject=f"partition-{partition}",
        time=from_millis(millis),
        dataschema=SCHEMA_BASE + TickV1.TYPE,
    )
    record = enveloped(envelope, TickV1(owner=owner).json_bytes())
    return Record(topic=record.topic, key=None, value=record.value, headers=record.headers, partition=partition)


def redecide(records: Iterable[Received], versions: Versions) -> Iterator[Record]:
    """The verdict records that follow from this log of evidence.v1 and from these versions alone.

    records: any partitions, each in the order of its offsets and from its beginning.
    """
    rules, shards = RuleBook(versions), dict[int, TriageShard]()
    for record in records:
        shard = shards.setdefault(record.partition, TriageShard(rules))
        yield from (output for output in shard.step(record).outputs if output.topic == VERDICT)


def build(settings: Settings, slot: int) -> Triage:
    """The processor, not yet running. Raises ValueError where no Kafka is named."""
    return Triage(settings, slot)
