"""A Kafka for each file here: real processors read all that there is, and other tests' captures would be dead letters."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.helpers.servers import SharedKafka, shared_kafka


@pytest.fixture(scope="module")
def kafka() -> Iterator[SharedKafka]:
    with shared_kafka() as running:
        yield running
