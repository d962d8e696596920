"""One Kafka and one Triton a session, started when the first test asks. One that cannot start is a failure, not a skip."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from xdist.scheduler import LoadFileScheduling

from tests.helpers.servers import SharedKafka, SharedTriton, shared_kafka, shared_triton

# A property is about what comes out; a machine that is busy makes it slow, not wrong.
settings.register_profile("verdictline", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("verdictline")

# Tests start programs by the dozen: where the environment says that no bytecode is kept, each of them would compile everything.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False


class Spread(LoadFileScheduling):  # type: ignore[misc]
    """A file goes to a worker as a whole; all that kill and stall whole pipelines go to one: two at a time starve each other."""

    def _split_scope(self, nodeid: str) -> str:
        return "faults" if nodeid.startswith("tests/faults/") else super()._split_scope(nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Spread:
    return Spread(config, log)


@pytest.fixture(scope="session")
def kafka() -> Iterator[SharedKafka]:
    with shared_kafka() as running:
        yield running


@pytest.fixture(scope="session")
def triton(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SharedTriton]:
    with shared_triton(tmp_path_factory.mktemp("models")) as running:
        yield running
