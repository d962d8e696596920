"""The whole loop on real servers: a new kind of defect is labelled, learned, promoted, named by the next verdict, rolled back."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from schemas.codec import keyed, record_of
from schemas.common import Message, digest
from schemas.evidence import AnomalyV1
from schemas.label import LabelledViewV1, LabelV1
from schemas.taxonomy import ClassV1, TaxonomyPointerV1, TaxonomyV1
from schemas.topics import EVIDENCE, VERDICT
from schemas.verdict import VerdictV1
from streams.__main__ import application
from streams.capture.gateway import Capture, View
from streams.settings import Settings
from streams.wiring.adapters.baseline_registry import BaselineRegistry
from streams.wiring.adapters.kafka import Writer, read_all
from streams.wiring.adapters.model_store import ModelStore
from streams.wiring.adapters.shelf import where_of
from streams.wiring.adapters.topics import apply_topics
from streams.wiring.commands.fit import put_in_force
from streams.wiring.commands.learn import NOTHING
from streams.wiring.fitting import fit_to_store
from streams.wiring.processors import anomaly, classification, triage
from streams.wiring.processors.gateway import Gateway
from tests.helpers.fits import plate, plates, png, trunk
from tests.helpers.labels import NOW
from tests.helpers.servers import SharedKafka, SharedTriton
from tests.helpers.stages import running
from tests.helpers.wait import wait_until

pytestmark = [pytest.mark.kafka, pytest.mark.triton]
ACT = ("--who", "m.weber", "--why", "a test")


@contextmanager
def processors(settings: Settings) -> Iterator[None]:
    with ExitStack() as stack:
        engine = triage.build(settings, 0)
        thread = threading.Thread(target=engine.run, daemon=True)
        thread.start()
        stack.callback(thread.join, 30)
        stack.callback(engine.stop)
        stack.enter_context(running(anomaly.build(settings, 0), classification.build(settings, 0)))
        yield


@dataclass(frozen=True, kw_only=True)
class Site:
    settings: Settings
    product: str
    station: str
    gateway: Gateway
    registry: BaselineRegistry

    def run(self, *words: str, code: int = 0) -> str:
        done = CliRunner().invoke(application(words), list(words), env={"COLUMNS": "200"})
        assert done.exit_code == code, done.output
        return done.output

    def make(self, seeds: Sequence[int], kind: str) -> list[VerdictV1]:
        """Parts of that kind, and what was decided about them."""
        views = [[View("front", png(plate(seed, kind)[0]))] for seed in seeds]
        parts = [Capture(station=self.station, product=self.product, views=one, acquisition="a" * 64) for one in views]
        names = [str(self.gateway.post(part).result(30)) for part in parts]
        return wait_until(lambda: self._judged(names), 90, "their verdicts") or []

    def _judged(self, names: Sequence[str]) -> list[VerdictV1] | None:
        found = {one.inspection: one for one in self._all(VERDICT, VerdictV1)}
        return [found[name] for name in names] if set(names) <= set(found) else None

    def _all(self, topic: str, kind: type[Any]) -> list[Any]:
        records = (r for r in read_all(self.settings.client(), [topic]) if r.header("ce_type") == kind.TYPE)
        return [kind.read(r.value or b"") for r in records]

    def candidates(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(self.run("models", "candidates", self.product, "--json"))
        return found

    def classes(self, *ids: str) -> str:
        version = TaxonomyV1(product=self.product, classes=tuple(ClassV1(id=id, name=id.title()) for id in ids))
        name, where = digest(version), where_of(self.product, None)
        pointer = TaxonomyPointerV1(digest=name, who="m.weber", why="a test")
        rows: list[tuple[Message, str, str]] = [(version, name, name), (pointer, f"{where}/{name}", where)]
        writer = Writer(self.settings.client())
        for message, id, key in rows:
            writer.send(keyed(message, id=id, key=key, subject=where, time=NOW))
        writer.flush()
        return name

    def say(self, verdicts: Sequence[VerdictV1], kind: str, taxonomy: str) -> None:
        images = {one.inspection: one.image for one in self._all(EVIDENCE, AnomalyV1)}
        writer = Writer(self.settings.client())
        for verdict in verdicts:
            label = LabelV1(
                inspection=verdict.inspection, station=self.station, product=self.product, purpose="production", of="view",
                views=(LabelledViewV1(view="front", image=images[verdict.inspection]),), answer="defect", label=kind,
                taxonomy=taxonomy, who="ada", role="reviewer", looked_ms=800, answered_at=NOW,
            )  # fmt: skip
            writer.send(record_of(label, id=label.id, station=self.station, subject=label.inspection))
        writer.flush()


@pytest.fixture(scope="module")
def site(kafka: SharedKafka, triton: SharedTriton, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    state = tmp_path_factory.mktemp("state")
    settings = Settings(kafka=kafka.bootstrap, triton=triton.grpc, state=state, model_store=triton.store)
    named = {"KAFKA": kafka.bootstrap, "TRITON": triton.grpc, "STATE": settings.state, "MODEL_STORE": triton.store}
    product, station = kafka.fresh("plate"), f"{kafka.fresh('site')}/line/cam"
    apply_topics(settings.client())
    report = fit_to_store(plates(24, 8, masks=False), product, ModelStore(triton.store), triton=triton.grpc, trunk=trunk())
    with pytest.MonkeyPatch.context() as environment, ExitStack() as stack:
        for name, value in named.items():
            environment.setenv(f"VERDICTLINE_{name}", str(value))
        registry = stack.enter_context(BaselineRegistry(settings.client()))
        registry.wait_ready()
        put_in_force(report, registry, who="m.weber", why="fitted")
        stack.enter_context(processors(settings))
        gateway = Gateway(settings, registry, stations=[station])
        stack.callback(gateway.close)
        yield Site(settings=settings, product=product, station=station, gateway=gateway, registry=registry)


@pytest.mark.timeout(400)
def test_from_a_new_kind_of_defect_to_its_class_and_back(site: Site, tmp_path: Path) -> None:
    first = site.registry.model_sets_in_force()
    before = site.make(range(500, 512), "ring")
    assert "ring" not in {one.label for one in before}
    assert "nothing new" in site.run("learn", site.product, code=NOTHING)

    taxonomy = site.classes("line", "spot", "ring")
    site.say(before[:4], "ring", taxonomy)
    assert "ring: 4 of 5 parts of a new class" in site.run("learn", site.product, code=NOTHING)
    site.say(before, "ring", taxonomy)  # four of them again: copies
    page, figures = tmp_path / "page.html", tmp_path / "figures.json"
    said = site.run("learn", site.product, "--report", str(page), "--json", str(figures))
    assert "in force nowhere" in said
    assert site.registry.model_sets_in_force() == first
    found = json.loads(figures.read_text())
    (ring,) = (one for one in found["classes"] if one["class"] == "ring")
    assert (ring["found"]["before"]["events"], ring["found"]["after"]["n"]) == (0, 12)
    assert ring["found"]["after"]["events"] >= 8
    assert "ring" in page.read_text()
    assert "nothing new" in site.run("learn", site.product, code=NOTHING)
    assert found["model_set"][:12] in site.run("models", "candidates", site.product)

    policy = site.settings.state / "fitted" / f"{site.product}.learned.policy.yaml"
    assert "'ring' has no rule" in site.run("models", "promote", site.product, *ACT)
    between = site.make(range(600, 603), "ring")
    assert {one.disposition for one in between} == {"review"}, "until the policy has a rule for it"
    assert {one.model_set for one in between} == {found["model_set"]}
    policy.write_text(policy.read_text().replace("disposition: review", "disposition: scrap"))
    site.run("policy", "publish", str(policy), *ACT)
    after = site.make(range(610, 618), "ring")
    named = [one for one in after if (one.label, one.disposition) == ("ring", "scrap")]
    assert len(named) >= 6, [(one.label, one.disposition) for one in after]

    assert "is in force again" in site.run("models", "roll-back", site.product, *ACT)
    assert site.registry.model_sets_in_force()[where_of(site.product, None)] == first[where_of(site.product, None)]
    back = site.make(range(620, 623), "ring")
    assert "ring" not in {one.label for one in back}
    assert "no_verdict" not in {one.disposition for one in [*between, *after, *back]}
    acts = site.registry.model_set_acts(where_of(site.product, None))
    assert [(act.who, act.digest == found["model_set"]) for act in acts] == [
        ("m.weber", False), ("m.weber", True), ("m.weber", False)
    ]  # fmt: skip


@pytest.mark.timeout(300)
def test_who_watches_gets_a_candidate_when_enough_was_said(site: Site) -> None:
    taxonomy = site.classes("line", "spot", "ring")
    seen, before = site.make(range(700, 706), "ring"), len(site.candidates())
    words = [sys.executable, "-m", "streams", "learn", site.product, "--watch"]
    with subprocess.Popen(words, env=dict(os.environ), stdout=subprocess.PIPE, text=True) as child:
        lines: list[str] = []
        reading = threading.Thread(target=lambda: lines.extend(child.stdout or ()), daemon=True)
        reading.start()
        try:
            wait_until(lambda: any("waiting" in line for line in lines), 60, "it has read what there is")
            site.say(seen[:5], "ring", taxonomy)
            wait_until(lambda: len(site.candidates()) > before, 90, "the candidate")
            assert site.candidates()[-1]["new_classes"] == ["ring"]
            site.say(seen[5:], "ring", taxonomy)
            wait_until(lambda: "1 of 5" in lines[-1], 60, "it goes on, and counts from the last candidate")
            assert len(site.candidates()) == before + 1
        finally:
            child.terminate()
            child.wait(20)
