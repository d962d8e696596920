"""The Kafka driver's messages and settings in our words; shared by the engines and by the plain readers and writers.

Knows no topic and no processor.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, TypeVar, cast

import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition

from schemas.envelope import Headers, Received, Record

Key = tuple[str, int]  # topic, partition
log = structlog.get_logger("kafka")
A = TypeVar("A")
_QUIET = {"log_level": 2}
_RECONNECT = {"reconnect.backoff.max.ms": 1000}  # default 10 s: a broker that is back would stay unnoticed
MESSAGE_LIMIT_BYTES = 9 << 20  # the largest topic's limit: a dead letter of the largest image


_AGAIN = {
    KafkaError.NOT_LEADER_FOR_PARTITION,
    KafkaError.LEADER_NOT_AVAILABLE,
    KafkaError.UNKNOWN_LEADER_EPOCH,  # a broker that has just started
    KafkaError.FENCED_LEADER_EPOCH,
    KafkaError.UNKNOWN_TOPIC_OR_PART,  # just made: the metadata is on its way
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
    KafkaError.COORDINATOR_NOT_AVAILABLE,
    KafkaError.NOT_COORDINATOR,
    KafkaError.UNSTABLE_OFFSET_COMMIT,
    KafkaError.REQUEST_TIMED_OUT,
    KafkaError._TIMED_OUT,
    KafkaError._TRANSPORT,
    KafkaError._ALL_BROKERS_DOWN,
    KafkaError._WAIT_COORD,
    KafkaError._STATE,  # the assignment is on its way
}


_HOPELESS = {
    KafkaError._FATAL,
    KafkaError.FENCED_INSTANCE_ID,
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError.GROUP_AUTHORIZATION_FAILED,
}


def again(error: KafkaError) -> bool:
    """Asking once more can help."""
    return error.retriable() or error.code() in _AGAIN


def hopeless(error: KafkaError) -> bool:
    """This client will never work again: fenced by another of its name, without rights. An event says so by its code only."""
    return error.fatal() or error.code() in _HOPELESS


def complaints(who: str, every_s: float = 10.0) -> Callable[[KafkaError], None]:
    """For `error_cb`: a broker that is away is said once in a while, instead of the driver's line for each attempt."""
    said: dict[int, float] = {}

    def complain(error: KafkaError) -> None:
        now = time.monotonic()
        if now - said.get(error.code(), float("-inf")) > every_s:
            said[error.code()] = now
            log.warning("kafka client", who=who, error=error.str())

    return complain


def insist(ask: Callable[[], A], what: str, within_s: float = 60.0, pause_s: float = 0.1) -> A:
    """The answer; asks again while Kafka says "not now". Raises the last KafkaException after `within_s`."""
    end = time.monotonic() + within_s
    while True:
        try:
            return ask()
        except KafkaException as error:
            if not again(error.args[0]) or time.monotonic() > end:
                raise
            log.debug("not yet", what=what, error=error.args[0].str())
            time.sleep(pause_s)


def received(message: Message) -> Received:
    """A message that is no error. Header values stay as they are, None included."""
    return Received(
        topic=message.topic() or "",
        partition=cast(int, message.partition()),
        offset=cast(int, message.offset()),
        timestamp_ms=message.timestamp()[1],
        key=message.key(),
        value=message.value(),
        headers=cast(Headers, tuple(message.headers() or ())),
    )


def key_of(place: Message | TopicPartition) -> Key:
    if isinstance(place, TopicPartition):
        return place.topic, place.partition
    return place.topic() or "", cast(int, place.partition())


def send(producer: Producer, record: Record, on_delivery: Any = None) -> None:
    """Hand over to the driver; wait while its queue is full. Raises KafkaException where it refuses (too large, fatal)."""
    named: dict[str, Any] = {} if record.partition is None else {"partition": record.partition}
    if record.headers:
        named["headers"] = list(record.headers)
    if on_delivery is not None:
        named["on_delivery"] = on_delivery
    while True:
        try:
            return producer.produce(record.topic, record.value, record.key, **named)
        except BufferError:
            producer.poll(0.1)


def skip_to_first(consumer: Consumer, place: Key) -> int:
    """Go on at the first record that retention has left; returns its offset. Raises KafkaException."""
    first, _ = consumer.get_watermark_offsets(TopicPartition(*place), timeout=30)
    consumer.incremental_unassign([TopicPartition(*place)])  # a partition in this error cannot be sought
    consumer.incremental_assign([TopicPartition(*place, first)])
    return int(first)


def producer_config(client: dict[str, Any], **overrides: Any) -> dict[str, Any]:
    """Idempotent, and partitioned by murmur2 as every other client of ours (the driver's own default is another hash)."""
    return {
        **_RECONNECT,
        "enable.idempotence": True,
        "partitioner": "murmur2_random",
        "message.max.bytes": MESSAGE_LIMIT_BYTES,
        "queue.buffering.max.kbytes": 64 << 10,
        "linger.ms": 5,
        **_QUIET,
        "error_cb": complaints("producer"),
        "delivery.timeout.ms": 120_000,
        **client,
        **overrides,
    }


def consumer_config(client: dict[str, Any], **overrides: Any) -> dict[str, Any]:
    """Prefetch bounded to 16 MiB; no reset in silence: input that retention removed arrives as an error to be reported."""
    return {
        **_RECONNECT,
        "auto.offset.reset": "error",
        "enable.auto.commit": False,
        "isolation.level": "read_committed",
        **_QUIET,
        "error_cb": complaints("consumer"),
        "max.partition.fetch.bytes": 4 << 20,
        "fetch.max.bytes": 8 << 20,
        "queued.max.messages.kbytes": 16 << 10,
        "fetch.queue.backoff.ms": 10,  # default 1000: one-second holes with a small queue
        "topic.metadata.refresh.interval.ms": 10_000,  # default 5 min: a topic made after the start would stay unread so long
        **client,
        **overrides,
    }


def membership(group: str, instance: str, session_timeout_ms: int) -> dict[str, Any]:
    """A static member of a classic group: a restart under the same instance name takes its partitions back at once."""
    return {
        "group.id": group,
        "group.instance.id": instance,
        "client.id": instance,
        "partition.assignment.strategy": "cooperative-sticky",
        "session.timeout.ms": session_timeout_ms,
        "heartbeat.interval.ms": min(3_000, session_timeout_ms // 3),
        "max.poll.interval.ms": max(300_000, session_timeout_ms),
    }
