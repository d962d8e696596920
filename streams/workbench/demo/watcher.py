"""Follows the topics on a thread and counts them; the only way by which a demonstration knows what happened."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any

from confluent_kafka import TopicPartition

from schemas.ids import InspectionId
from schemas.topics import DEAD_LETTER, EVIDENCE, VERDICT
from streams.wiring.adapters.kafka import KafkaRefused, Reader, ends
from streams.workbench.observer import Observer

WATCHED = (EVIDENCE, VERDICT, DEAD_LETTER)
_TAKE_S = 0.3


class Watcher(AbstractContextManager["Watcher"]):
    """`with Watcher(client, since) as watcher:` counts from now on. Hold `lock` while looking at `observer`."""

    def __init__(self, client: Mapping[str, Any], since: Callable[[InspectionId], bool]) -> None:
        self.observer = Observer(since=since)
        self.lock = threading.Lock()
        self._client = client
        begin = ends(client, WATCHED)
        self._reader = Reader(client, [TopicPartition(*place, offset) for place, offset in begin.items()])
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="watcher", daemon=True)
        self._thread.start()
        self.failure: KafkaRefused | None = None

    def _follow(self) -> None:
        while not self._stop.is_set():
            try:
                records = self._reader.take(_TAKE_S)
            except KafkaRefused as error:
                self.failure = error
                return
            with self.lock:
                for record in records or ():
                    self.observer.take(record)

    def caught_up(self) -> bool:
        """Everything that is committed now has been counted. Raises KafkaUnreachable."""
        wanted = ends(self._client, WATCHED)
        return all(self._reader.at.get(place, 0) >= offset for place, offset in wanted.items())

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._reader.__exit__()
