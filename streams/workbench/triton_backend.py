"""Triton backend `onnxruntime` for the embedded server: serves any model.onnx with ONNX Runtime on the CPU.

Self-contained: the launcher copies this file into the server's backend folder as onnxruntime/model.py, where each model
instance runs it in a process of its own. It answers to the name and the config.pbtxt keys of NVIDIA's C++ backend, so that
one model store serves there and here; what only concerns GPUs is ignored. Needs a complete config.pbtxt.

The server's stub is built with pybind11 2.10, which misreads the item sizes of numpy 2: `as_numpy()` repeats the first
element, `Tensor(name, array)` sends no bytes, and neither says so. DLPack passes that layer by, right and without a copy.
Strings have no DLPack form: a model with string tensors is refused.
"""

from __future__ import annotations

import ctypes
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime as ort
import triton_python_backend_utils as pb_utils

Array = npt.NDArray[Any]
Config = Mapping[str, Any]

TRITON_TYPE = {
    "tensor(bool)": "TYPE_BOOL",
    "tensor(uint8)": "TYPE_UINT8",
    "tensor(uint16)": "TYPE_UINT16",
    "tensor(uint32)": "TYPE_UINT32",
    "tensor(uint64)": "TYPE_UINT64",
    "tensor(int8)": "TYPE_INT8",
    "tensor(int16)": "TYPE_INT16",
    "tensor(int32)": "TYPE_INT32",
    "tensor(int64)": "TYPE_INT64",
    "tensor(float16)": "TYPE_FP16",
    "tensor(float)": "TYPE_FP32",
    "tensor(double)": "TYPE_FP64",
}
_LEVEL = {
    -1: ort.GraphOptimizationLevel.ORT_ENABLE_BASIC,
    1: ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED,
    2: ort.GraphOptimizationLevel.ORT_DISABLE_ALL,
}
_USED = b"used_dltensor"  # must outlive the capsules
_set_capsule_name = ctypes.pythonapi.PyCapsule_SetName
_set_capsule_name.argtypes, _set_capsule_name.restype = [ctypes.py_object, ctypes.c_char_p], ctypes.c_int


def to_tensor(name: str, array: Array) -> Any:
    if not (array.flags.c_contiguous and array.flags.writeable):
        array = np.array(array, order="C")  # numpy does not export read-only memory
    capsule = array.__dlpack__()
    tensor = pb_utils.Tensor.from_dlpack(name, capsule)
    # The stub marks the capsule "used_dlpack"; numpy's destructor knows "used_dltensor" and would print an error each time.
    _set_capsule_name(capsule, _USED)
    return tensor


def session_options(config: Config) -> ort.SessionOptions:
    """One thread an instance unless the model asks for more; threads that spin would take the cores from the server."""
    given = {key: value["string_value"] for key, value in (config.get("parameters") or {}).items()}
    options = ort.SessionOptions()
    level = int(((config.get("optimization") or {}).get("graph") or {}).get("level", 0))
    options.graph_optimization_level = _LEVEL.get(level, ort.GraphOptimizationLevel.ORT_ENABLE_ALL)
    options.intra_op_num_threads = int(given.get("intra_op_thread_count") or 1)
    options.inter_op_num_threads = int(given.get("inter_op_thread_count") or 1)
    options.enable_cpu_mem_arena = given.get("enable_mem_arena", "1") not in ("0", "false")
    options.enable_mem_pattern = given.get("enable_mem_pattern", "1") not in ("0", "false")
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    return options


