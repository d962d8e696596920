"""Policies, model sets and evidence to judge with, as small as they can be."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import numpy as np

from schemas.common import BaselineState, ImageRef, Message, ModelRef, Stage, digest
from schemas.drift import ScoreStreamV1
from schemas.evidence import (
    AnnouncedV1,
    AnomalyV1,
    BaselineStampV1,
    ClassificationV1,
    FailedV1,
    InstanceV1,
    ReviewedV1,
    SegmentationV1,
    TickV1,
    ViewV1,
)
from schemas.ids import evidence_id
from schemas.model_set import ModelSetV1, ModelV1, PreparationV1
from schemas.policy import PolicyV1

STATION = "plant/line-1/cam-1"
PRODUCT = "disc"
SHOT = datetime(2026, 1, 5, 8, 0, 0, tzinfo=UTC)
CLASSES = ("good", "scratch", "dent")
SHA = "a" * 64
STAGE_DIGEST: dict[Stage, str] = {"anomaly": "1" * 64, "classification": "2" * 64, "segmentation": "3" * 64}
CALIBRATION = tuple(i / 100 for i in range(1, 100))  # alpha .1: anomalous above .9


def model_ref(stage: Stage) -> ModelRef:
    return ModelRef(name=f"{PRODUCT}-{stage}", version=1, digest=STAGE_DIGEST[stage], profile="cpu-fp32")


def model_set(*stages: Stage, ok_parts: int = 40, classes: tuple[str, ...] = CLASSES, roi: Any = None) -> ModelSetV1:
    def one(stage: Stage) -> ModelV1:
        return ModelV1(
            stage=stage,
            ref=model_ref(stage),
            input="embedding" if stage == "classification" else "image",
            classes=classes if stage == "classification" else ("defect",) if stage == "segmentation" else (),
            ok_parts=ok_parts if stage == "classification" else 0,
            trunk_id="trunk",
            preparation=PreparationV1(roi=roi),
            calibration={"v1": CALIBRATION, "v2": CALIBRATION} if stage == "anomaly" else {},
            tolerance=1e-3,
        )

    return ModelSetV1(product=PRODUCT, models=tuple(one(stage) for stage in stages), data=SHA)


def policy(**changes: Any) -> PolicyV1:
    values: dict[str, Any] = {
        "product": PRODUCT,
        "title": "test",
        "anomaly": {"alpha": 0.1},
        "classes": {
            "good": {"threshold": 0.8, "disposition": "pass"},
            "scratch": {"threshold": 0.8, "disposition": "rework"},
            "dent": {"threshold": 0.8, "disposition": "scrap"},
        },
    }
    return PolicyV1.model_validate({key: value for key, value in (values | changes).items() if value is not None})


def image_ref(offset: int = 7) -> ImageRef:
    return ImageRef(uri=f"kafka://capture.v1/0/{offset}", sha256=SHA, bytes=1000, content_type="image/png")


def stamp(station: str, view: str, state: BaselineState = "active") -> BaselineStampV1:
    """That a commissioned baseline is in force, and what drift says of it."""
    stream = ScoreStreamV1(station=station, view=view, product=PRODUCT, acquisition=SHA, model=model_ref("anomaly"))
    return BaselineStampV1(stream=digest(stream), baseline="b" * 64, state=state)


def announced(
    inspection: str, rules: PolicyV1, models: ModelSetV1, *, views: tuple[str, ...] = ("v1",), **changes: Any
) -> AnnouncedV1:
    values: dict[str, Any] = {
        "inspection": inspection,
        "station": inspection.split(":")[0],
        "product": PRODUCT,
        "serial": "S1",
        "views": tuple(
            ViewV1(view=view, sha256=SHA, bytes=1000, content_type="image/png", width_px=640, height_px=640) for view in views
        ),
        "views_expected": len(views),
        "acquisition": SHA,
        "purpose": "production",
        "policy": digest(rules),
        "model_set": digest(models),
        "captured_at": SHOT,
        "decide_within_s": 5,
        "baselines": {view: stamp(inspection.split(":")[0], view) for view in views if models.model("anomaly")},
    }
    return AnnouncedV1(**(values | changes))


def _observation(inspection: str, stage: Stage, view: str, models: ModelSetV1) -> dict[str, Any]:
    return {
        "inspection": inspection,
        "station": inspection.split(":")[0],
        "view": view,
        "product": PRODUCT,
        "acquisition": SHA,
        "purpose": "production",
        "model_set": digest(models),
        "model": model_ref(stage),
        "image": image_ref(),
        "latency_ms": 12.5,
    }


def heat_text(heat: Any = None) -> str:
    values = np.zeros((32, 32)) if heat is None else heat
    return base64.b64encode(np.asarray(values, dtype="<f2").tobytes()).decode()


def anomaly(inspection: str, models: ModelSetV1, score: float = 0.1, view: str = "v1", heat: Any = None) -> AnomalyV1:
    return AnomalyV1(
        **_observation(inspection, "anomaly", view, models),
        score=score,
        p_value=0.5,
        calibration_n=99,
        heat_map=heat_text(heat),
        trunk_id="trunk",
    )


def classification(
    inspection: str, models: ModelSetV1, probabilities: Mapping[str, float] | str = "good", view: str = "v1"
) -> ClassificationV1:
    if isinstance(probabilities, str):
        chosen = probabilities
        known = models.model("classification")
        others = [name for name in (known.classes if known else CLASSES) if name != chosen]
        probabilities = {chosen: 0.9, **{name: 0.1 / len(others) for name in others}}
    return ClassificationV1(
        **_observation(inspection, "classification", view, models), probabilities=dict(probabilities), entropy=0.4
    )


def instance(length_mm: float | None = 1.0, u: float = 0.0, **changes: Any) -> InstanceV1:
    values: dict[str, Any] = {"label": "defect", "area_px": 50, "length_px": 10, "width_px": 5, "length_mm": length_mm}
    box = {"x0": 0, "y0": 0, "x1": 10, "y1": 5}
    return InstanceV1(**(values | {"u_length_mm": u, "box": box} | changes))


def segmentation(inspection: str, models: ModelSetV1, *instances: InstanceV1, view: str = "v1") -> SegmentationV1:
    region = {"x0": 0, "y0": 0, "x1": 256, "y1": 256}
    return SegmentationV1(**_observation(inspection, "segmentation", view, models), region=region, instances=instances)


def failed(
    inspection: str, *stages: Stage, by: str = "anomaly", view: str | None = "v1", reason: str = "not_an_image"
) -> FailedV1:
    station = inspection.split(":")[0]
    return FailedV1(inspection=inspection, station=station, view=view, by=by, stages=stages, reason=reason)


def reviewed(inspection: str, revision: int, disposition: str = "pass", **changes: Any) -> ReviewedV1:
    values: dict[str, Any] = {
        "inspection": inspection,
        "station": inspection.split(":")[0],
        "product": PRODUCT,
        "acquisition": SHA,
        "purpose": "production",
        "revision": revision,
        "disposition": disposition,
        "who": "ada",
        "role": "reviewer",
        "looked_ms": 900,
    }
    return ReviewedV1(**(values | changes))


def evidence_key(message: Message) -> str:
    """The ce_id that a sender gives this message."""
    kind = message.TYPE.split(".")[2]
    if isinstance(message, TickV1):
        return "tick"
    inspection = str(getattr(message, "inspection", ""))
    models = getattr(message, "model_set", None) if kind in STAGE_DIGEST else None
    by = f"{kind}-{message.by}" if isinstance(message, FailedV1) else kind
    by = f"{kind}-{message.revision}-{message.who}" if isinstance(message, ReviewedV1) else by
    return evidence_id(inspection, by, view=getattr(message, "view", None), model_set=models)
