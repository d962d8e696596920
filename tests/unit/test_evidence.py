"""Tensors to evidence: what fits becomes a message that its schema takes, what does not is refused by name."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from schemas.capture import Context
from schemas.common import ImageRef, ModelRef
from schemas.evidence import AnomalyV1, ChallengeStampV1
from schemas.ids import inspection_id
from schemas.model_set import ModelSetV1
from streams.evidence.anomaly import anomaly, embedding_bytes, heat_map, raw_score
from streams.evidence.classification import classification, embedding_of, entropy, same_trunk
from streams.evidence.observation import Seen
from streams.fates import Unprocessable
from streams.wiring.processors.failures import doomed
from tests.helpers.stage_models import full_set, image_classifier_set

D = "cd" * 32
PART = Context(
    inspection=str(inspection_id("a/b/c", 5, 7)), station="a/b/c", view="v1", views=2, product="disc", acquisition=D,
    purpose="challenge", model_set=D, policy=D, decide_within_s=5, sha256=D, lot="L7", tool="mould-3", baseline="ef" * 32,
    challenge=ChallengeStampV1(set="s1", part="G-1", proof="digital", kind="golden"),
)  # fmt: skip
SEEN = Seen(
    part=PART,
    image=ImageRef(uri="kafka://capture.v1/0/1", sha256=D, bytes=9, content_type="image/png"),
    model=ModelRef(name="disc-anomaly", version=3, digest=D, profile="cpu-fp32"),
    latency_ms=1.23456,
)


def answer(**changes: Any) -> dict[str, Any]:
    one = np.array([[2.5]], np.float32)
    heat = np.linspace(-3, 1e6, 1024, dtype=np.float32).reshape(1, 32, 32)
    embedding = np.linspace(-2, 2, 992, dtype=np.float32)[None]
    return {"score": one, "score_mid": one, "score_deep": one, "anomaly_map": heat, "embedding": embedding, **changes}


def test_anomaly_repeats_the_part_and_keeps_the_raw_score() -> None:
    assert raw_score(answer()) == 2.5
    message = anomaly(answer(), SEEN, p_value=0.02, calibration_n=99, trunk_id="t")
    assert AnomalyV1.read(message.json_bytes()) == message
    assert (message.inspection, message.purpose, message.model.version, message.latency_ms) == (
        PART.inspection,
        "challenge",
        3,
        1.235,
    )
    assert (message.lot, message.tool, message.policy, message.baseline) == ("L7", "mould-3", D, "ef" * 32)
    assert message.challenge == PART.challenge


def test_heat_maps_and_embeddings_are_fp16_and_finite_whatever_the_model_gives() -> None:
    drawn = np.frombuffer(base64.b64decode(heat_map(answer()["anomaly_map"][0])), "<f2")
    assert drawn.shape == (1024,)
    assert np.isfinite(drawn).all()
    assert drawn[0] == -3
    back = embedding_of(embedding_bytes(answer()))
    assert back.shape == (1, 992)
    assert np.abs(back - answer()["embedding"]).max() < 2e-3


@pytest.mark.parametrize(
    "changes",
    [
        {"score": np.array([[np.nan]], np.float32)},
        {"score": np.array([[1.0]])},
        {"anomaly_map": np.zeros((1, 16, 16), np.float32)},
        {"embedding": np.full((1, 992), np.inf, np.float32)},
    ],
    ids=["nan", "float64", "small map", "infinite"],
)
def test_an_answer_that_does_not_fit_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(Unprocessable, match="bad_tensor"):
        raw_score(answer(**changes))


def test_classes_get_their_shares_in_the_order_of_the_model() -> None:
    message = classification({"probabilities": np.array([[0.7, 0.2, 0.1]], np.float32)}, ("good", "dent", "scratch"), SEEN)
    assert message.probabilities == pytest.approx({"good": 0.7, "dent": 0.2, "scratch": 0.1}, abs=1e-6)
    assert message.entropy == pytest.approx(-sum(p * np.log(p) for p in (0.7, 0.2, 0.1)), abs=1e-6)
    assert entropy(np.array([1.0, 0.0])) == 0


@pytest.mark.parametrize(
    ("refused", "reason"),
    [
        (lambda: classification({"probabilities": np.array([[0.7, 0.7]], np.float32)}, ("a", "b"), SEEN), "bad_tensor"),
        (lambda: classification({"probabilities": np.array([[0.7, 0.3]], np.float32)}, ("a", "b", "c"), SEEN), "bad_tensor"),
        (lambda: embedding_of(b""), "bad_embedding"),
        (lambda: embedding_of(np.full(992, np.nan, "<f2").tobytes()), "bad_embedding"),
        (lambda: same_trunk("other", "mine"), "wrong_trunk"),
        (lambda: same_trunk(None, "mine"), "wrong_trunk"),
    ],
)
def test_what_would_give_nonsense_is_refused(refused: Callable[[], object], reason: str) -> None:
    with pytest.raises(Unprocessable) as caught:
        refused()
    assert caught.value.reason == reason


def test_a_failure_dooms_what_stands_on_it() -> None:
    full, images = full_set("disc"), image_classifier_set("disc")
    both = ModelSetV1(product="disc", models=(full.models[0], images.models[0]), data=D)
    assert doomed("anomaly", full) == ("anomaly", "classification", "segmentation")
    assert doomed("anomaly", both) == ("anomaly",)  # the classifier looks at the image itself
    assert doomed("anomaly", None) == ("anomaly", "classification", "segmentation")
    assert doomed("classification", full) == ("classification",)
    assert doomed("segmentation", None) == ("segmentation",)
