"""The three image processors on a real Kafka and a real Triton: right evidence, bad input, a Triton that dies."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import numpy as np
import pytest

from schemas.capture import embedding_envelope
from schemas.codec import enveloped, record_of
from schemas.common import Message, Region
from schemas.dead_letter import dead_letter_facts
from schemas.envelope import Record, from_millis
from schemas.evidence import AnomalyV1, ClassificationV1, FailedV1, SegmentationV1
from schemas.model_set import PreparationV1
from schemas.segment_request import PointV1, SegmentRequestV1
from schemas.topics import CAPTURE, DEAD_LETTER, EVIDENCE
from streams.capture.image import prepare
from streams.evidence.image_stats import image_stats
from streams.judgement.conformal import p_value
from streams.settings import Settings
from streams.wiring.adapters.registry import Registry
from streams.wiring.adapters.topics import apply_topics
from streams.wiring.processors import anomaly, classification, segmentation
from streams.workbench.kafka import EmbeddedKafka
from streams.workbench.triton import EmbeddedTriton
from tests.helpers import stage_models as models
from tests.helpers.stages import Bench, Watch, image_record, image_ref, picture, png, running
from tests.helpers.wait import wait_until

pytestmark = [pytest.mark.kafka, pytest.mark.triton]
DATA = png(picture())
LATER = from_millis(4_000_000_000_000)


@dataclass(frozen=True, kw_only=True)
class Site:
    settings: Settings
    watch: Watch
    triton: EmbeddedTriton
    full: str
    images: str


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Servers of its own: the processors' topics and groups have fixed names, and this Triton gets killed."""
    folder = tmp_path_factory.mktemp("site")
    store = folder / "models"
    models.put_anomaly(store, "disc")
    models.put_classifier(store, "disc")
    models.put_segments(store, "disc")
    models.put_image_classifier(store, "sheet")
    triton = EmbeddedTriton(store)
    with ExitStack() as stack:
        stack.callback(triton.stop)
        triton.launch()  # it loads its models while Kafka starts
        kafka = stack.enter_context(EmbeddedKafka())
        triton.wait_ready()
        settings = Settings(kafka=kafka.bootstrap, triton=triton.grpc_url, state=folder, triton_deadline_s=3)
        apply_topics(settings.client(), 2)
        with Registry(settings.client()) as registry:
            full, images = (
                registry.publish_model_set(message, who="test", why="test").digest
                for message in (models.full_set("disc"), models.image_classifier_set("sheet"))
            )
        with Watch(settings, EVIDENCE, DEAD_LETTER) as watch:
            yield Site(settings=settings, watch=watch, triton=triton, full=full, images=images)


def test_each_processor_gives_the_evidence_that_can_be_computed_by_hand(site: Site) -> None:
    bench = Bench(settings=site.settings, watch=site.watch, product="disc", model_set=site.full, epoch=1)
    with running(*(module.build(site.settings, 0) for module in (anomaly, classification, segmentation))):
        part = bench.capture(DATA)
        seen, kind = bench.wait(part, [AnomalyV1, ClassificationV1])
        score = 10 * float(picture().mean()) / 255
        assert seen.score == pytest.approx(score, abs=0.01)
        assert seen.p_value == p_value(seen.score, models.CALIBRATION)
        assert seen.image_stats == image_stats(prepare(DATA, PreparationV1()))
        assert seen.model.version == 1
        assert seen.image.uri.startswith(f"kafka://{CAPTURE}/")
        heat = np.frombuffer(base64.b64decode(seen.heat_map), "<f2").reshape(32, 32)
        assert (heat[16, 16], heat[0, 0]) == (pytest.approx(2400 / 255, rel=1e-2), pytest.approx(1000 / 255, rel=1e-2))
        assert kind.probabilities["bright"] == pytest.approx(1 / (1 + np.exp(5 - score)), abs=2e-3)  # fp16 on the way
        assert kind.image == seen.image
        bench.send(request(bench, part, seen))
        (shape,) = bench.wait(part, [SegmentationV1])
        (bar,) = shape.instances
        assert (bar.label, shape.region) == ("scratch", Region(x0=128, y0=128, x1=384, y1=384))
        assert abs(bar.length_mm - np.hypot(160, 32) * 0.1) <= 2 * bar.u_length_mm
        assert abs(bar.area_mm2 - 160 * 32 * 0.01) <= 2 * bar.u_area_mm2
        assert abs(bar.distance_mm - 7.2) <= 2 * bar.u_distance_mm


def request(bench: Bench, part: str, seen: AnomalyV1) -> Record:
    message = SegmentRequestV1(
        inspection=part, station=seen.station, view=seen.view, product=seen.product, acquisition=seen.acquisition,
        purpose=seen.purpose, model_set=bench.model_set, policy="0" * 64, image=seen.image,
        region=Region(x0=200, y0=200, x1=312, y1=312), why="class", mm_per_px=0.1, u_scale=0.01,
        critical=PointV1(x_px=256, y_px=168), due=LATER,
    )  # fmt: skip
    return record_of(message, id=f"{part}/v1/request", station=seen.station, subject=part)


def test_images_are_classified_where_a_model_set_in_force_wants_it(site: Site) -> None:
    bench = Bench(settings=site.settings, watch=site.watch, product="sheet", model_set=site.images, epoch=2)
    with running(*(module.build(site.settings, 0) for module in (anomaly, classification))):
        parts = [bench.capture(png(picture(brightness))) for brightness in (50, 200)]
        found = [bench.wait(part, [ClassificationV1])[0] for part in parts]
    assert [max(one.probabilities, key=one.probabilities.get) for one in found] == ["good", "bright"]
    assert len(bench.evidence()) == 2  # the anomaly processor skipped both by their stamp


