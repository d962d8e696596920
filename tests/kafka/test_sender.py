"""The sender: steps in order, a driver that ends fatally, a broker that refuses for good."""

from __future__ import annotations

import threading
from collections import defaultdict
from typing import Any

import pytest
from confluent_kafka import KafkaError
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._config import AlterConfigOpType, ConfigEntry, ConfigResource
from confluent_kafka.admin._resource import ResourceType

from schemas.envelope import Record
from streams.wiring.adapters.kafka import create_topics, read_all
from streams.wiring.adapters.sender import Job, Sender
from tests.helpers.servers import SharedKafka
from tests.helpers.wait import wait_until

pytestmark = pytest.mark.kafka


class Jobs:
    """Jobs of two steps, the first on one topic, the second on another; knows what was done and how often."""

    def __init__(self, topics: list[str], size: int = 1000) -> None:
        self.topics, self.size = topics, size
        self.done: dict[int, int] = defaultdict(int)
        self.finished = threading.Event()

    def make(self, number: int) -> Job:
        def step(topic: str) -> list[Record]:
            return [Record(topic=topic, key=b"k", value=f"{number:04d}".encode() + bytes(self.size))]

        def done() -> None:
            self.done[number] += 1

        return Job(size=self.size, load=lambda: [step(topic) for topic in self.topics], done=done)


@pytest.fixture
def client(kafka: SharedKafka) -> dict[str, Any]:
    return {"bootstrap.servers": kafka.bootstrap}


def topics(kafka: SharedKafka, client: dict[str, Any], **settings: str) -> list[str]:
    names = [kafka.fresh("first"), kafka.fresh("second")]
    create_topics(client, [(name, 1, settings) for name in names])
    return names


def first_seen(client: dict[str, Any], topic: str) -> list[int]:
    return list(dict.fromkeys(int((record.value or b"")[:4]) for record in read_all(client, [topic])))


def test_a_fatal_end_of_the_driver_loses_nothing_and_keeps_the_order(kafka: SharedKafka, client: dict[str, Any]) -> None:
    jobs = Jobs(topics(kafka, client))
    sender = Sender(client)
    for number in range(2000):
        sender.put(jobs.make(number))
        if number in (500, 1200):
            sender._error(KafkaError(KafkaError.OUT_OF_ORDER_SEQUENCE_NUMBER, "on purpose", fatal=True))
    wait_until(lambda: sender.open == 0, 30, "all jobs done")
    sender.close()
    assert dict(jobs.done) == dict.fromkeys(range(2000), 1)
    for topic in jobs.topics:
        assert first_seen(client, topic) == list(range(2000))


def test_what_the_broker_refuses_is_tried_again_until_it_is_allowed(kafka: SharedKafka, client: dict[str, Any]) -> None:
    small = topics(kafka, client)
    large = Jobs([small[0], kafka.fresh("third")], size=50_000)
    create_topics(client, [(large.topics[1], 1, {"max.message.bytes": "10000"})])
    jobs = Jobs(small)
    sender = Sender(client)
    sender.put(large.make(0), *map(jobs.make, range(1, 50)))
    wait_until(lambda: len(jobs.done) == 49, 20, "others are not held up")
    wait_until(lambda: sender.trouble, 20, "the refusal is told")
    assert not large.done
    allow(client, large.topics[1])
    wait_until(lambda: large.done, 20, "allowed at last")
    sender.close()
    assert first_seen(client, large.topics[1]) == [0]


def allow(client: dict[str, Any], topic: str) -> None:
    entry = ConfigEntry("max.message.bytes", "1000000", incremental_operation=AlterConfigOpType.SET)
    admin = AdminClient(client)
    for future in admin.incremental_alter_configs(
        [ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[entry])]
    ).values():
        future.result(10)
