"""Trunk and head as one ONNX file, or a head alone, and the comparison of the file with its numpy reference."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from streams.training.checkpoint import Weights
from streams.training.features import EMBEDDING_SIZE, Features, FloatArray
from streams.training.graph import GraphBuilder
from streams.training.heads.anomaly import AnomalyHead, add_anomaly, anomaly_reference
from streams.training.heads.classes import ClassHead, add_classes, classes_reference
from streams.training.heads.segments import SegmentHead, add_segments, segments_reference
from streams.training.trunk import add_image, add_trunk, session

Head = AnomalyHead | ClassHead | SegmentHead


def image_model(weights: Weights, head: Head, trunk_id: str) -> bytes:
    """Trunk and head: image in, the head's outputs out; an anomaly model also gives the embedding."""
    g = GraphBuilder()
    f = add_trunk(g, add_image(g), weights, embedding=not isinstance(head, SegmentHead))
    _add(g, f, head)
    if isinstance(head, AnomalyHead):
        g.output("embedding", f["embedding"], [EMBEDDING_SIZE])
    return _bytes(g, head, trunk_id)


def embedding_model(head: ClassHead, trunk_id: str) -> bytes:
    """The classification head alone: embedding in."""
    g = GraphBuilder()
    add_classes(g, {"embedding": g.input("embedding", [EMBEDDING_SIZE])}, head)
    return _bytes(g, head, trunk_id)


def reference(head: Head, f: Features) -> dict[str, FloatArray]:
    """What the file must give for these features."""
    if isinstance(head, AnomalyHead):
        return anomaly_reference(head, f)
    return classes_reference(head, f) if isinstance(head, ClassHead) else segments_reference(head, f)


def offline(model: bytes, inputs: Mapping[str, npt.NDArray[np.generic]]) -> dict[str, FloatArray]:
    """The file's own answers, in this process."""
    ready = session(model)
    return {output.name: value for output, value in zip(ready.get_outputs(), ready.run(None, dict(inputs)), strict=True)}


def largest_difference(got: Mapping[str, FloatArray], want: Mapping[str, FloatArray]) -> dict[str, float]:
    """Output -> largest absolute difference, for all outputs wanted."""
    return {name: float(np.abs(got[name] - want[name]).max()) for name in want}


def _add(g: GraphBuilder, f: Mapping[str, str], head: Head) -> None:
    if isinstance(head, AnomalyHead):
        add_anomaly(g, f, head)
    elif isinstance(head, ClassHead):
        add_classes(g, f, head)
    else:
        add_segments(g, f, head)


def _bytes(g: GraphBuilder, head: Head, trunk_id: str) -> bytes:
    metadata = {"trunk_id": trunk_id}
    if not isinstance(head, AnomalyHead):
        metadata["classes"] = "\n".join(head.classes)
    return bytes(g.model(type(head).__name__, metadata).SerializeToString(deterministic=True))
