"""The whole product at once: every process is killed in mid-run, every part still gets one verdict, and each can be proven."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
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
from tests.helpers.demo import PROCESSES, Demo, kept, running_demo
from tests.helpers.prometheus import INSTALLED, needs_prometheus
from tests.helpers.wait import wait_until
from tools.panels import Asked, alerts, asked, panels, table

pytestmark = [pytest.mark.faults, pytest.mark.kafka, pytest.mark.triton, pytest.mark.timeout(900)]
PARTS = 180
STATION = "plant-a/line-1/cam-1"


@dataclass(frozen=True, kw_only=True)
class Killed:
    """What is left of a demo: its summary, its state folder, its exit code, and what Prometheus knew of it."""

    summary: dict[str, Any]
    state: Path
    code: int
    asked: list[Asked]


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Killed:
    """One line's run in which each process dies once; kept until Prometheus, where there is one, has answered everything."""
    folder = tmp_path_factory.mktemp("demo")
    summary, state = folder / "demo.json", folder / "state"
    options = ("--parts", str(PARTS), "--lines", "1", "--rate", "5", "--json", str(summary), "--keep")
    with running_demo(state, *options, *(["--observability"] if INSTALLED else [])) as demo:
        wait_until(lambda: demo.judged() > 0, 420, "the first verdict")
        for name in PROCESSES:
            demo.kill(name)
        found = kept(demo, summary)
        looked = _look(demo) if INSTALLED else []
        demo.process.terminate()
        return Killed(summary=found, state=state, code=demo.wait(60), asked=looked)


def _look(demo: Demo) -> list[Asked]:
    """What all panels and alerts get, once challenge parts are scheduled, too."""
    words = f"challenge schedule --every-parts 500 --station {STATION} --product disc --who test --why panels"
    command = [sys.executable, "-m", "streams", *words.split()]
    subprocess.run(command, env={**os.environ, "VERDICTLINE_KAFKA": demo.address("Kafka")}, check=True, capture_output=True)
    url = demo.address("Prometheus")
    for slow in ("verdictline_challenge_proven", "verdictline_spc_lower_limit"):
        one = Asked(kind="panel", where="", what="", expr=slow)
        wait_until(lambda one=one: asked(url, [one])[0].series, 120, f"{slow} in Prometheus")  # type: ignore[misc]
    return asked(url, [*panels(), *alerts()])


def test_every_part_gets_one_verdict_whatever_is_killed(killed: Killed) -> None:
    found = killed.summary
    assert found["announced"] == found["judged"] == PARTS
    assert (found["missing"], found["conflicts"]) == (0, 0)
    restarts = {name: found["processes"][name]["restarts"] for name in PROCESSES}
    assert all(count >= 1 for count in restarts.values()), restarts


def test_the_summary_has_what_it_promises(killed: Killed) -> None:
    found = killed.summary
    assert set(found["verdicts"]) == {"pass", "rework", "scrap", "review", "no_verdict"}
    assert sum(found["verdicts"].values()) == PARTS
    assert {"copies", "escapes", "overkill", "unknown_defects_caught", "parts_per_s", "products"} <= set(found)
    assert set(found["latency_ms"]) == {"p50", "p99"}
    assert all(set(used) == {"cpu_s", "rss_mb", "restarts"} for used in found["processes"].values())


def test_deciding_again_from_the_evidence_gives_every_verdict_byte_for_byte(killed: Killed) -> None:
    with EmbeddedKafka(killed.state / "kafka") as kafka:
        client = {"bootstrap.servers": kafka.bootstrap}
        written = _contents(read_all(client, [VERDICT]))
        with Registry(client) as registry:
            registry.wait_ready()
            again = {dict(r.headers)["ce_id"]: r for r in redecide(read_all(client, [EVIDENCE]), registry)}
    assert len(written) >= PARTS
    assert {id: (record.key, record.value, record.headers) for id, record in again.items()} == written


def test_nothing_is_left_running_after_it(killed: Killed) -> None:
    assert killed.code == 0
    left = [p.pid for p in psutil.process_iter() if _mentions(p, str(killed.state))]
    assert left == []


@needs_prometheus
def test_every_panel_and_alert_gets_an_answer(killed: Killed) -> None:
    """An empty panel is a wrong one: what is rightly empty while nothing is wrong says 0."""
    print(table(killed.asked))  # noqa: T201 - shown with -s, and where it fails
    strange = [one for one in killed.asked if one.bad]
    assert len(killed.asked) > 100
    assert not strange, table(strange)


def test_terminating_a_demo_stops_everything(killed: Killed) -> None:
    state = killed.state
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
