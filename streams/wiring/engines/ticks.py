"""Time for a log: one record a second into every partition that is owned, by a plain producer. Knows no message.

Never by a transactional one: a dead owner's open transaction would hold up every reader of the topic.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from schemas.envelope import Record
from streams.wiring.driver import again, producer_config, send


class Ticks:
    """make: the tick of a partition."""

    def __init__(self, client: dict[str, Any], make: Callable[[int], Record], every_s: float) -> None:
        self._producer = Producer(producer_config(client))
        self._make, self._every_s, self._sent = make, every_s, float("-inf")
        self._failed: KafkaError | None = None

    def send(self, partitions: Collection[int]) -> None:
        """Does nothing until the next are due, or while the last ones still wait for Kafka.

        Raises KafkaException where Kafka refuses them: without ticks no deadline would ever pass.
        """
        now = time.monotonic()
        if now - self._sent < self._every_s or not partitions:
            return
        self._sent = now
        self._producer.poll(0)
        if self._failed is not None:
            raise KafkaException(self._failed)
        if len(self._producer) == 0:
            for number in sorted(partitions):
                send(self._producer, self._make(number), self._report)

    def close(self) -> None:
        self._producer.flush(2)

    def _report(self, error: KafkaError | None, _: Message) -> None:
        if error is not None and not again(error) and error.code() != KafkaError._MSG_TIMED_OUT:
            self._failed = error
