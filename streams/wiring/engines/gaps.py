"""Input that retention removed before it was read: found, skipped, reported. Knows no message."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import structlog
from confluent_kafka import Consumer, TopicPartition

from streams.metrics import GAPS
from streams.wiring.driver import Key

log = structlog.get_logger("gaps")


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """Offsets `wanted` to `first` - 1 are gone. first < wanted: the log was cut at its end, or made anew."""

    topic: str
    partition: int
    wanted: int
    first: int


OnGap = Callable[[str, Gap], None]


def report_gap(group: str, gap: Gap) -> None:
    """Log it and count it: `first` - `wanted` is an upper bound of the records, transaction markers have offsets too."""
    log.error(
        "input removed before it was read",
        group=group,
        topic=gap.topic,
        partition=gap.partition,
        wanted=gap.wanted,
        first=gap.first,
    )
    GAPS.labels(group, gap.topic).inc(max(gap.first - gap.wanted, 1))


def skip_gap(consumer: Consumer, place: Key, wanted: int) -> Gap:
    """Go on at the first record that is left. Raises KafkaException."""
    topic, partition = place
    first, _ = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=30)
    consumer.seek(TopicPartition(topic, partition, first))
    return Gap(topic=topic, partition=partition, wanted=wanted, first=first)
