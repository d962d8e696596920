"""The model store: the folder that Triton serves, and the only hand that writes there. Knows no fitting.

<store>/<product>-<kind>/config.pbtxt and <version>/{model.onnx, card.json, parity.npz}, for a head
that can be refitted also taught.npz. Whatever is written appears whole: it
is made in a folder beside the store, since inside it every folder is a model to Triton, and then renamed.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import io
import json
import os
import shutil
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import streams

_LAST = "last_version"
_CONFIG = "config.pbtxt"
MODEL, CARD, PARITY, TAUGHT = "model.onnx", "card.json", "parity.npz", "taught.npz"
Arrays = Mapping[str, npt.NDArray[Any]]


class StoreError(Exception):
    """The store cannot do it: which model, why."""


@dataclass(frozen=True, kw_only=True)
class StoredModel:
    """digest: SHA-256 of the ONNX file."""

    name: str
    version: int
    digest: str
    folder: Path


class ModelStore:
    """root is made where it is missing, with a folder `<root>.new` beside it for what is being written."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._workshop = root.with_name(f"{root.name}.new")
        root.mkdir(parents=True, exist_ok=True)

    def write(
        self, name: str, kind: str, onnx: bytes, card: Mapping[str, Any], probes: Arrays, taught: Arrays | None = None
    ) -> StoredModel:
        """Add the next version, never one that was used before. kind: folder of `triton_models`. taught: what it learned from.

        Raises StoreError where the model has versions of another kind (one config.pbtxt serves all), OSError: no space, ...
        """
        with self._exclusive() as workshop:
            self._same_kind(name, kind)
            version = self._next(name)
            made = workshop / uuid.uuid4().hex
            self._fill(made / str(version), onnx, card, {PARITY: probes, **({} if taught is None else {TAUGHT: taught})})
            _write(made / _CONFIG, definition(kind).encode())
            _write(made / _LAST, str(version).encode())
            model = self.root / name
            if model.is_dir():
                for file in (_LAST, _CONFIG):  # before the version: a number is never given twice
                    os.replace(made / file, model / file)
                os.rename(made / str(version), model / str(version))
                _sync(model)
            else:
                os.rename(made, model)
            _sync(self.root)
            return self.stored(name, version)

    def versions(self, name: str) -> tuple[int, ...]:
        model = self.root / name
        found = (entry.name for entry in model.iterdir() if entry.is_dir()) if model.is_dir() else ()
        return tuple(sorted(int(name) for name in found if name.isdigit()))

    def models(self) -> dict[str, tuple[int, ...]]:
        """Name -> versions, ascending."""
        return {entry.name: self.versions(entry.name) for entry in sorted(self.root.iterdir()) if entry.is_dir()}

    def stored(self, name: str, version: int) -> StoredModel:
        """Raises StoreError."""
        folder = self._folder(name, version)
        with (folder / MODEL).open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        return StoredModel(name=name, version=version, digest=digest, folder=folder)

    def card(self, name: str, version: int) -> dict[str, Any]:
        """Raises StoreError."""
        card: dict[str, Any] = json.loads((self._folder(name, version) / CARD).read_text(encoding="utf-8"))
        return card

    def probes(self, name: str, version: int) -> dict[str, npt.NDArray[Any]]:
        """Stored inputs and offline answers. Raises StoreError."""
        with np.load(self._folder(name, version) / PARITY, allow_pickle=False) as arrays:
            return dict(arrays)

    def taught(self, name: str, version: int) -> dict[str, npt.NDArray[Any]] | None:
        """What it learned from; None: it was written without. Raises StoreError."""
        path = self._folder(name, version) / TAUGHT
        if not path.is_file():
            return None
        with np.load(path, allow_pickle=False) as arrays:
            return dict(arrays)

    def retire(self, name: str, version: int) -> None:
        """Take a version out; the last one takes the whole model with it, but its numbers stay used. Raises StoreError."""
        folder = self._folder(name, version)
        with self._exclusive() as workshop:
            gone = workshop / uuid.uuid4().hex
            if self.versions(name) == (version,):
                _write(workshop.parent / f"{self.root.name}.{name}.{_LAST}", (self.root / name / _LAST).read_bytes())
                os.rename(self.root / name, gone)
            else:
                os.rename(folder, gone)
            _sync(self.root)

    def _folder(self, name: str, version: int) -> Path:
        folder = self.root / name / str(version)
        if not folder.is_dir():
            raise StoreError(f"{self.root}: no {name} version {version}; there are {self.versions(name) or 'none'}")
        return folder

    def _same_kind(self, name: str, kind: str) -> None:
        model = self.root / name
        if self.versions(name) and (model / _CONFIG).read_text(encoding="utf-8") != definition(kind):
            raise StoreError(
                f"{model}: its versions have other inputs or outputs than {kind}: retire them, or name another product"
            )

    def _next(self, name: str) -> int:
        marks = (self.root / name / _LAST, self.root.parent / f"{self.root.name}.{name}.{_LAST}")
        used = [int(mark.read_text()) for mark in marks if mark.exists()]
        return max([0, *used, *self.versions(name)]) + 1

    def _fill(self, folder: Path, onnx: bytes, card: Mapping[str, Any], tables: Mapping[str, Arrays]) -> None:
        folder.mkdir(parents=True)
        _write(folder / MODEL, onnx)
        _write(folder / CARD, (json.dumps(card, indent=1, sort_keys=True, allow_nan=False) + "\n").encode())
        for name, arrays in tables.items():
            packed = io.BytesIO()
            np.savez_compressed(packed, allow_pickle=False, **arrays)
            _write(folder / name, packed.getvalue())
        _sync(folder)

    @contextlib.contextmanager
    def _exclusive(self) -> Iterator[Path]:
        """One writer at a time; what an earlier one left half-written is cleared away."""
        self._workshop.mkdir(parents=True, exist_ok=True)
        lock = self.root.with_name(f"{self.root.name}.lock")
        with lock.open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            try:
                self._clear()
                yield self._workshop
            finally:
                self._clear()

    def _clear(self) -> None:
        for left in self._workshop.iterdir():
            shutil.rmtree(left, ignore_errors=True)


def definition(kind: str) -> str:
    """The template of a kind's config.pbtxt. Raises StoreError for an unknown kind."""
    package = Path(streams.__file__).parent
    for place in (package / "data" / "triton_models", package.parent / "triton_models"):
        path = place / kind / _CONFIG
        if path.exists():
            return path.read_text(encoding="utf-8")
    raise StoreError(f"triton_models has no {kind}")


def _write(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
