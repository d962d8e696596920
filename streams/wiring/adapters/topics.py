"""The table of topics on a broker: make what is missing, compare what is there. Never deletes, never shrinks."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from confluent_kafka import KafkaException, Message, Producer, TopicCollection
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._config import AlterConfigOpType, ConfigEntry, ConfigResource
from confluent_kafka.admin._resource import ResourceType
from confluent_kafka.admin._topic import TopicDescription
from confluent_kafka.cimpl import NewPartitions

from schemas.topics import TOPICS, Topic
from streams.wiring.adapters.kafka import KafkaRefused, KafkaUnreachable, create_topics, ends, reach, unreachable
from streams.wiring.driver import producer_config

_COPIES = 3  # of each partition, where there are as many brokers


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """What the broker has and the table wants. todo: what a person can do about it."""

    topic: str
    what: str
    found: str
    wanted: str
    todo: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """made: topics that were created; changed: `topic: setting`; left: what could not be brought in line."""

    made: tuple[str, ...]
    changed: tuple[str, ...]
    left: tuple[Difference, ...]


def wanted_topics(partitions: int | None = None, table: Sequence[Topic] = TOPICS) -> tuple[Topic, ...]:
    """The table; partitions: of the topics keyed by station, instead of the table's own count."""
    return tuple(replace(t, partitions=partitions) if partitions and t.by_station else t for t in table)


def apply_topics(
    client: Mapping[str, Any], partitions: int | None = None, *, table: Sequence[Topic] = TOPICS, timeout_s: float = 30.0
) -> Applied:
    """Create the topics that are missing, set what differs, add partitions where a topic was never written to.

    Doing it again changes nothing. Raises KafkaUnreachable; KafkaRefused with topic and reason.
    """
    topics = wanted_topics(partitions, table)
    brokers = reach(client, min(timeout_s, 10.0))
    copies = min(_COPIES, brokers)
    made = create_topics(
        client, [(t.name, t.partitions, _settings(t, copies)) for t in topics], replication=copies, timeout_s=timeout_s
    )
    differences = _compare(client, [t for t in topics if t.name not in made], copies, timeout_s)
    grow = all(_may_grow(client, d, timeout_s) for d in differences if d.what == "partitions")
    able = [d for d in differences if d.what != "replicas" and (grow or d.what != "partitions")]
    for difference in able:
        _settle(client, difference, timeout_s)
    changed = tuple(f"{d.topic}: {d.what} {d.found} -> {d.wanted}" for d in able)
    wait_for_leaders(client, [t.name for t in topics], timeout_s)
    left = _compare(client, [t for t in topics if t.name not in made], copies, timeout_s) if differences else ()
    return Applied(made=tuple(made), changed=changed, left=tuple(left))


def wait_for_leaders(client: Mapping[str, Any], topics: Sequence[str], timeout_s: float = 30.0) -> None:
    """Until each new partition answers: a broker does so a little earlier. Raises KafkaRefused where they do not."""
    end = time.monotonic() + timeout_s
    while True:
        try:
            ends(client, topics, timeout_s=timeout_s)
            return
        except (KafkaUnreachable, KafkaRefused) as error:
            if time.monotonic() > end:
                raise KafkaRefused(f"the topics are made, but not ready after {timeout_s:.0f} s: {error}") from error
            time.sleep(0.05)


def check_topics(
    client: Mapping[str, Any], partitions: int | None = None, *, table: Sequence[Topic] = TOPICS, timeout_s: float = 30.0
) -> tuple[Difference, ...]:
    """What differs from the table; nothing is changed. Raises as `apply_topics`."""
    copies = min(_COPIES, reach(client, min(timeout_s, 10.0)))
    return tuple(_compare(client, wanted_topics(partitions, table), copies, timeout_s))


def _settings(topic: Topic, copies: int) -> dict[str, str]:
    more = {"min.insync.replicas": "2"} if copies >= _COPIES else {}
    return {**topic.config(), **more}


def _compare(client: Mapping[str, Any], topics: Sequence[Topic], copies: int, timeout_s: float) -> list[Difference]:
    admin = AdminClient({"log_level": 2, **client})
    described = _described(admin, client, topics, timeout_s)
    present = [t for t in topics if t.name in described]
    settings = _described_settings(admin, client, present, timeout_s)
    found = [_missing(t) for t in topics if t.name not in described]
    for topic in present:
        found += _shape(topic, described[topic.name], copies)
        found += [
            Difference(topic=topic.name, what=name, found=settings[topic.name].get(name, ""), wanted=value, todo=_APPLY)
            for name, value in _settings(topic, copies).items()
            if settings[topic.name].get(name) != value
        ]
    return found


