"""How far a process is behind, and whether its broker answers: asked every few seconds in a thread of its own.

Two requests a round for all partitions together (three where one was never committed), whatever the engine. A broker that is
away leaves the lag at its last value. Knows no message.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Self

import structlog
from confluent_kafka import IsolationLevel, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._listoffsets import OffsetSpec

from streams.metrics import KAFKA_REACHABLE, LAG
from streams.wiring.driver import Key, complaints

log = structlog.get_logger("lag")
Positions = Callable[[], Mapping[Key, int | None]]
EVERY_S, _ASK_S = 10.0, 5.0


class LagWatch:
    """positions: next offset to be done of every partition that is owned; None: nothing was ever done there.

    topics: shown from the start, with 0. `with LagWatch(...)` asks until it is left.
    """

    def __init__(
        self, client: Mapping[str, Any], processor: str, topics: Iterable[str], positions: Positions, every_s: float = EVERY_S
    ) -> None:
        self._client, self._processor, self._topics = dict(client), processor, tuple(topics)
        self._positions, self._every_s = positions, every_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="lag", daemon=True)

    def start(self) -> Self:
        self._thread.start()
        return self

    def close(self) -> None:
        self._stop.set()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.close()

    def _run(self) -> None:
        settings: dict[str, Any] = {"log_level": 2, "error_cb": complaints("lag"), **self._client}
        admin = AdminClient(settings)
        while not self._stop.is_set():
            KAFKA_REACHABLE.labels(self._processor).set(self._round(admin))
            self._stop.wait(self._every_s)

    def _round(self, admin: AdminClient) -> bool:
        """Whether the broker answered. An answer can be that it does not know yet: then the lag stays as it was."""
        try:
            lags = behind(admin, self._positions())
        except (KafkaException, TimeoutError) as error:
            log.debug("no offsets", error=str(error))
            return isinstance(error, KafkaException) and not local(error)
        for topic in {*self._topics, *lags}:
            LAG.labels(self._processor, topic).set(lags.get(topic, 0))
        return True


def local(error: KafkaException) -> bool:
    """The driver's own finding (no connection, no answer in time), not what a broker said."""
    return int(error.args[0].code()) < 0


def behind(admin: AdminClient, positions: Mapping[Key, int | None]) -> dict[str, int]:
    """Records between position and end, by topic. Raises KafkaException where the broker does not answer."""
    if not positions:
        admin.list_topics(timeout=_ASK_S)
        return {}
    lags: Counter[str] = Counter()
    begins = offsets(admin, [place for place, at in positions.items() if at is None], OffsetSpec.earliest())  # type: ignore[no-untyped-call]
    for place, end in offsets(admin, positions, OffsetSpec.latest()).items():  # type: ignore[no-untyped-call]
        at = positions[place]
        lags[place[0]] += max(0, end - (begins[place] if at is None else at))
    return dict(lags)


def offsets(admin: AdminClient, places: Iterable[Key], spec: OffsetSpec) -> dict[Key, int]:
    """Of records in finished transactions. Raises KafkaException."""
    wanted = {TopicPartition(*place): spec for place in places}
    if not wanted:
        return {}
    found = admin.list_offsets(wanted, isolation_level=IsolationLevel.READ_COMMITTED, request_timeout=_ASK_S)
    return {(place.topic, place.partition): future.result(2 * _ASK_S).offset for place, future in found.items()}
