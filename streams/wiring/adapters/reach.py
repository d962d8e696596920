"""Whether Kafka answers, asked every few seconds in a thread of its own. Knows no topic."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any, Self

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from streams.wiring.driver import complaints

_EVERY_S, _ASK_S = 5.0, 4.0


class Reach:
    """`with Reach(client)` asks until it is left. trouble: None while Kafka answers, or was not asked yet."""

    def __init__(self, client: Mapping[str, Any], every_s: float = _EVERY_S) -> None:
        self._client, self._every_s = dict(client), every_s
        self._stop = threading.Event()
        self.trouble: str | None = None
        self._thread = threading.Thread(target=self._run, name="reach", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()

    def _run(self) -> None:
        settings: dict[str, Any] = {"log_level": 2, "error_cb": complaints("reach"), **self._client}
        admin = AdminClient({"reconnect.backoff.max.ms": 1000, **settings})
        while not self._stop.is_set():
            try:
                admin.list_topics(timeout=_ASK_S)
                self.trouble = None
            except KafkaException as error:
                self.trouble = str(error.args[0].str())
            self._stop.wait(self._every_s)