Sender = Callable[[Bench], str]


def stamped(digest: str) -> Sender:
    return lambda bench: bench.capture(DATA, model_set=digest)


def other_bytes(bench: Bench) -> str:
    context = bench.context(DATA)
    bench.send(image_record(context, DATA + b"x"))
    return context.inspection


def broken_headers(bench: Bench) -> str:
    context = bench.context(DATA)
    record = image_record(context, DATA)
    headers = tuple((name, value) for name, value in record.headers if name != "ce_purpose")
    bench.send(Record(topic=record.topic, key=record.key, value=record.value, headers=headers))
    return context.inspection


def embedding(trunk: str, value: bytes) -> Sender:
    def send(bench: Bench) -> str:
        context = bench.context(DATA)
        bench.send(enveloped(embedding_envelope(context, trunk, image_ref("kafka://capture.v1/0/0", DATA)), value))
        return context.inspection

    return send


def gone_image(bench: Bench) -> str:
    part = bench.context(DATA)
    message = SegmentRequestV1(
        inspection=part.inspection, station=part.station, view=part.view, product=part.product, acquisition=part.acquisition,
        purpose=part.purpose, model_set=part.model_set, policy=part.policy,
        image=image_ref(f"kafka://{CAPTURE}/0/999999", DATA), region=Region(x0=0, y0=0, x1=9, y1=9), why="unknown", due=LATER,
    )  # fmt: skip
    bench.send(record_of(message, id=f"{part.inspection}/v1/request", station=part.station, subject=part.inspection))
    return part.inspection


ALL = ("anomaly", "classification", "segmentation")
BAD: list[tuple[str, Sender, str, tuple[str, ...]]] = [
    ("not an image", lambda bench: bench.capture(b"no image at all"), "not_an_image", ALL),
    ("truncated", lambda bench: bench.capture(DATA[: len(DATA) // 2]), "truncated", ALL),
    ("empty", lambda bench: bench.capture(b""), "empty", ALL),
    ("other bytes", other_bytes, "sha256_mismatch", ALL),
    ("broken headers", broken_headers, "bad_header", ALL),
    ("unknown model set", stamped("f" * 64), "unknown_model_set", ALL),
    ("view without calibration", lambda bench: bench.capture(DATA, view="v9"), "no_calibration", ALL),
    ("too late", lambda bench: bench.capture(DATA, decide_within_s=0.0001), "expired", ALL),
    ("another trunk", embedding("other@256:1", bytes(1984)), "wrong_trunk", ("classification",)),
    ("half an embedding", embedding(models.TRUNK, bytes(99)), "bad_embedding", ("classification",)),
    ("an image that is gone", gone_image, "image_gone", ("segmentation",)),
]


def test_bad_input_becomes_failed_evidence_and_a_dead_letter_and_the_next_part_is_seen(site: Site) -> None:
    bench = Bench(settings=site.settings, watch=site.watch, product="disc", model_set=site.full, epoch=3)
    with running(*(module.build(site.settings, 0) for module in (anomaly, classification, segmentation))):
        sent = {send(bench): (name, reason, stages) for name, send, reason, stages in BAD}
        probe = bench.capture(DATA)
        for part, (name, reason, stages) in sent.items():
            failed = wait_until(lambda p=part: failures(bench, p), what=name)  # type: ignore[misc]
            assert (failed[0].reason, failed[0].stages) == (reason, stages), name
        bench.wait(probe, [AnomalyV1, ClassificationV1])
        letters = {r.header("ce_subject"): dead_letter_facts(r) for r in site.watch.of(DEAD_LETTER)}
        for part, (name, reason, _) in sent.items():
            if reason == "expired":
                assert part not in letters  # answered, not buried: nothing is wrong with it
            else:
                assert letters[part]["reason"] == reason, name


def failures(bench: Bench, part: str) -> list[FailedV1]:
    return [message for message in bench.evidence(part) if isinstance(message, FailedV1)]


def test_nothing_is_lost_while_triton_is_dead(site: Site) -> None:
    bench = Bench(settings=site.settings, watch=site.watch, product="disc", model_set=site.full, epoch=4)
    both = [module.build(site.settings, 0) for module in (anomaly, classification)]
    with running(*both):
        parts = bench.captures(DATA, 10)
        wait_until(lambda: len(bench.evidence()) >= 6, what="some evidence")
        site.triton.kill()
        parts += bench.captures(DATA, 20)
        wait_until(lambda: not both[0].ready(), what="the processor says that it is not ready")
        site.triton.start()
        wait_until(lambda: len(bench.evidence()) >= 60, 40, "all evidence")
        wait_until(both[0].ready, what="the processor is ready again")
    kinds = [(type(message).__name__, inspection_of(message)) for message in bench.evidence()]
    assert {kind for kind in kinds if kind[0] == "FailedV1"} == set()
    assert {part for name, part in kinds if name == "AnomalyV1"} == set(parts)
    assert {part for name, part in kinds if name == "ClassificationV1"} == set(parts)


def inspection_of(message: Message) -> str:
    assert isinstance(message, (AnomalyV1, ClassificationV1, SegmentationV1, FailedV1))
    return message.inspection


def test_a_model_set_for_another_profile_is_refused(site: Site) -> None:
    bench = Bench(settings=site.settings, watch=site.watch, product="disc", model_set=site.full, epoch=5)
    with running(anomaly.build(site.settings.model_copy(update={"profile": "gpu-fp16"}), 0)):
        (failed,) = bench.wait(bench.capture(DATA), [FailedV1])
    assert failed.reason == "wrong_profile"
