"""Models that cost nothing: the same inputs and outputs as real ones, answers without arithmetic. For measuring the rest."""

from __future__ import annotations

import hashlib

import numpy as np
from onnx import TensorProto

from schemas.common import ModelRef
from schemas.model_set import ModelSetV1, ModelV1, PreparationV1
from schemas.policy import GOOD, AnomalyRuleV1, ClassRuleV1, PolicyV1
from streams.training.graph import GraphBuilder
from streams.wiring.adapters.model_store import StoredModel

PRODUCT = "free"
VIEW = "front"
TRUNK = "none@256:000000000000"
_EMBEDDING = 992


def free_anomaly() -> bytes:
    """image -> score = its first pixel's red / 255, the same everywhere on the map."""
    g = GraphBuilder()
    image = g.input("image", [256, 256, 3], TensorProto.UINT8)
    pixel = g.op("Slice", image, g.ints(0, 0, 0), g.ints(1, 1, 1), g.ints(1, 2, 3))
    score = g.op("Div", g.op("Reshape", g.op("Cast", pixel, to=TensorProto.FLOAT), g.ints(-1, 1)), g.const(255.0))
    for name in ("score", "score_mid", "score_deep"):
        g.output(name, score, [1])
    g.output("anomaly_map", g.op("Mul", g.op("Reshape", score, g.ints(-1, 1, 1)), g.const(np.ones((32, 32)))), [32, 32])
    g.output("embedding", g.op("Mul", score, g.const(np.ones(_EMBEDDING))), [_EMBEDDING])
    return bytes(g.model("free_anomaly", {"trunk_id": TRUNK}).SerializeToString(deterministic=True))


def free_classify() -> bytes:
    """embedding -> two classes, good nearly certain."""
    g = GraphBuilder()
    first = g.op("Slice", g.input("embedding", [_EMBEDDING]), g.ints(0), g.ints(1), g.ints(1))
    zero = g.op("Mul", first, g.const(0.0))
    g.output("logits", g.op("Add", zero, g.const([0.0, 5.0])), [2])
    g.output("probabilities", g.op("Add", zero, g.const([0.01, 0.99])), [2])
    return bytes(g.model("free_classify", {"trunk_id": TRUNK}).SerializeToString(deterministic=True))


def free_model_set(anomaly: StoredModel, classify: StoredModel) -> ModelSetV1:
    """Calibrated so that nearly every image is normal."""
    models = (
        ModelV1(
            stage="anomaly",
            ref=_ref(anomaly),
            input="image",
            trunk_id=TRUNK,
            preparation=PreparationV1(),
            calibration={VIEW: tuple(np.linspace(1, 2, 100).round(4).tolist())},
            tolerance=1e-6,
        ),
        ModelV1(
            stage="classification",
            ref=_ref(classify),
            input="embedding",
            classes=("dent", GOOD),
            ok_parts=20,
            trunk_id=TRUNK,
            preparation=PreparationV1(),
            tolerance=1e-6,
        ),
    )
    return ModelSetV1(product=PRODUCT, models=models, data=hashlib.sha256(b"none").hexdigest())


def free_policy() -> PolicyV1:
    return PolicyV1(
        product=PRODUCT,
        title="models that cost nothing",
        decide_within_s=600,
        anomaly=AnomalyRuleV1(alpha=0.02),
        classes={
            GOOD: ClassRuleV1(threshold=0.5, disposition="pass"),
            "dent": ClassRuleV1(threshold=0.5, disposition="rework"),
        },
    )


def _ref(model: StoredModel) -> ModelRef:
    return ModelRef(name=model.name, version=model.version, digest=model.digest, profile="cpu-fp32")