def check_tensors(model: str, what: str, have: Sequence[Any], want: Sequence[Config], batching: bool) -> None:
    """config.pbtxt must name tensors of the model with their type and shape. Raises ValueError."""
    by_name = {tensor.name: tensor for tensor in have}
    if what == "input" and len(want) != len(have):
        raise ValueError(f"unable to load model '{model}': the configuration has {len(want)} inputs, the model {len(have)}")
    for entry in want:
        tensor = by_name.get(entry["name"])
        if tensor is None:
            raise ValueError(f"unexpected inference {what} '{entry['name']}', the model has {', '.join(by_name)}")
        where = f"unable to load model '{model}', {what} '{entry['name']}'"
        if TRITON_TYPE.get(tensor.type) != entry["data_type"]:
            raise ValueError(f"{where}: the configuration has {entry['data_type']}, the model {tensor.type}")
        dims = entry["reshape"].get("shape", []) if entry.get("reshape") else entry["dims"]
        configured = ([-1] if batching else []) + [int(dim) for dim in dims]
        actual = [d if isinstance(d, int) and d >= 0 else -1 for d in tensor.shape]
        fits = len(actual) == len(configured) and all(a == b or -1 in (a, b) for a, b in zip(actual, configured, strict=True))
        if not fits or (batching and actual[:1] != [-1]):
            raise ValueError(f"{where}: the configuration's dims {configured} do not fit the model's {actual}")


def failure(message: str, *code: Any) -> Any:
    return pb_utils.InferenceResponse(error=pb_utils.TritonError(message, *code))


class TritonPythonModel:
    """One instance of one version of one model."""

    def initialize(self, args: Mapping[str, str]) -> None:
        config = json.loads(args["model_config"])
        self.name = f"{args['model_name']}:{args['model_version']}"
        self.batching = config.get("max_batch_size", 0) > 0
        file = config.get("default_model_filename") or "model.onnx"
        path = Path(args["model_repository"]) / args["model_version"] / file
        if not path.exists():
            raise FileNotFoundError(f"unable to find '{path}' for model '{self.name}'")
        self.session = ort.InferenceSession(str(path), session_options(config), providers=["CPUExecutionProvider"])
        inputs, outputs = self.session.get_inputs(), self.session.get_outputs()
        check_tensors(self.name, "input", inputs, config["input"], self.batching)
        check_tensors(self.name, "output", outputs, config["output"], self.batching)
        self.inputs = [tensor.name for tensor in inputs]
        self.outputs = [entry["name"] for entry in config["output"]]

    def execute(self, requests: Sequence[Any]) -> list[Any]:
        """One response a request; a bad request does not fail its neighbours."""
        return [self._respond(request) for request in requests]

    def _respond(self, request: Any) -> Any:
        if request.is_cancelled():
            return failure("request cancelled", pb_utils.TritonError.CANCELLED)
        try:
            feed = self._feed(request)
        except Exception as error:  # noqa: BLE001 - the server's worker must answer every request
            return failure(f"{self.name}: {error}")
        wanted = request.requested_output_names() or self.outputs
        names = [name for name in self.outputs if name in wanted]
        try:
            values = self._run(names, feed)
        except Exception as error:  # noqa: BLE001 - as above
            return failure(f"{self.name}: onnx runtime error: {error}")
        return pb_utils.InferenceResponse([to_tensor(name, value) for name, value in zip(names, values, strict=True)])

    def finalize(self) -> None:
        del self.session

    def _feed(self, request: Any) -> dict[str, Array]:
        feed = {}
        for name in self.inputs:
            tensor = pb_utils.get_input_tensor_by_name(request, name)
            if tensor is None:
                raise ValueError(f"missing input '{name}'")
            feed[name] = np.from_dlpack(tensor)
        return feed

    def _run(self, names: list[str], feed: dict[str, Array]) -> list[Array]:
        """Row by row: on a CPU a batch is no cheaper an image, and its memory is never given back.

        And the same row always gives the same bits, whatever stands beside it: with two images in a run, one output in ten
        differed in its last bits from the same image alone.
        """
        rows = len(feed[self.inputs[0]]) if self.batching else 1
        if rows == 1:
            return list(self.session.run(names, feed))
        parts = [self.session.run(names, {name: array[row : row + 1] for name, array in feed.items()}) for row in range(rows)]
        return [np.concatenate(values) for values in zip(*parts, strict=True)]
