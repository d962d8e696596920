"""The whole product at once: every process is killed in mid-run, every part still gets one verdict, and each can be proven."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from schemas.envelope import Received
from schemas.topics import EVIDENCE, VERDICT
from streams.wiring.adapters.kafka import read_all
from streams.wiring.adapters.registry import Registry
from streams.wiring.processors.triage import redecide
from streams.workbench.kafka import EmbeddedKafka
from tests.helpers.demo import PROCESSES, finished, running_demo
from tests.helpers.wait import wait_until

pytestmark = [pytest.mark.faults, pytest.mark.kafka, pytest.mark.triton, pytest.mark.timeout(600)]
PARTS = 180


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[dict[str, Any], Path]]:
    """One line's run in which each process dies once. Gives its summary and its state folder."""
    folder = tmp_path_factory.mktemp("demo")
    summary, state = folder / "demo.json", folder / "state"
    options = ("--parts", str(PARTS), "--lines", "1", "--rate", "5", "--json", str(summary))
    with running_demo(state, *options) as demo:
        wait_until(lambda: demo.judged() > 0, 240, "the first verdict")
        for name in PROCESSES:
            demo.kill(name)
        yield finished(demo, summary), state


def test_every_part_gets_one_verdict_whatever_is_killed(killed: tuple[dict[str, Any], Path]) -> None:
    found, _ = killed
    assert found["announced"] == found["judged"] == PARTS
    assert (found["missing"], found["conflicts"]) == (0, 0)
    restarts = {name: found["processes"][name]["restarts"] for name in PROCESSES}
    assert all(count >= 1 for count in restarts.values()), restarts


def test_the_summary_has_what_it_promises(killed: tuple[dict[str, Any], Path]) -> None:
    found, _ = killed
    assert set(found["verdicts"]) == {"pass", "rework", "scrap", "review", "no_verdict"}
    assert sum(found["verdicts"].values()) == PARTS
    assert {"copies", "escapes", "overkill", "unknown_defects_caught", "parts_per_s", "products"} <= set(found)
    assert set(found["latency_ms"]) == {"p50", "p99"}
    assert all(set(used) == {"cpu_s", "rss_mb", "restarts"} for used in found["processes"].values())


def test_deciding_again_from_the_evidence_gives_every_verdict_byte_for_byte(killed: tuple[dict[str, Any], Path]) -> None:
    _, state = killed
    with EmbeddedKafka(state / "kafka") as kafka:
        client = {"bootstrap.servers": kafka.bootstrap}
        written = _contents(read_all(client, [VERDICT]))
        with Registry(client) as registry:
            registry.wait_ready()
            again = {dict(r.headers)["ce_id"]: r for r in redecide(read_all(client, [EVIDENCE]), registry)}
    assert len(written) >= PARTS
    assert {id: (record.key, record.value, record.headers) for id, record in again.items()} == written


def test_nothing_is_left_running_after_it(killed: tuple[dict[str, Any], Path]) -> None:
    _, state = killed
    left = [p.pid for p in psutil.process_iter() if _mentions(p, str(state))]
    assert left == []


def test_terminating_a_demo_stops_everything(killed: tuple[dict[str, Any], Path]) -> None:
    _, state = killed
    with running_demo(state, "--parts", "500", "--lines", "1", "--rate", "5") as demo:
        before = demo.judged()
        wait_until(lambda: demo.judged() not in (0, before), 120, "verdicts of the second run")
        demo.process.terminate()
        assert demo.wait(60) == 130, demo.said()[-3000:]
    assert [p.pid for p in psutil.process_iter() if _mentions(p, str(state))] == []


def _contents(records: Iterator[Received]) -> dict[bytes, Any]:
    return {dict(r.headers)["ce_id"]: (r.key, r.value, r.headers) for r in records}


def _mentions(process: psutil.Process, text: str) -> bool:
    try:
        return any(text in word for word in process.cmdline())
    except psutil.Error:
        return False
