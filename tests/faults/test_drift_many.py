"""Many score streams in one process: memory, and how soon it goes on after kill -9.

VERDICTLINE_STREAMS=10000 measures the size that a cell may have; `--log-cli-level=INFO` shows the figures. Once, on two busy
cores: 255 MB, 316 MB after recovery, ready 10 s after the start.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from schemas.envelope import Record
from streams.wiring.adapters.baseline_registry import BaselineRegistry
from streams.wiring.adapters.topics import apply_topics
from tests.helpers.drift import drift, evidence_record, feed, messages, ready_file, said, settled
from tests.helpers.scores import score_evidence
from tests.helpers.servers import SharedKafka
from tests.helpers.stage_models import full_set
from tests.helpers.streams import STREAM, normal
from tests.helpers.wait import wait_until

LOG = logging.getLogger(__name__)
pytestmark = [pytest.mark.kafka, pytest.mark.faults]
STREAMS = int(os.environ.get("VERDICTLINE_STREAMS", "200"))
BEFORE, AFTER, RATE, WINDOW_S = 3, 2, 1000, 3600
LIMIT_BYTES = 200e6 + STREAMS * 20e3


def parts(site: str, model_set: str, numbers: range) -> Iterator[Record]:
    """One part of every stream after the other. A station has a hundred views here, so a hundred score streams."""
    scores = normal(1000, seed=1)
    for n in numbers:
        for stream in range(STREAMS):
            where: dict[str, Any] = {"station": f"{site}/line/cam-{stream // 100}", "view": f"v{stream % 100}", "lot": "L-1"}
            part = score_evidence(n, scores[(7 * n + stream) % 1000], model_set=model_set, **where)
            yield evidence_record(part)


def test_many_streams_fit_and_are_all_there_after_a_kill(kafka: SharedKafka, tmp_path: Path) -> None:
    client: dict[str, Any] = {"bootstrap.servers": kafka.bootstrap}
    apply_topics(client)
    site, log = kafka.fresh("site"), tmp_path / "drift.log"
    calibration = {f"v{view}": tuple(sorted(normal(100, seed=2))) for view in range(100)}
    with BaselineRegistry(client) as registry:
        known = registry.publish_model_set(
            full_set("disc", ref=STREAM.model, calibration=calibration), who="test", why="test"
        ).digest
        with drift(kafka.bootstrap, log, window_s=WINDOW_S) as first:
            wait_until(ready_file(log).exists, 60, "ready")
            begin = time.monotonic()
            feed(client, parts(site, known, range(BEFORE)), RATE)
            settled(client, site, registry, window_s=WINDOW_S, pass_s=0, wait_s=600)
            took_s = time.monotonic() - begin
            fresh_bytes = psutil.Process(first.pid).memory_info().rss
        with drift(kafka.bootstrap, log, window_s=WINDOW_S) as second:
            begin = time.monotonic()
            wait_until(ready_file(log).exists, 120, "ready again")
            recovery_s = time.monotonic() - begin
            feed(client, parts(site, known, range(BEFORE, BEFORE + AFTER)), RATE)
            wanted = settled(client, site, registry, window_s=WINDOW_S, pass_s=0, wait_s=600)
            recovered_bytes = psutil.Process(second.pid).memory_info().rss
        assert said(client, site) == wanted
    assert [event.kind for event in messages(wanted.values())] == ["new_stream"] * STREAMS
    LOG.info("%d streams: %.0f MB, %.0f MB after recovery", STREAMS, fresh_bytes / 1e6, recovered_bytes / 1e6)
    LOG.info("ready %.1f s after the start; %.0f scores/s with all first events", recovery_s, BEFORE * STREAMS / took_s)
    assert max(fresh_bytes, recovered_bytes) < LIMIT_BYTES
