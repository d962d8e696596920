"""Candidates on a real Kafka: offered, listed, promoted with who and why, refused where they must be, rolled back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from typer.testing import CliRunner

from schemas.common import digest
from schemas.model_set import ModelSetV1
from schemas.policy import ClassRuleV1, PolicyV1
from streams.__main__ import application
from streams.settings import Settings
from streams.wiring.adapters.registry import Registry
from streams.wiring.adapters.shelf import where_of
from streams.wiring.adapters.topics import apply_topics
from streams.wiring.commands.clear import INVALID
from streams.wiring.commands.policy_file import dump_policy
from tests.helpers.judgement import model_set, policy
from tests.helpers.models_offered import learned
from tests.helpers.servers import SharedKafka

pytestmark = pytest.mark.kafka
ACT = ("--who", "m.weber", "--why", "a test")


@dataclass(frozen=True, kw_only=True)
class Site:
    product: str
    base: ModelSetV1
    rules: PolicyV1
    registry: Registry

    @property
    def where(self) -> str:
        return where_of(self.product, None)

    def run(self, *words: str, code: int = 0) -> str:
        done = CliRunner().invoke(application(words), list(words), env={"COLUMNS": "200"})
        assert done.exit_code == code, done.output
        return done.output

    def now(self) -> str:
        self.registry.refresh()
        return self.registry.model_sets_in_force()[self.where]


@pytest.fixture
def site(kafka: SharedKafka, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setenv("VERDICTLINE_KAFKA", kafka.bootstrap)
    monkeypatch.delenv("VERDICTLINE_TRITON", raising=False)
    settings = Settings(kafka=kafka.bootstrap)
    apply_topics(settings.client())
    product = kafka.fresh("part")
    base = model_set("anomaly", "classification").model_copy(update={"product": product})
    rules = policy(product=product)
    with Registry(settings.client()) as registry:
        registry.publish_model_set(base, who="ada", why="fitted")
        registry.publish_policy(rules, who="ada", why="fitted")
        yield Site(product=product, base=base, rules=rules, registry=registry)


def test_a_candidate_goes_into_force_with_its_policy_and_out_again(site: Site, tmp_path: Path) -> None:
    assert "no candidates" in site.run("models", "candidates", site.product)
    assert "no candidate" in site.run("models", "promote", site.product, *ACT, code=1)
    assert "no other model set" in site.run("models", "roll-back", site.product, *ACT, code=1)
    candidate = learned(site.base, 7, "stain")
    found = site.registry.offer_model_set(candidate)
    assert site.registry.offer_model_set(candidate) == found, "again changes nothing"
    assert site.now() == digest(site.base)
    (row,) = json.loads(site.run("models", "candidates", site.product, "--json"))
    assert (row["digest"], row["new_classes"], row["gained"]) == (found, ["stain"], 8)

    rules = {**site.rules.classes, "stain": ClassRuleV1(threshold=0.7, disposition="scrap")}
    file = tmp_path / "policy.yaml"
    wrong = {**rules, "stane": rules["stain"]}
    file.write_text(dump_policy(site.rules.model_copy(update={"classes": wrong})))
    assert "stane" in site.run("models", "promote", site.product, *ACT, "--policy", str(file), code=INVALID)
    assert site.now() == digest(site.base), "nothing was changed"
    file.write_text(dump_policy(site.rules.model_copy(update={"classes": rules})))
    assert "is in force" in site.run("models", "promote", site.product, *ACT, "--policy", str(file))
    assert site.now() == found
    in_force = site.registry.policy_for(site.product)
    assert in_force is not None
    assert in_force.classes["stain"].disposition == "scrap"

    said = site.run("models", "roll-back", site.product, "--who", "eve", "--why", "too many reworks")
    assert "classes.stain: no classifier knows this class" in said, "told, and harmless"
    assert site.now() == digest(site.base)
    site.run("models", "roll-back", site.product, *ACT)
    assert site.now() == found, "the same act undoes itself"
    acts = site.registry.model_set_acts(site.where)
    assert [(act.who, act.why, act.digest == found) for act in acts] == [
        ("ada", "fitted", False),
        ("m.weber", "a test", True),
        ("eve", "too many reworks", False),
        ("m.weber", "a test", True),
    ]


def test_a_candidate_that_was_compared_with_something_else_is_refused(site: Site) -> None:
    old, new = learned(site.base, 7, "stain"), learned(site.base, 8, "stain", "dust")
    first, second = site.registry.offer_model_set(old), site.registry.offer_model_set(new)
    site.run("models", "promote", site.product, *ACT)
    assert site.now() == second, "the newest"
    assert "was compared with" in site.run("models", "promote", site.product, *ACT, "--candidate", first[:10], code=1)
    site.run("models", "promote", site.product, *ACT, "--candidate", first[:10], "--anyway")
    assert site.now() == first
    assert "no candidate 0000" in site.run("models", "promote", site.product, *ACT, "--candidate", "0000", code=1)


def test_models_without_what_the_policy_needs_and_models_that_nobody_serves_are_refused(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost = learned(site.base, 7)
    lost = lost.model_copy(update={"models": tuple(one for one in lost.models if one.stage == "classification")})
    found = site.registry.offer_model_set(lost)
    assert "no anomaly model" in site.run("models", "promote", site.product, *ACT, "--candidate", found, code=INVALID)
    whole = site.registry.offer_model_set(learned(site.base, 8))
    monkeypatch.setenv("VERDICTLINE_TRITON", "127.0.0.1:9")
    assert "does not serve" in site.run("models", "promote", site.product, *ACT, "--candidate", whole, code=1)
    assert site.now() == digest(site.base)
