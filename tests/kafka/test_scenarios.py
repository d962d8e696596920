"""A recorded scenario through a real Kafka and the drift processor: what is said there is what the rehearsal says."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from schemas.drift import DriftEventV1
from schemas.ids import parse_inspection
from streams.wiring.adapters.baseline_registry import BaselineRegistry
from streams.wiring.adapters.topics import apply_topics
from streams.workbench.scenarios import SCENARIOS, Must
from streams.workbench.scenarios.course import QUIET, Course, Phase
from streams.workbench.scenarios.recorded import GOLDEN
from streams.workbench.scenarios.rehearsal import rehearse
from streams.workbench.scenarios.served import feed
from tests.helpers.drift import drift, messages, said, settled
from tests.helpers.scenarios import MODELS, POLICY, look, run
from tests.helpers.servers import SharedKafka
from tests.helpers.wait import wait_until

pytestmark = pytest.mark.kafka
RATE = 800
SHORT = replace(
    SCENARIOS["blur"],
    parts=900,
    commissioned=600,
    course=Course(phases=(Phase(begin=700, knobs=replace(QUIET, blur_px=1.0)),)),
    must=(Must(kinds=frozenset({"baseline_up"}), within=150, since=700, causes=frozenset({"camera_light"})),),
)


def facts(event: DriftEventV1) -> tuple[object, ...]:
    return event.kind, event.inspection, event.state, event.baseline, event.cause, event.log_e_value


def test_a_recorded_scenario_says_on_kafka_what_it_says_in_rehearsal(kafka: SharedKafka, tmp_path: Path) -> None:
    client: dict[str, Any] = {"bootstrap.servers": kafka.bootstrap}
    apply_topics(client)
    site = kafka.fresh("site")
    made = run(SHORT, look(1), look(2, shift=0.9, sharpness=-300), station=f"{site}/line/cam")
    rehearsed = rehearse(made, MODELS, POLICY)
    assert rehearsed.met, rehearsed.rows
    with BaselineRegistry(client) as registry:
        registry.publish_model_set(MODELS, who="test", why="test")
        registry.publish_policy(POLICY, who="test", why="test")
        with drift(kafka.bootstrap, tmp_path / "drift.log"):
            fed = feed(client, made.evidence(0, SHORT.commissioned, None), RATE)
            wait_until(lambda: registry.baseline(rehearsed.baseline.parent or "") is not None, 90, "the calibration baseline")
            named = registry.publish_baseline(rehearsed.baseline, who="test", why="test").digest
            fed += feed(client, made.evidence(SHORT.commissioned, SHORT.parts, named), RATE)
            settled(client, site, registry, window_s=1)
        heard = messages(said(client, site).values())
    visits = (SHORT.parts - 1) // SHORT.masters_every
    assert fed == SHORT.parts + GOLDEN * visits
    in_order = sorted(heard, key=lambda event: (parse_inspection(event.inspection).n, event.kind))
    wanted = sorted(rehearsed.events, key=lambda event: (parse_inspection(event.inspection).n, event.kind))
    assert [facts(event) for event in in_order] == [facts(event) for event in wanted]
