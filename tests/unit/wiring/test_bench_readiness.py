"""The bench measures only while every process takes part."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from streams.wiring.adapters.health import Health
from streams.workbench.bench.readiness import NotReady, wait_all_ready
from streams.workbench.processes import free_ports


class Processor:
    """Its health server, and whether it says that it is ready."""

    def __init__(self) -> None:
        self.takes_part = False
        self.health = Health(live=lambda: {"loop": True}, ready=lambda: {"engine": self.takes_part}, port=0)

    def joins(self) -> None:
        self.takes_part = True


@pytest.fixture
def processor() -> Iterator[Processor]:
    made = Processor()
    yield made
    made.health.close()


def test_one_that_joins_late_is_waited_for(processor: Processor) -> None:
    wait_all_ready({"drift": processor.health.port}, 10, processor.joins)
    assert processor.takes_part


def test_one_that_stands_still_is_named(processor: Processor) -> None:
    """It lives and answers, but has no part in the work; and one that is gone does not answer at all."""
    (nobody,) = free_ports(1)
    other = Processor()
    other.joins()
    ports = {"drift": processor.health.port, "triage": other.health.port, "anomaly": nobody}
    with pytest.raises(NotReady, match="drift, anomaly; their figures"):
        wait_all_ready(ports, 0, lambda: None)
    other.health.close()
