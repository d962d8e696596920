"""The drift processor on a real Kafka: what it says is a function of the log, and bad input costs a dead letter and no more."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from schemas.drift import DriftSummaryV1
from schemas.envelope import Record
from schemas.topics import DEAD_LETTER
from streams.wiring.adapters.baseline_registry import BaselineRegistry
from streams.wiring.adapters.kafka import read_all
from streams.wiring.adapters.topics import apply_topics
from tests.helpers.drift import drift, evidence_record, feed, messages, said, settled
from tests.helpers.scores import score_evidence
from tests.helpers.servers import SharedKafka
from tests.helpers.streams import models, normal

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
            wanted = settled(client, site, registry, window_s=1)
            assert psutil.Process(child.pid).memory_info().rss < 200e6
        assert said(client, site) == wanted
    assert {event.kind for event in messages(wanted.values())} == {"new_stream", "baseline_up", "stale"}
    windows = [DriftSummaryV1.read(value) for value in wanted.values() if b'"p_counts":' in value]
    assert sum(window.n for window in windows) == 1000


def broken(part: Record, **changes: bytes) -> Record:
    """The part's record with other bytes in its JSON."""
    value = part.value or b""
    for name, text in changes.items():
        value, count = re.subn(rb'("%s":)[^,}]+' % name.encode(), rb"\g<1>" + text, value)
        assert count == 1
    return replace(part, value=value)


def test_bad_evidence_costs_a_dead_letter_and_the_stream_goes_on(kafka: SharedKafka, tmp_path: Path) -> None:
    """Scores that are no numbers, a version nobody knows, a baseline nobody published, a repeated and a wrong inspection."""
    client: dict[str, Any] = {"bootstrap.servers": kafka.bootstrap}
    apply_topics(client)
    site = kafka.fresh("site")
    with BaselineRegistry(client) as registry:
        known = registry.publish_model_set(models(normal(300, seed=1)), who="test", why="test").digest
        good = records(site, known, normal(40, seed=2))
        nobody = records(site, "ee" * 32, normal(5, seed=3), "cam-1")
        stamped = score_evidence(0, 0.5, station=f"{site}/line/cam-2", model_set=known, baseline="dd" * 32)
        bad = [
            broken(good[20], score=b"NaN"),
            broken(good[20], score=b"Infinity"),
            broken(good[20], score=b"1e999"),
            broken(good[20], score=b"null"),
            broken(good[20], inspection=b'"elsewhere"'),
            replace(good[20], value=b"{"),
        ]
        with drift(kafka.bootstrap, tmp_path / "drift.log"):
            feed(client, [*good[:20], *bad, *nobody, evidence_record(stamped), *good[20:], good[30]], RATE)
            wanted = settled(client, site, registry, window_s=1)
        assert said(client, site) == wanted
    kinds = Counter((event.inspection.split(":")[0][-5:], event.kind) for event in messages(wanted.values()))
    assert kinds == {("cam-0", "new_stream"): 1, ("cam-1", "no_baseline"): 1, ("cam-2", "no_baseline"): 1}
    letters = [one for one in read_all(client, [DEAD_LETTER]) if (one.header("ce_source") or "").startswith(site)]
    assert Counter(letter.header("dl_reason") for letter in letters) == {"bad_data": 5, "not_json": 1}
    assert {letter.value for letter in letters} == {part.value for part in bad}
