"""From an act and a word of drift to verdicts: real registry, gateway and triage on one Kafka, the topics between them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from schemas.baseline import BaselineV1
from schemas.capture import context_of
from schemas.common import digest
from schemas.envelope import envelope_of
from schemas.evidence import BaselineStampV1
from schemas.policy import PolicyV1
from schemas.topics import VERDICT
from schemas.verdict import VerdictV1
from streams.capture.gateway import View
from streams.fates import Unprocessable
from streams.settings import Settings
from streams.wiring.adapters.baseline_registry import BaselineRegistry
from streams.wiring.adapters.kafka import Writer, read_all
from streams.wiring.adapters.topics import apply_topics
from streams.wiring.processors import triage
from streams.wiring.processors.gateway import Gateway
from tests.helpers import judgement
from tests.helpers.baselines import baseline, baseline_record, score_stream, state_of
from tests.helpers.evidence_log import evidence_record
from tests.helpers.gateway import part, png
from tests.helpers.sent import sent
from tests.helpers.servers import SharedKafka
from tests.helpers.wait import wait_until

pytestmark = pytest.mark.kafka
MODELS = judgement.model_set("anomaly", "classification")


@pytest.fixture
def settings(kafka: SharedKafka, tmp_path: Path) -> Settings:
    found = Settings(kafka=kafka.bootstrap, state=tmp_path)
    apply_topics(found.client())
    return found


@contextmanager
def judging(settings: Settings) -> Iterator[None]:
    """The processor, on a thread of this process."""
    engine = triage.build(settings, 0)
    thread = threading.Thread(target=engine.run, daemon=True)
    thread.start()
    yield
    engine.stop()
    thread.join(30)
    assert not thread.is_alive()


def rules(product: str) -> PolicyV1:
    return judgement.policy(product=product, decide_within_s=120, baseline={"suspect": {"do": "hold"}})


def take_parts(settings: Settings, registry: BaselineRegistry, reference: BaselineV1) -> list[str]:
    """A part in each state of its stream: nothing known, in force, in doubt, and in doubt while no Kafka answers for stamps."""
    station, product = reference.stream.station, reference.stream.product
    stream = digest(reference.stream)
    taken = []
    with BaselineRegistry(settings.client()) as stamps:
        stamps.wait_ready()
        gateway = Gateway(settings, stamps, stations=[station])
        taken.append(gateway.post(part(0, station=station, product=product)).result(30))
        bad: tuple[dict[str, Any], ...] = ({"acquisition": "words"}, {"views": [View("Top left", png())]})
        for changes in bad:  # refused, and the next one is taken
            with pytest.raises(Unprocessable, match="bad_data"):
                gateway.post(part(9, station=station, product=product, **changes)).result(30)
        registry.publish_baseline(reference, who="ann", why="10,000 parts")
        wait_until(lambda: stamps.standing(stream).state == "active", 10, "the act at the gateway")
        taken.append(gateway.post(part(1, station=station, product=product, tool="cavity-3", lot="L7")).result(30))
        writer = Writer(settings.client())
        writer.send(baseline_record(state_of(reference, "suspect")))
        writer.flush()
        wait_until(lambda: stamps.standing(stream).state == "suspect", 10, "drift's word at the gateway")
        taken.append(gateway.post(part(2, station=station, product=product)).result(30))
        assert gateway.wait_sent(30)
        gateway.close()
    with BaselineRegistry({"bootstrap.servers": "127.0.0.1:9"}, timeout_s=0.5) as away:
        gateway = Gateway(settings, away, stations=[station])
        taken.append(gateway.post(part(3, station=station, product=product)).result(30))
        assert gateway.wait_sent(30)
        gateway.close()
    return list(map(str, taken))


def judged(settings: Settings, inspections: list[str], product: str) -> list[VerdictV1]:
    """The verdicts after good evidence for every part."""
    models = MODELS.model_copy(update={"product": product})
    writer = Writer(settings.client())
    for inspection in inspections:
        writer.send(evidence_record(judgement.anomaly(inspection, models)))
        writer.send(evidence_record(judgement.classification(inspection, models)))
    writer.flush()

    def verdicts() -> list[VerdictV1]:
        ours = (record for record in read_all(settings.client(), [VERDICT]) if record.header("ce_subject") in inspections)
        return [VerdictV1.read(record.value or b"") for record in ours]

    wait_until(lambda: len(verdicts()) >= len(inspections), 40, "a verdict each")
    return verdicts()


def test_an_act_and_drifts_word_reach_the_verdict_through_the_stamp(kafka: SharedKafka, settings: Settings) -> None:
    product, station = kafka.fresh("disc"), f"plant/line/{kafka.fresh('cam')}"
    reference = baseline(score_stream(station, product=product, acquisition="c" * 64))
    with BaselineRegistry(settings.client()) as registry:
        registry.publish_model_set(MODELS.model_copy(update={"product": product}), who="ann", why="test")
        registry.publish_policy(rules(product), who="ann", why="test")
        inspections = take_parts(settings, registry, reference)

    found = sent(settings.client(), station)
    stream, named = digest(reference.stream), digest(reference)
    doubted = BaselineStampV1(stream=stream, baseline=named, state="suspect")
    assert [found.announced[one].baselines["v1"] for one in inspections] == [
        BaselineStampV1(stream=stream, state="provisional"),
        BaselineStampV1(stream=stream, baseline=named, state="active"),
        doubted,
        doubted,  # the last one that was known
    ]
    contexts = [context_of(envelope_of(found.images[f"{one}/v1/capture"].headers)) for one in inspections]
    assert [(one.baseline, one.tool) for one in contexts] == [(None, None), (named, "cavity-3"), (named, None), (named, None)]

    with judging(settings):
        verdicts = judged(settings, inspections, product)
    assert [(verdict.disposition, verdict.reasons[-1].code, verdict.false_reject_rate_valid) for verdict in verdicts] == [
        ("pass", "baseline_provisional", False),
        ("pass", "all_good", True),
        ("review", "baseline_suspect", False),
        ("review", "baseline_suspect", False),
    ]
