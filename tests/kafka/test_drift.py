"""The drift processor as a process that is killed: its summaries hold every production score once."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from schemas.codec import record_of
from schemas.drift import DriftSummaryV1
from schemas.envelope import Record
from schemas.evidence import AnomalyV1, TickV1
from schemas.topics import DRIFT, EVIDENCE
from streams.monitors.summary import edges_of, p_bin
from streams.wiring.adapters.kafka import Writer, partitions, read_all
from streams.wiring.adapters.registry import Registry
from streams.wiring.adapters.topics import apply_topics
from tests.helpers.scores import score_evidence
from tests.helpers.servers import SharedKafka
from tests.helpers.stage_models import CALIBRATION, full_set
from tests.helpers.wait import wait_until

pytestmark = [pytest.mark.kafka, pytest.mark.faults]
CHILD = """
from streams.settings import Settings
from streams.wiring.processors.shell import run_processor
raise SystemExit(run_processor("drift", Settings()))
"""
PARTS, RATE = 1500, 250


@contextmanager
def drift(bootstrap: str, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    environment = {**os.environ, "VERDICTLINE_KAFKA": bootstrap, "VERDICTLINE_SUMMARY_EVERY_S": "1"}
    with log.open("ab") as out:
        child = subprocess.Popen([sys.executable, "-c", CHILD], env=environment, stdout=out, stderr=out)
    try:
        yield child
    finally:
        child.kill()
        child.wait()


def evidence_record(message: AnomalyV1) -> Record:
    return record_of(message, id=f"{message.inspection}/v1/anomaly", station=message.station, subject=message.inspection)


def ticks(client: dict[str, Any]) -> list[Record]:
    """As triage writes them: time goes on in every partition."""
    tick = record_of(TickV1(owner="triage-0"), id="tick", station="-", subject="tick")
    return [
        Record(topic=EVIDENCE, key=None, value=tick.value, headers=tick.headers, partition=n)
        for n in range(partitions(client, [EVIDENCE])[EVIDENCE])
    ]


def feed(client: dict[str, Any], parts: list[AnomalyV1], stopping: threading.Event) -> None:
    """All parts at RATE a second, some twice, some of them again much later; then ticks until told to stop."""
    writer = Writer(client)
    for index, part in enumerate(parts):
        writer.send(evidence_record(part))
        if index % 9 == 0:
            writer.send(evidence_record(parts[max(0, index - 30)]))
        if index % (RATE // 4) == 0:
            for tick in ticks(client):
                writer.send(tick)
        if stopping.wait(1 / RATE):
            return
    while not stopping.wait(0.3):
        for tick in ticks(client):
            writer.send(tick)
    writer.flush()


def counted(client: dict[str, Any], site: str) -> int:
    return sum(summary.n for summary in summaries(client, site).values())


def summaries(client: dict[str, Any], site: str) -> dict[str, DriftSummaryV1]:
    """By id; a repeated id must have the same content."""
    found: dict[str, bytes] = {}
    for record in read_all(client, [DRIFT]):
        if (record.header("ce_source") or "").startswith(site):
            identity = record.header("ce_id") or ""
            assert found.setdefault(identity, record.value or b"") == record.value
    return {identity: DriftSummaryV1.read(value) for identity, value in found.items()}


def test_summaries_are_exact_over_two_kills(kafka: SharedKafka, tmp_path: Path) -> None:
    client = {"bootstrap.servers": kafka.bootstrap}
    apply_topics(client)
    site = kafka.fresh("site")
    with Registry(client) as registry:
        models = registry.publish_model_set(full_set("disc"), who="test", why="test").digest
    rng = np.random.default_rng(7)
    scores = rng.uniform(-1, 6, PARTS)
    parts = [
        score_evidence(
            i // 3, float(scores[i]), float(rng.uniform(0.001, 1)), station=f"{site}/line/cam-{i % 3}", model_set=models,
            purpose="setup" if i % 50 == 7 else "production",
        )
        for i in range(PARTS)
    ]  # fmt: skip
    log, stopping = tmp_path / "drift.log", threading.Event()
    feeder = threading.Thread(target=feed, args=(client, parts, stopping))
    feeder.start()
    try:
        for _ in range(2):
            before = counted(client, site)
            with drift(kafka.bootstrap, log):  # killed as soon as it has said something, in the middle of the stream
                wait_until(lambda n=before: counted(client, site) > n, 60, "a summary")  # type: ignore[misc]
        with drift(kafka.bootstrap, log) as child:
            wait_until(lambda: counted(client, site) >= PARTS - PARTS // 50, 60, "all summaries")
            assert psutil.Process(child.pid).memory_info().rss < 200e6
    finally:
        stopping.set()
        feeder.join()
    production = [part for part in parts if part.purpose == "production"]
    found = summaries(client, site).values()
    edges = edges_of(CALIBRATION)
    assert {summary.score_edges for summary in found} == {edges}
    assert totals(found, "score_counts") == Counter(bisect_left(edges, part.score) for part in production)
    assert totals(found, "p_counts") == Counter(p_bin(part.p_value) for part in production)
    assert len({summary.first for summary in found}) == len(found)


def totals(found: Any, field: str) -> Counter[int]:
    total: Counter[int] = Counter()
    for summary in found:
        total.update(dict(enumerate(getattr(summary, field))))
    return +total
