"""The drift processor on a real Kafka: what it says is a function of the log, and bad input costs a dead letter and no more."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from schemas.drift import DriftSummaryV1
from schemas.envelope import Record
from streams.wiring.adapters.baseline_registry import BaselineRegistry
from streams.wiring.adapters.kafka import Writer
from streams.wiring.adapters.topics import apply_topics
from tests.helpers.drift import drift, evidence_record, expected, feed, messages, said, tick_all
from tests.helpers.scores import score_evidence
from tests.helpers.servers import SharedKafka
from tests.helpers.streams import models, normal
from tests.helpers.wait import wait_until

pytestmark = pytest.mark.kafka
RATE = 600


def records(site: str, model_set: str, scores: list[float], station: str = "cam-0") -> list[Record]:
    where: dict[str, Any] = {"station": f"{site}/line/{station}", "model_set": model_set, "lot": "L-1"}
    return [evidence_record(score_evidence(n, score, 0.5, **where)) for n, score in enumerate(scores)]


def test_a_shift_in_the_log_becomes_the_events_that_the_pure_rules_find_there(kafka: SharedKafka, tmp_path: Path) -> None:
    client: dict[str, Any] = {"bootstrap.servers": kafka.bootstrap}
    apply_topics(client)
    site = kafka.fresh("site")
    chance = np.random.default_rng(11)
    with BaselineRegistry(client) as registry:
        known = registry.publish_model_set(models(normal(400, seed=1)), who="test", why="test").digest
        fed = records(site, known, [*normal(600, seed=2), *normal(400, seed=3, shift=1.5)])
        fed = [fed[0], *(fed[i] for i in sorted(range(1, len(fed)), key=lambda i: i + chance.uniform(0, 12)))]
        for copy in range(0, len(fed), 50):
            fed.insert(copy + 20, fed[copy])
        with drift(kafka.bootstrap, tmp_path / "drift.log") as child:
            feed(client, fed, RATE)
            wanted = expected(client, site, registry, window_ms=1000)
            writer = Writer(client)

            def all_said() -> bool:
                tick_all(client, writer)
                writer.flush()
                return len(said(client, site)) >= len(wanted)

            wait_until(all_said, 60, "every event")
            assert psutil.Process(child.pid).memory_info().rss < 200e6
        wanted = expected(client, site, registry, window_ms=1000)
        assert said(client, site) == wanted
    assert {event.kind for event in messages(wanted.values())} == {"new_stream", "baseline_up", "stale"}
    windows = [DriftSummaryV1.read(value) for value in wanted.values() if b'"p_counts":' in value]
    assert sum(window.n for window in windows) == 1000
