"""One Kafka and one Triton a session, started when the first test asks. One that cannot start is a failure, not a skip."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.helpers.servers import SharedKafka, SharedTriton, shared_kafka, shared_triton


@pytest.fixture(scope="session")
def kafka() -> Iterator[SharedKafka]:
    with shared_kafka() as running:
        yield running


@pytest.fixture(scope="session")
def triton(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SharedTriton]:
    with shared_triton(tmp_path_factory.mktemp("models")) as running:
        yield running
