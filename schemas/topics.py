"""The only place where a topic is named: its messages, key, partitions, cleanup and retention."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from schemas.act import ActV1
from schemas.baseline import BaselinePointerV1, BaselineStateV1, BaselineV1
from schemas.capture import EMBEDDING_TYPE, IMAGE_TYPE, TicketV1
from schemas.challenge import (
    ChallengeDueV1,
    ChallengePartV1,
    ChallengeResultV1,
    ChallengeScheduleV1,
    DetectionLimitV1,
    StationProofV1,
    SuspectWindowV1,
)
from schemas.common import Message
from schemas.drift import DriftEventV1, DriftSummaryV1
from schemas.evidence import (
    AnnouncedV1,
    AnomalyV1,
    ClassificationV1,
    FailedV1,
    ReviewedV1,
    SegmentationV1,
    TickV1,
)
from schemas.label import LabelV1
from schemas.model_set import ModelSetPointerV1, ModelSetV1
from schemas.policy import PointerV1, PolicyV1
from schemas.segment_request import SegmentRequestV1
from schemas.spc import LimitsActV1, LimitsV1, PlanV1, SignalV1, StageBreakV1, SubgroupV1
from schemas.taxonomy import ClassProposalV1, TaxonomyPointerV1, TaxonomyV1
from schemas.verdict import VerdictV1

CAPTURE = "capture.v1"
EMBEDDING = "embedding.v1"
EVIDENCE = "evidence.v1"
SEGMENT_REQUEST = "segment-request.v1"
VERDICT = "verdict.v1"
DRIFT = "drift.v1"
CHALLENGE = "challenge.v1"
SPC = "spc.v1"
LABEL = "label.v1"
POLICY = "policy.v1"
MODEL_SET = "model-set.v1"
BASELINE = "baseline.v1"
TAXONOMY = "taxonomy.v1"
ACT = "act.v1"
TRIAGE_STATE = "triage-state.v1"
DRIFT_TICK = "tick.drift"
DRIFT_STATE = "drift-streams-v4-changelog"
CHALLENGE_TICK = "tick.challenge"
CHALLENGE_STATE = "challenge-stations-v1-changelog"
SPC_TICK = "tick.spc"
SPC_STATE = "spc-state.v1"
DEAD_LETTER = "dead-letter.v1"

STATION_PARTITIONS = 8
MIB = 1 << 20
INLINE_LIMIT_BYTES = 4 * MIB
DEAD_LETTER_LIMIT_BYTES = 9 * MIB
_CHANGELOG_SEGMENT = 16 * MIB
_MINUTE_MS = 60_000
_HOUR_MS = 60 * _MINUTE_MS
_DAY_MS = 24 * _HOUR_MS


@dataclass(frozen=True, kw_only=True)
class Topic:
    """retention_ms, retention_bytes (a partition): None keeps for ever. messages: JSON; raw: types whose value is bytes.

    segment_bytes: of a changelog: Kafka compacts no file that it still writes to, and whoever takes a partition over reads all.
    """

    name: str
    key: str
    messages: tuple[type[Message], ...] = ()
    raw: tuple[str, ...] = ()
    partitions: int = STATION_PARTITIONS
    cleanup: Literal["delete", "compact"] = "delete"
    retention_ms: int | None = None
    retention_bytes: int | None = None
    max_bytes: int = MIB
    segment_bytes: int | None = None
    by_station: bool = True

    def config(self) -> dict[str, str]:
        """As Kafka's topic-level settings."""
        values = {
            "cleanup.policy": self.cleanup,
            "message.timestamp.type": "LogAppendTime",
            "max.message.bytes": str(self.max_bytes),
        }
        if self.cleanup == "delete":
            values["retention.ms"] = str(-1 if self.retention_ms is None else self.retention_ms)
            values["retention.bytes"] = str(-1 if self.retention_bytes is None else self.retention_bytes)
        if self.segment_bytes is not None:
            values["segment.bytes"] = str(self.segment_bytes)
        return values