_APPLY = "`verdictline topics apply`"


def _missing(topic: Topic) -> Difference:
    return Difference(topic=topic.name, what="topic", found="missing", wanted="there", todo="`verdictline topics apply` makes it")


def _shape(topic: Topic, found: TopicDescription, copies: int) -> list[Difference]:
    differences = []
    count, least = len(found.partitions), min((len(p.replicas) for p in found.partitions), default=0)
    if count != topic.partitions:
        named = f"give --partitions {count}, or " if topic.by_station else ""
        todo = f"{named}make it anew: partitions are added only while no topic of the table has records"
        differences.append(_difference(topic, "partitions", count, topic.partitions, todo))
    if least < copies:
        todo = "add replicas with kafka-reassign-partitions.sh"
        differences.append(_difference(topic, "replicas", least, copies, todo))
    return differences


def _difference(topic: Topic, what: str, found: int, wanted: int, todo: str) -> Difference:
    return Difference(topic=topic.name, what=what, found=str(found), wanted=str(wanted), todo=todo)


def _described(
    admin: AdminClient, client: Mapping[str, Any], topics: Sequence[Topic], timeout_s: float
) -> dict[str, TopicDescription]:
    """Those that exist."""
    names = TopicCollection([t.name for t in topics])
    found = {}
    for name, future in (admin.describe_topics(names, request_timeout=timeout_s) if topics else {}).items():
        try:
            found[name] = future.result(timeout_s)
        except KafkaException as error:
            if error.args[0].name() != "UNKNOWN_TOPIC_OR_PART":
                raise _refused(client, name, error) from error
    return found


def _described_settings(
    admin: AdminClient, client: Mapping[str, Any], topics: Sequence[Topic], timeout_s: float
) -> dict[str, dict[str, str]]:
    resources = [ConfigResource(ResourceType.TOPIC, t.name) for t in topics]
    found = {}
    for resource, future in (admin.describe_configs(resources, request_timeout=timeout_s) if resources else {}).items():
        try:
            found[resource.name] = {name: entry.value for name, entry in future.result(timeout_s).items()}
        except KafkaException as error:
            raise _refused(client, resource.name, error) from error
    return found


def _settle(client: Mapping[str, Any], difference: Difference, timeout_s: float) -> None:
    """Partitions are added, settings set."""
    admin = AdminClient({"log_level": 2, **client})
    try:
        if difference.what == "partitions":
            admin.create_partitions([NewPartitions(difference.topic, int(difference.wanted))])[difference.topic].result(timeout_s)
            return
        entry = ConfigEntry(difference.what, difference.wanted, incremental_operation=AlterConfigOpType.SET)
        resource = ConfigResource(ResourceType.TOPIC, difference.topic, incremental_configs=[entry])
        admin.incremental_alter_configs([resource])[resource].result(timeout_s)
    except KafkaException as error:
        raise _refused(client, difference.topic, error) from error


def _may_grow(client: Mapping[str, Any], difference: Difference, timeout_s: float) -> bool:
    """Never where there are records: their keys would move away from them. One such topic holds back all others."""
    written = ends(client, [difference.topic], timeout_s=timeout_s, isolation="read_uncommitted").values()
    return int(difference.found) < int(difference.wanted) and not any(written)


def _refused(client: Mapping[str, Any], topic: str, error: KafkaException) -> KafkaRefused | KafkaUnreachable:
    if error.args[0].name() in ("_TRANSPORT", "_TIMED_OUT", "_ALL_BROKERS_DOWN"):
        return unreachable(client, error)
    return KafkaRefused(f"topic {topic}: {error.args[0].str()}")


def driver_partitions(client: Mapping[str, Any], topic: str, keys: Sequence[str], timeout_s: float = 10.0) -> dict[str, int]:
    """Where the driver would put each key of this topic. Nothing is sent: the records are taken back from its queue.

    Raises KafkaUnreachable.
    """
    found: dict[str, int] = {}
    held = {"enable.idempotence": False, "linger.ms": 900_000, "delivery.timeout.ms": 1_000_000, "batch.num.messages": 1_000_000}
    producer = Producer(producer_config({"log_level": 2, **client}, **held))

    def note(_: object, message: Message) -> None:
        found[(message.key() or b"").decode()] = -1 if (place := message.partition()) is None else place

    try:
        producer.list_topics(topic, timeout=timeout_s)
    except KafkaException as error:
        raise unreachable(client, error) from error
    for key in keys:
        producer.produce(topic, b"", key.encode(), on_delivery=note)
    producer.purge(in_queue=True, in_flight=False)
    producer.flush(timeout_s)
    return found
