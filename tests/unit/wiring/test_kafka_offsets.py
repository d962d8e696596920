"""What offsets say where Kafka does not: the two errors that callers know, and no other."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException, TopicPartition

from streams.wiring.adapters import kafka
from streams.wiring.adapters.kafka import KafkaRefused, KafkaUnreachable, ends


@pytest.mark.parametrize(
    ("code", "expected"),
    [(KafkaError.LEADER_NOT_AVAILABLE, KafkaUnreachable), (KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaRefused)],
)
def test_an_answer_that_is_an_error_is_told_apart(monkeypatch: pytest.MonkeyPatch, code: int, expected: type[Exception]) -> None:
    """A real broker cannot be made to lose its leader for as long as that on demand."""

    class Admin:
        def __init__(self, settings: Mapping[str, Any]) -> None:
            pass

        def list_topics(self, timeout: float) -> Any:
            return SimpleNamespace(topics={"some": SimpleNamespace(partitions={0: 1}, error=None)})

        def list_offsets(self, wanted: Mapping[TopicPartition, Any], **_: Any) -> dict[TopicPartition, Future[Any]]:
            future: Future[Any] = Future()
            future.set_exception(KafkaException(KafkaError(code)))
            return dict.fromkeys(wanted, future)

    monkeypatch.setattr(kafka, "AdminClient", Admin)
    with pytest.raises(expected):
        ends({"bootstrap.servers": "nowhere"}, ["some"], timeout_s=0.2)
