"""Follows embedding.v1 in a thread of its own, in no consumer group. Knows no record.

While the sink is away reading stops once enough of them wait, and goes on later: Kafka has the rest. What retention removed
meanwhile is said and passed over.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import Any, Self

import structlog
from confluent_kafka import TopicPartition

from schemas.topics import EMBEDDING
from streams.fates import Unavailable
from streams.wiring.adapters.embeddings.intake import Intake
from streams.wiring.adapters.kafka import KafkaRefused, KafkaUnreachable, Reader, ends, starts

log = structlog.get_logger("embeddings")
_TURN_S, _AGAIN_S, _LEAVE_S = 0.5, 5.0, 3.0
_LITTLE = {"queued.max.messages.kbytes": 2 << 10, "max.partition.fetch.bytes": 1 << 20, "fetch.max.bytes": 2 << 20}


class Follower:
    """`with Follower(...)` follows until it is left."""

    def __init__(self, client: Mapping[str, Any], intake: Intake) -> None:
        self._client, self._intake = client, intake
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="embeddings", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """A question to a Kafka that is away is not waited for."""
        self._stop.set()
        self._thread.join(_LEAVE_S)

    def positions(self) -> dict[tuple[str, int], int]:
        return dict(self._intake.read)

    def _run(self) -> None:
        """What is away now is tried again; what cannot be is said, and tried again too: pages work without it."""
        said, loaded = "", False
        while not self._stop.is_set():
            try:
                if not loaded:
                    self._intake.load()
                    loaded = True
                self._follow()
            except (KafkaUnreachable, KafkaRefused, Unavailable) as error:
                if str(error) != said:
                    log.warning("embeddings are not followed now", error=str(error))
                said = str(error)
            self._stop.wait(_AGAIN_S)

    def _follow(self) -> None:
        begin = self._intake.begin(starts(self._client, [EMBEDDING]), ends(self._client, [EMBEDDING]))
        with Reader({**self._client, **_LITTLE}, [TopicPartition(*place, at) for place, at in begin.items()]) as reader:
            turned = float("-inf")
            while not self._stop.is_set():
                if self._intake.full:
                    self._stop.wait(_TURN_S)
                else:
                    self._intake.take(reader.take(_TURN_S) or [])
                if time.monotonic() - turned >= _TURN_S:
                    self._turn()
                    turned = time.monotonic()

    def _turn(self) -> None:
        try:
            self._intake.turn()
        except Unavailable as error:
            log.debug("not now", error=str(error))
