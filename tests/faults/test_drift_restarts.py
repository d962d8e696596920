"""Drift under kill -9 and rebalance 1 -> 2 -> 1 while parts come: not one event differs from those of the undisturbed rules."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from confluent_kafka import ConsumerGroupState
from confluent_kafka.admin import AdminClient

from schemas.envelope import Record
from streams.wiring.adapters.baseline_registry import BaselineRegistry
from streams.wiring.adapters.topics import apply_topics
from tests.helpers.drift import drift, evidence_record, feed, messages, said, settled
from tests.helpers.scores import score_evidence
from tests.helpers.servers import SharedKafka
from tests.helpers.streams import models, normal
from tests.helpers.wait import wait_until

pytestmark = [pytest.mark.kafka, pytest.mark.faults]
STATIONS, PARTS, RATE = 4, 1500, 600
WINDOW_S = 2.0


def story(site: str, model_set: str) -> list[Record]:
    """Stations whose good parts move by 1.2 sd at different times, a little out of order, with holes and copies."""
    chance = np.random.default_rng(5)
    placed = []
    for station in range(STATIONS):
        change = PARTS * (station + 1) // (STATIONS + 1)
        scores = [*normal(change, seed=station), *normal(PARTS - change, seed=station, shift=1.2)]
        for n, score in enumerate(scores):
            if n % 311 == 97:
                continue
            where: dict[str, Any] = {"station": f"{site}/line/cam-{station}", "model_set": model_set, "lot": f"L-{n // 400}"}
            part = evidence_record(score_evidence(n, score, 0.5, **where))
            placed.append((n + chance.uniform(0, 10) * (n > 0), part))
            if n % 83 == 5:
                placed.append((n + chance.uniform(10, 200), part))
    return [part for _, part in sorted(placed, key=lambda one: one[0])]


def members(client: dict[str, Any]) -> int:
    """How many processes share the work; 0 while they are still agreeing."""
    admin = AdminClient(client)  # it must live as long as its answer is awaited
    found = admin.describe_consumer_groups(["drift"])["drift"].result(10)
    return len(found.members) if found.state == ConsumerGroupState.STABLE else 0


def test_events_are_those_of_an_undisturbed_run(kafka: SharedKafka, tmp_path: Path) -> None:
    client: dict[str, Any] = {"bootstrap.servers": kafka.bootstrap}
    apply_topics(client)
    site, log = kafka.fresh("site"), tmp_path / "drift.log"
    with BaselineRegistry(client) as registry:
        known = registry.publish_model_set(models(normal(300, seed=99)), who="test", why="test").digest
        parts = story(site, known)
        quarter = len(parts) // 4 + 1

        @contextmanager
        def feeding(number: int) -> Iterator[None]:
            """A quarter of the parts comes; inside, drift has begun to speak of it."""
            before = len(said(client, site))
            feeder = threading.Thread(target=feed, args=(client, parts[number * quarter :][:quarter], RATE))
            feeder.start()
            try:
                wait_until(lambda: len(said(client, site)) > before, 60, "drift says more")
                yield
            finally:
                feeder.join(60)

        with drift(kafka.bootstrap, log, window_s=WINDOW_S) as killed, feeding(0):
            killed.kill()
        with drift(kafka.bootstrap, log, window_s=WINDOW_S) as killed, feeding(1):
            killed.kill()
        with drift(kafka.bootstrap, log, window_s=WINDOW_S):
            with drift(kafka.bootstrap, log, slot=1, window_s=WINDOW_S) as second:
                wait_until(lambda: members(client) == 2, 60, "both work")
                with feeding(2):
                    second.kill()
                    second.wait()
            with feeding(3):
                wait_until(lambda: members(client) == 1, 60, "one works")
            wanted = settled(client, site, registry, window_s=WINDOW_S)
        found = said(client, site)
    assert found == wanted
    kinds = [event.kind for event in messages(wanted.values())]
    assert kinds.count("new_stream") == kinds.count("baseline_up") == kinds.count("stale") == STATIONS
