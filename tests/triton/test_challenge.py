"""From the act to the proof through every real part: gateway, anomaly, classification, triage, challenge."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
from typer.testing import CliRunner

from schemas.challenge import StationProofV1
from schemas.policy import PolicyV1
from schemas.topics import VERDICT
from streams.__main__ import application
from streams.capture.gateway import Capture, View
from streams.settings import Settings
from streams.wiring.adapters.baseline_registry import BaselineRegistry
from streams.wiring.adapters.challenges import Challenges, read_challenges
from streams.wiring.adapters.kafka import read_all
from streams.wiring.adapters.topics import apply_topics
from streams.wiring.adapters.triton import TritonClient, ask
from streams.wiring.commands.challenge_report import NOT_PROVEN
from streams.wiring.processors import anomaly, classification, triage
from streams.wiring.processors.gateway import Gateway
from streams.wiring.processors.injector import Injector
from tests.helpers import stage_models as models
from tests.helpers.servers import SharedKafka, SharedTriton
from tests.helpers.stages import picture, png, running
from tests.helpers.wait import wait_until

pytestmark = [pytest.mark.kafka, pytest.mark.triton]
CHILD = """
from streams.settings import Settings
from streams.wiring.processors.shell import run_processor
raise SystemExit(run_processor("challenge", Settings()))
"""
DARK, LIGHT = 100, 200  # the score is a tenth of the brightness' share; above 4.9 it is anomalous
ACT = ("--who", "ada", "--why", "test")


@contextmanager
def line(settings: Settings) -> Iterator[None]:
    """All processors that a challenge part meets."""
    environment = {**os.environ, "VERDICTLINE_KAFKA": settings.kafka or ""}
    with ExitStack() as stack:
        child = stack.enter_context(subprocess.Popen([sys.executable, "-c", CHILD], env=environment, stderr=subprocess.DEVNULL))
        stack.callback(child.kill)
        engine = triage.build(settings, 0)
        thread = threading.Thread(target=engine.run, daemon=True)
        thread.start()
        stack.callback(thread.join, 30)
        stack.callback(engine.stop)
        stack.enter_context(running(anomaly.build(settings, 0), classification.build(settings, 0)))
        yield


def rules(product: str) -> PolicyV1:
    classes = {"good": {"threshold": 0.6, "disposition": "pass"}, "bright": {"threshold": 0.6, "disposition": "scrap"}}
    data = {"product": product, "title": "test", "anomaly": {"alpha": 0.02}, "classes": classes, "decide_within_s": 60}
    return PolicyV1.model_validate(data)


@dataclass(frozen=True, kw_only=True)
class Station:
    settings: Settings
    name: str
    product: str
    gateway: Gateway

    def command(self, *words: str) -> str:
        """`verdictline challenge WORDS`, for this station."""
        words = ("challenge", *words, "--station", self.name)
        done = CliRunner().invoke(application(words), words, env={"COLUMNS": "200"})
        assert done.exit_code in (0, NOT_PROVEN), done.output
        return done.output

    def make(self, count: int) -> set[str]:
        """Good parts, one after the other; their inspections."""
        view = View("v1", png(picture(DARK, bar=None)))
        part = Capture(station=self.name, product=self.product, views=[view], acquisition="a" * 64)
        return {str(self.gateway.post(part).result(30)) for _ in range(count)}

    def judged(self) -> set[str]:
        return {record.header("ce_subject") or "" for record in read_all(self.settings.client(), [VERDICT])}

    def known(self) -> Challenges:
        return read_challenges(self.settings.client())

    def proof(self) -> StationProofV1 | None:
        return self.known().proofs.get((self.name, self.product, "digital"))


@pytest.fixture
def station(kafka: SharedKafka, triton: SharedTriton, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Station]:
    settings = Settings(kafka=kafka.bootstrap, triton=triton.grpc, state=tmp_path / "state")
    monkeypatch.setenv("VERDICTLINE_KAFKA", kafka.bootstrap)
    monkeypatch.setenv("VERDICTLINE_STATE", str(settings.state))
    product, name = kafka.fresh("rabbit"), f"{kafka.fresh('site')}/line/cam"
    apply_topics(settings.client())
    models.put_anomaly(triton.store, product)
    models.put_classifier(triton.store, product)
    for kind in ("anomaly", "classify"):
        ask(triton.grpc, partial(TritonClient.load, model=f"{product}-{kind}"))
    with ExitStack() as stack:
        registry = stack.enter_context(BaselineRegistry(settings.client()))
        registry.publish_model_set(models.full_set(product), who="ada", why="test")
        registry.publish_policy(rules(product), who="ada", why="test")
        registry.wait_ready()
        stack.enter_context(line(settings))
        gateway = Gateway(settings, registry, stations=[name])
        stack.callback(gateway.close)
        stack.enter_context(Injector(settings, [name], capture=gateway.post, acquisition=lambda *_: "a" * 64))
        yield Station(settings=settings, name=name, product=product, gateway=gateway)


def test_a_station_proves_itself_and_goes_blind(station: Station, tmp_path: Path) -> None:
    seen, blind = tmp_path / "seen.png", tmp_path / "blind.png"
    seen.write_bytes(png(picture(LIGHT, bar=None)))
    blind.write_bytes(png(picture(DARK, bar=None)))  # a defect that these models cannot tell from good
    station.command("add", str(seen), "--product", station.product, *ACT)
    station.command("schedule", "--product", station.product, "--every-parts", "2", *ACT)
    wait_until(station.proof, 60, "the schedule is read")
    station.make(1)
    wait_until(lambda: (p := station.proof()) and p.proven, 60, "the first proof")
    line = station.name, station.product, "digital"
    (first,) = station.known().results[line]
    assert first.items[0].disposition == "scrap"
    assert first.items[0].margin == pytest.approx(10 * LIGHT / 255 / 4.9 - 1, abs=0.02)

    station.command("add", str(blind), "--product", station.product, *ACT)
    suspect = station.make(1)
    wait_until(lambda: suspect <= station.judged(), 60, "its verdict")
    station.command("run", "--product", station.product, "--part", "blind", *ACT)
    (window,) = wait_until(lambda: station.known().windows_of(line), 60, "the miss and its window")
    proof = station.proof()
    assert proof
    assert (proof.proven, proof.why, proof.last_pass) == (False, "blind passed", first.set)
    assert {part.inspection for part in window[1].parts} == suspect
    wait_until(lambda: len(station.known().results[line]) == 2, 20, "its result")
    said = station.command("report")
    assert "NOT PROVEN: blind passed" in said
    assert "suspect with manual/digital/" in said
