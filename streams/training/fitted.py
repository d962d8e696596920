"""What a fit gives: models as bytes with all that their card and the model-set message need. Knows no store, no version."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

from schemas.common import Stage
from schemas.model_set import ImageReferenceV1, PreparationV1
from streams.evidence.tensors import Kind
from streams.training.features import FloatArray
from streams.training.taught import Taught

# Served against offline: the same numbers on the same ONNX Runtime; room for another version of it, or for NVIDIA's backend
TOLERANCE: Mapping[Stage, float] = {"anomaly": 0.02, "classification": 0.005, "segmentation": 0.05}
JUDGED: Mapping[Stage, str] = {"anomaly": "score", "classification": "probabilities", "segmentation": "mask_logits"}


@dataclass(frozen=True, kw_only=True, eq=False)
class Probes:
    """Stored inputs and the offline answers of the file to them: what parity is checked with, now and later."""

    input: str
    images: npt.NDArray[np.generic]
    output: str
    expected: FloatArray


@dataclass(frozen=True, kw_only=True, eq=False)
class FittedModel:
    """calibration: view -> ascending scores; image: view -> its looks; metrics: on groups left out; cut: for mask logits.

    taught: what a classification head was fitted on, to be kept with it.
    """

    stage: Stage
    kind: Kind
    onnx: bytes
    probes: Probes
    classes: tuple[str, ...] = ()
    ok_parts: int = 0
    calibration: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    image: Mapping[str, ImageReferenceV1] = field(default_factory=dict)
    cut: float | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)
    taught: Taught | None = None

    @property
    def input(self) -> Literal["image", "embedding"]:
        return "embedding" if self.kind == "classify" else "image"

    @property
    def tolerance(self) -> float:
        return TOLERANCE[self.stage]


@dataclass(frozen=True, kw_only=True, eq=False)
class Fitted:
    """thresholds: class -> probability from which on it may be accepted. data: digest of the images used.

    notes: what the data did not allow, in plain words. timings_s: step -> seconds.
    """

    product: str
    preparation: PreparationV1
    trunk_id: str
    data: str
    models: tuple[FittedModel, ...]
    thresholds: Mapping[str, float]
    images: Mapping[str, int]
    notes: tuple[str, ...]
    timings_s: Mapping[str, float]

    def model(self, stage: Stage) -> FittedModel | None:
        return next((model for model in self.models if model.stage == stage), None)