TOPICS: tuple[Topic, ...] = (
    Topic(
        name=CAPTURE,
        key="station",
        messages=(TicketV1,),
        raw=(IMAGE_TYPE,),
        retention_ms=6 * _HOUR_MS,
        retention_bytes=4 << 30,
        max_bytes=INLINE_LIMIT_BYTES + MIB,
    ),
    Topic(name=EMBEDDING, key="station", raw=(EMBEDDING_TYPE,), retention_ms=6 * _HOUR_MS),
    Topic(
        name=EVIDENCE,
        key="station",
        messages=(AnnouncedV1, AnomalyV1, ClassificationV1, SegmentationV1, FailedV1, ReviewedV1, TickV1),
        retention_ms=7 * _DAY_MS,
    ),
    Topic(name=SEGMENT_REQUEST, key="station", messages=(SegmentRequestV1,), retention_ms=6 * _HOUR_MS),
    Topic(name=VERDICT, key="station", messages=(VerdictV1,), retention_ms=10 * 365 * _DAY_MS),
    Topic(name=DRIFT, key="station", messages=(DriftSummaryV1, DriftEventV1), retention_ms=10 * 365 * _DAY_MS),
    Topic(
        name=CHALLENGE,
        key="station",
        messages=(
            ChallengePartV1,
            ChallengeScheduleV1,
            ChallengeDueV1,
            ChallengeResultV1,
            StationProofV1,
            SuspectWindowV1,
            DetectionLimitV1,
        ),
        retention_ms=10 * 365 * _DAY_MS,
    ),
    Topic(
        name=SPC,
        key="station",
        messages=(PlanV1, LimitsActV1, StageBreakV1, SubgroupV1, LimitsV1, SignalV1),
        retention_ms=10 * 365 * _DAY_MS,
    ),
    Topic(name=LABEL, key="station", messages=(LabelV1,), retention_ms=10 * 365 * _DAY_MS),
    Topic(
        name=POLICY,
        key="digest, or current/<product>[/<station>]",
        messages=(PolicyV1, PointerV1),
        partitions=1,
        cleanup="compact",
        by_station=False,
    ),
    Topic(
        name=MODEL_SET,
        key="digest, or current/<product>[/<station>]",
        messages=(ModelSetV1, ModelSetPointerV1),
        partitions=1,
        cleanup="compact",
        by_station=False,
        max_bytes=4 * MIB,
    ),
    Topic(
        name=BASELINE,
        key="digest, current/<stream>, or state/<stream>",
        messages=(BaselineV1, BaselinePointerV1, BaselineStateV1),
        partitions=1,
        cleanup="compact",
        by_station=False,
        max_bytes=4 * MIB,
    ),
    Topic(
        name=TAXONOMY,
        key="digest, current/<product>, or proposal/<id>",
        messages=(TaxonomyV1, TaxonomyPointerV1, ClassProposalV1),
        partitions=1,
        cleanup="compact",
        by_station=False,
        max_bytes=4 * MIB,
    ),
    Topic(name=ACT, key="where", messages=(ActV1,), partitions=1, retention_ms=10 * 365 * _DAY_MS, by_station=False),
    Topic(name=TRIAGE_STATE, key="inspection", cleanup="compact", segment_bytes=_CHANGELOG_SEGMENT),
    Topic(name=DRIFT_STATE, key="score stream", cleanup="compact", segment_bytes=_CHANGELOG_SEGMENT),
    Topic(name=DRIFT_TICK, key="partition", retention_ms=10 * _MINUTE_MS),
    Topic(name=CHALLENGE_STATE, key="station", cleanup="compact", segment_bytes=_CHANGELOG_SEGMENT),
    Topic(name=CHALLENGE_TICK, key="partition", retention_ms=10 * _MINUTE_MS),
    Topic(
        name=SPC_STATE,
        key="station, and product, and series",
        cleanup="compact",
        max_bytes=4 * MIB,
        segment_bytes=_CHANGELOG_SEGMENT,
    ),
    Topic(name=SPC_TICK, key="partition", retention_ms=10 * _MINUTE_MS),
    Topic(name=DEAD_LETTER, key="original key", retention_ms=14 * _DAY_MS, max_bytes=DEAD_LETTER_LIMIT_BYTES),
)


def topic(name: str) -> Topic:
    """Raises KeyError for a name that is not in the table."""
    return {topic.name: topic for topic in TOPICS}[name]


TOPIC_OF: dict[str, str] = {
    **{message.TYPE: topic.name for topic in TOPICS for message in topic.messages},
    **{kind: topic.name for topic in TOPICS for kind in topic.raw},
}
