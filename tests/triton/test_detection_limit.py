"""From a schedule to a detection limit through every real part: painted on today's images, judged by fitted models."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from schemas.challenge import DetectionLimitV1
from schemas.evidence import AnnouncedV1
from schemas.topics import VERDICT
from schemas.verdict import VerdictV1
from streams.__main__ import application
from streams.capture.gateway import Capture, View
from streams.capture.image import decode
from streams.settings import Settings
from streams.wiring import fitting
from streams.wiring.adapters.baseline_registry import BaselineRegistry
from streams.wiring.adapters.challenges import read_challenges
from streams.wiring.adapters.kafka import read_all
from streams.wiring.adapters.model_store import ModelStore
from streams.wiring.adapters.topics import apply_topics
from streams.wiring.fitting import fit_to_store
from streams.wiring.processors import anomaly, classification, triage
from streams.wiring.processors.gateway import Gateway
from streams.wiring.processors.injector import Injector
from streams.wiring.processors.limit_set import LimitSets
from tests.helpers.fits import fitted, plate, plates, png, trunk
from tests.helpers.sent import sent
from tests.helpers.servers import SharedKafka, SharedTriton
from tests.helpers.stages import running
from tests.helpers.wait import wait_until

pytestmark = [pytest.mark.kafka, pytest.mark.triton]
CHILD = """
from streams.settings import Settings
from streams.wiring.processors.shell import run_processor
raise SystemExit(run_processor("challenge", Settings()))
"""
ACT = ("--who", "ada", "--why", "test")
SIZES = (1.0, 3.0, 16.0)
GOOD = 12


@dataclass(frozen=True, kw_only=True)
class Station:
    settings: Settings
    name: str
    gateway: Gateway

    def command(self, *words: str) -> str:
        """`verdictline challenge WORDS`, for this station."""
        words = ("challenge", *words, "--station", self.name)
        done = CliRunner().invoke(application(words), words, env={"COLUMNS": "200"})
        assert done.exit_code == 0, done.output
        return done.output

    def verdicts(self) -> list[VerdictV1]:
        records = (r for r in read_all(self.settings.client(), [VERDICT]) if r.key == self.name.encode())
        return [VerdictV1.read(record.value or b"") for record in records]

    def limits(self) -> list[DetectionLimitV1]:
        return read_challenges(self.settings.client()).limits.get((self.name, "plate"), [])


@contextmanager
def line(settings: Settings) -> Iterator[None]:
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


@pytest.fixture
def station(kafka: SharedKafka, triton: SharedTriton, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Station]:
    settings = Settings(kafka=kafka.bootstrap, triton=triton.grpc, state=tmp_path / "state")
    monkeypatch.setenv("VERDICTLINE_KAFKA", kafka.bootstrap)
    monkeypatch.setenv("VERDICTLINE_STATE", str(settings.state))
    monkeypatch.setattr(fitting, "fit_product", lambda *_, **__: fitted())
    report = fit_to_store(plates(24, 8), "plate", ModelStore(triton.store), triton=triton.grpc, trunk=trunk())
    rules = report.policy.model_copy(update={"decide_within_s": 60.0, "geometry": None})
    apply_topics(settings.client())
    name = f"{kafka.fresh('site')}/line/cam"
    with ExitStack() as stack:
        registry = stack.enter_context(BaselineRegistry(settings.client()))
        registry.publish_model_set(report.model_set, who="ada", why="test")
        registry.publish_policy(rules, who="ada", why="test")
        registry.wait_ready()
        stack.enter_context(line(settings))
        gateway = Gateway(settings, registry, stations=[name])
        stack.callback(gateway.close)
        painter = LimitSets(settings, registry)
        stack.enter_context(Injector(settings, [name], capture=gateway.post, acquisition=lambda *_: "a" * 64, painter=painter))
        yield Station(settings=settings, name=name, gateway=gateway)


def make(station: Station) -> set[str]:
    """Good plates; the inspections of those that passed."""
    for seed in range(1000, 1000 + GOOD):
        view = View("front", png(plate(seed, "good")[0]))
        station.gateway.post(Capture(station=station.name, product="plate", views=[view], acquisition="a" * 64)).result(30)
    wait_until(lambda: len(station.verdicts()) == GOOD, 60, "their verdicts")
    return {verdict.inspection for verdict in station.verdicts() if verdict.disposition == "pass"}


def test_larger_scratches_are_found_more_often_and_the_limit_is_told(station: Station, tmp_path: Path) -> None:
    passed = make(station)
    assert len(passed) >= GOOD / 2
    sizes = [word for size in SIZES for word in ("--limit-size", str(size))]
    station.command("schedule", "--product", "plate", *sizes, "--limit-repeats", "4", "--limit-contrast", "-0.05", *ACT)
    station.command("run", "--product", "plate", "--limit", *ACT)
    (said,) = wait_until(station.limits, 120, "the limit") or []

    assert [(grade.size_px, grade.tried) for grade in said.grades] == [(size, 4) for size in SIZES]
    found = [grade.found for grade in said.grades]
    assert all(a <= b for a, b in pairwise(found))
    assert found[0] < found[-1] == 4
    assert (said.view, said.false_alarms, said.contrast) == ("front", 0, -0.05)
    check_what_was_sent(station, passed)

    text, chart = station.command("limit"), tmp_path / "limit.svg"
    assert "smallest scratch found 90 % of the time" in text
    (row,) = json.loads(station.command("limit", "--json", "--svg", str(chart)))
    assert row["grades"] == json.loads(said.json_bytes())["grades"]
    assert chart.read_text(encoding="utf-8").startswith("<svg")


def check_what_was_sent(station: Station, passed: set[str]) -> None:
    """Painted images are good ones of today but for their mark; unpainted ones are them, byte for byte."""
    found = sent(station.settings.client(), station.name)
    good = {inspection: found.image(inspection, "front") for inspection in passed}
    pixels = [decode(data).astype(int) for data in good.values()]
    parts: dict[str, AnnouncedV1] = {a.challenge.part: a for a in found.announced.values() if a.challenge}
    assert len(parts) == 3 * 4 + 6
    for name, announced in parts.items():
        stamp, data = announced.challenge, found.image(announced.inspection, "front")
        assert announced.purpose == "challenge"
        assert stamp is not None
        if stamp.kind == "golden":
            assert data in good.values()
            continue
        changed = min((np.abs(decode(data).astype(int) - image) > 0).sum() for image in pixels)
        assert 0 < changed <= (stamp.size_px or 0) * 5 + 30, name
        assert (stamp.view, stamp.label, stamp.size_mm) == ("front", "scratch", None)
