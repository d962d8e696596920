"""What every process has around its engine, for a gateway that is part of another process. No rules here."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from streams.settings import Settings
from streams.wiring.adapters.health import Health
from streams.wiring.engines.lag import LagWatch
from streams.wiring.processors.gateway import Gateway


@contextmanager
def watched_gateway(gateway: Gateway, settings: Settings) -> Iterator[None]:
    """/metrics, /health, and whether Kafka is reached. Raises PortTaken."""

    def alive() -> dict[str, bool]:
        return {"gateway": gateway.alive}

    health = Health(live=alive, ready=alive, port=settings.health_port, host=settings.health_host)
    try:
        with LagWatch(settings.client(), "gateway", (), dict):
            yield
    finally:
        health.close()
