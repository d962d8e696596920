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
PIECE_BYTES = 512 << 10  # two images of 256 x 256: 11.7 ms and 150 MB, where eight took 12.4 ms an image and 300 MB
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
        responses: dict[int, Any] = {}
        groups: dict[Any, list[tuple[int, dict[str, Array]]]] = {}
        for i, request in enumerate(requests):
            if request.is_cancelled():
                responses[i] = failure("request cancelled", pb_utils.TritonError.CANCELLED)
                continue
            try:
                feed = self._feed(request)
            except Exception as error:  # noqa: BLE001 - the server's worker must answer every request
                responses[i] = failure(f"{self.name}: {error}")
                continue
            key = tuple(array.shape[1:] for array in feed.values()) if self.batching else i
            groups.setdefault(key, []).append((i, feed))
        for members in groups.values():
            try:
                responses |= self._run(requests, members)
            except Exception as error:  # noqa: BLE001 - as above
                responses |= {i: failure(f"{self.name}: onnx runtime error: {error}") for i, _ in members}
        return [responses[i] for i in range(len(requests))]

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

    def _run(self, requests: Sequence[Any], members: Sequence[tuple[int, dict[str, Array]]]) -> dict[int, Any]:
        """One run for requests of one shape: concatenate, run, split."""
        wanted = {i: requests[i].requested_output_names() or self.outputs for i, _ in members}
        names = [name for name in self.outputs if any(name in some for some in wanted.values())]
        feeds = [feed for _, feed in members]
        feed = feeds[0] if len(feeds) == 1 else {n: np.concatenate([f[n] for f in feeds]) for n in self.inputs}
        values = dict(zip(names, self._run_pieces(names, feed), strict=True))
        responses, start = {}, 0
        for i, own in members:
            part = values
            if len(members) > 1:
                stop = start + len(own[self.inputs[0]])
                part = {name: value[start:stop] for name, value in values.items()}
                start = stop
            responses[i] = pb_utils.InferenceResponse([to_tensor(n, part[n]) for n in names if n in wanted[i]])
        return responses

    def _run_pieces(self, names: list[str], feed: dict[str, Array]) -> list[Array]:
        """On a CPU a large batch is no cheaper an image and its memory is never given back: run it in pieces."""
        rows = len(feed[self.inputs[0]]) if self.batching else 1
        step = max(1, PIECE_BYTES * rows // max(1, sum(array.nbytes for array in feed.values())))
        if rows <= step:
            return list(self.session.run(names, feed))
        starts = range(0, rows, step)
        parts = [self.session.run(names, {n: a[start : start + step] for n, a in feed.items()}) for start in starts]
        return [np.concatenate(values) for values in zip(*parts, strict=True)]
