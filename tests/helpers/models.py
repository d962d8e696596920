"""Tiny ONNX models for the tests of serving, written by hand: no trunk, no fit."""

from __future__ import annotations

from pathlib import Path

import onnx
from onnx import TensorProto, helper, numpy_helper

CONFIG = """name: "{name}"
backend: "onnxruntime"
max_batch_size: {batch}
input [ {{ name: "x" data_type: TYPE_UINT8 dims: [ {dims} ] }} ]
output [ {{ name: "y" data_type: TYPE_FP32 dims: [ {dims} ] }} ]
instance_group [ {{ kind: KIND_CPU count: 1 }} ]
{batching}
version_policy {{ {policy} }}
"""


def affine(factor: float, batching: bool, width: int) -> bytes:
    """y = float(x) * factor, a row is `width` bytes, as an ONNX file."""
    import numpy as np

    shape: list[str | int | None] = ["n", width] if batching else [width]
    nodes = [helper.make_node("Cast", ["x"], ["f"], to=TensorProto.FLOAT), helper.make_node("Mul", ["f", "k"], ["y"])]
    graph = helper.make_graph(
        nodes,
        "affine",
        [helper.make_tensor_value_info("x", TensorProto.UINT8, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)],
        [numpy_helper.from_array(np.array(factor, dtype=np.float32), "k")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def put_model(store: Path, name: str, factors: dict[int, float], batching: bool = True, width: int = 4) -> None:
    """One model folder: factors by version, every version served."""
    folder = store / name
    folder.mkdir(parents=True, exist_ok=True)
    batch = "dynamic_batching { max_queue_delay_microseconds: 0 }" if batching else ""
    text = CONFIG.format(name=name, batch=8 if batching else 0, dims=width, batching=batch, policy="all { }")
    (folder / "config.pbtxt").write_text(text)
    for version, factor in factors.items():
        (folder / str(version)).mkdir(exist_ok=True)
        (folder / str(version) / "model.onnx").write_bytes(affine(factor, batching, width))
