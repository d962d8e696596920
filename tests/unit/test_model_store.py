from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from streams.wiring.adapters.model_store import ModelStore, StoreError, definition

PROBES: dict[str, npt.NDArray[Any]] = {"inputs": np.arange(6, dtype=np.uint8), "expected": np.array([0.5], np.float32)}
CARD = {"stage": "anomaly", "tolerance": 0.1}


def write(store: ModelStore, onnx: bytes = b"onnx", kind: str = "anomaly") -> int:
    return store.write("disc-anomaly", kind, onnx, CARD, PROBES).version


def test_what_is_written_can_be_read(tmp_path: Path) -> None:
    store = ModelStore(tmp_path / "models")
    assert write(store) == 1
    stored = store.stored("disc-anomaly", 1)
    assert (stored.folder / "model.onnx").read_bytes() == b"onnx"
    assert store.card("disc-anomaly", 1) == CARD
    np.testing.assert_array_equal(store.probes("disc-anomaly", 1)["inputs"], PROBES["inputs"])
    config = (tmp_path / "models/disc-anomaly/config.pbtxt").read_text()
    assert config == definition("anomaly")
    assert 'name: "disc' not in config, "the folder gives the name"


def test_versions_only_grow_whatever_is_retired(tmp_path: Path) -> None:
    store = ModelStore(tmp_path / "models")
    assert [write(store), write(store)] == [1, 2]
    store.retire("disc-anomaly", 2)
    assert store.versions("disc-anomaly") == (1,)
    assert write(ModelStore(tmp_path / "models")) == 3
    store.retire("disc-anomaly", 1)
    store.retire("disc-anomaly", 3)
    assert store.models() == {}, "no empty model is left for Triton to stumble over"
    assert write(store) == 4
    with pytest.raises(StoreError, match="no disc-anomaly version 3"):
        store.retire("disc-anomaly", 3)


@pytest.mark.parametrize("call", ["rename", "fsync", "replace"])
@pytest.mark.parametrize("first", [True, False])
def test_a_write_that_dies_leaves_nothing_to_see(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, first: bool) -> None:
    store = ModelStore(tmp_path / "models")
    if not first:
        write(store)
    before = store.models()

    def dies(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, call, dies)
        if first and call == "replace":
            return  # a new model is one rename
        with pytest.raises(OSError, match="No space"):
            write(store, b"half")
    assert store.models() == before
    assert list((tmp_path / "models.new").iterdir()) == []
    assert all((store.root / name / "config.pbtxt").exists() for name in before)
    assert write(store) > len(before)


def test_one_model_does_not_change_its_kind(tmp_path: Path) -> None:
    store = ModelStore(tmp_path / "models")
    write(store, kind="classify")
    with pytest.raises(StoreError, match="other inputs or outputs"):
        write(store, kind="classify-image")
    with pytest.raises(StoreError, match="triton_models has no nonsense"):
        definition("nonsense")
