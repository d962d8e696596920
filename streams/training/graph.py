"""A small builder for ONNX graphs, shared by the trunk and the heads. Knows no network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

FloatArray = npt.NDArray[np.float32]

OPSET = 18  # Resize/antialias needs 18; onnxruntime 1.19 (Triton 24.10) reads it
IR_VERSION = 9


class GraphBuilder:
    """Appends nodes; every method returns the name of the value it made."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[onnx.TensorProto] = []
        self.inputs: list[onnx.ValueInfoProto] = []
        self.outputs: list[onnx.ValueInfoProto] = []
        self._count = 0
        self._constants: dict[tuple[bytes, str, tuple[int, ...]], str] = {}

    # -- values -------------------------------------------------------------------------------------------
    def _fresh(self, stem: str) -> str:
        self._count += 1
        return f"{stem}_{self._count}"

    def input(self, name: str, shape: Sequence[int | str], dtype: int = TensorProto.FLOAT) -> str:
        self.inputs.append(helper.make_tensor_value_info(name, dtype, ["N", *shape]))
        return name

    def output(self, name: str, value: str, shape: Sequence[int | str], dtype: int = TensorProto.FLOAT) -> None:
        self.nodes.append(helper.make_node("Identity", [value], [name]))
        self.outputs.append(helper.make_tensor_value_info(name, dtype, ["N", *shape]))

    def const(self, array: npt.ArrayLike, dtype: npt.DTypeLike = np.float32) -> str:
        a = np.array(array, dtype=dtype, order="C")
        key = (a.tobytes(), a.dtype.str, a.shape)
        if key not in self._constants:
            self._constants[key] = name = self._fresh("w")
            self.initializers.append(numpy_helper.from_array(a, name))
        return self._constants[key]

    def ints(self, *values: int) -> str:
        return self.const(values, np.int64)

    def op(self, op_type: str, *inputs: str, **attributes: Any) -> str:
        out = self._fresh(op_type.lower())
        self.nodes.append(helper.make_node(op_type, list(inputs), [out], **attributes))
        return out

    def top_k(self, x: str, k: int, axis: int) -> str:
        """The k largest values, sorted."""
        values, indices = self._fresh("top"), self._fresh("top_index")
        self.nodes.append(helper.make_node("TopK", [x, self.ints(k)], [values, indices], axis=axis))
        return values

    # -- idioms -------------------------------------------------------------------------------------------
    def l2_normalize(self, x: str, axis: int = 1) -> str:
        norm = self.op("ReduceL2", x, self.ints(axis), keepdims=1)
        return self.op("Div", x, self.op("Max", norm, self.const(1e-12)))

    def smooth3(self, x: str) -> str:
        """3x3 mean that does not count the padding."""
        return self.op("AveragePool", x, kernel_shape=[3, 3], pads=[1, 1, 1, 1], count_include_pad=0)

    def upsample(self, x: str, factor: int) -> str:
        if factor == 1:
            return x
        scales = self.const([1.0, 1.0, factor, factor])
        return self.op("Resize", x, "", scales, mode="linear", coordinate_transformation_mode="half_pixel")

    def model(self, name: str, metadata: dict[str, str] | None = None) -> onnx.ModelProto:
        graph = helper.make_graph(self.nodes, name, self.inputs, self.outputs, self.initializers)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
        helper.set_model_props(model, metadata or {})
        onnx.checker.check_model(model)
        return model
