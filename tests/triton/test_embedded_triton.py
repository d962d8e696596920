"""The embedded Triton: starts empty, serves versions side by side, comes back after a crash, leaves nothing behind."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from tritonclient.grpc import InferenceServerClient, InferInput
from tritonclient.utils import InferenceServerException

from streams.workbench.processes import ServerStartError, free_ports
from streams.workbench.triton import EmbeddedTriton
from streams.workbench.triton_files import check_platform
from streams.workbench.triton_stubs import find_stubs
from tests.helpers.models import put_model
from tests.helpers.wait import wait_until

pytestmark = pytest.mark.triton


def ask(url: str, model: str, x: npt.NDArray[np.uint8], version: str = "") -> npt.NDArray[np.float32]:
    with InferenceServerClient(url) as client:
        tensor = InferInput("x", x.shape, "UINT8")
        tensor.set_data_from_numpy(x)
        answer = client.infer(model, [tensor], model_version=version, client_timeout=10).as_numpy("y")
    assert answer is not None
    return np.asarray(answer, dtype=np.float32)


def load(url: str, model: str) -> None:
    with InferenceServerClient(url) as client:
        client.load_model(model)


def shared_memory(prefix: str) -> list[str]:
    return [name for name in os.listdir("/dev/shm") if name.startswith(prefix)]


def test_starts_empty_serves_what_is_added_and_survives_kill(tmp_path: Path) -> None:
    store = tmp_path / "models"
    x = np.array([[1, 2, 3, 250], [5, 6, 7, 8]], dtype=np.uint8)  # not constant: the stub's numpy 2 fault would show
    with EmbeddedTriton(store) as triton:
        put_model(store, "two", {1: 2.0, 2: 3.0})
        put_model(store, "single", {1: 4.0}, batching=False)
        put_model(store, "wide", {1: 5.0}, width=200_000)  # more than two rows are run in pieces
        for model in ("two", "single", "wide"):
            load(triton.grpc_url, model)
        np.testing.assert_array_equal(ask(triton.grpc_url, "two", x, "1"), x * np.float32(2))
        np.testing.assert_array_equal(ask(triton.grpc_url, "two", x, "2"), x * np.float32(3))
        np.testing.assert_array_equal(ask(triton.grpc_url, "single", x[0]), x[0] * np.float32(4))
        rows = np.arange(1_000_000, dtype=np.uint32).astype(np.uint8).reshape(5, 200_000)
        np.testing.assert_array_equal(ask(triton.grpc_url, "wide", rows), rows * np.float32(5))
        assert len(triton.stubs()) == 4
        assert triton.trouble() is None

        triton.kill()
        assert triton.trouble() == "it ended with -9"
        triton.launch()
        triton.wait_ready()
        np.testing.assert_array_equal(ask(triton.grpc_url, "two", x), x * np.float32(3))

        os.kill(triton.stubs()[0].pid, signal.SIGKILL)  # the server never restarts a stub, nor says that it is gone
        trouble = wait_until(triton.trouble, 20, "the dead stub noticed")
        assert trouble is not None
        assert "a stub died" in trouble
    assert find_stubs(triton.prefix) == []
    assert shared_memory(triton.prefix) == []


def test_a_broken_model_does_not_stop_the_others_and_says_why(tmp_path: Path) -> None:
    put_model(tmp_path / "models", "good", {1: 2.0})
    put_model(tmp_path / "models", "odd", {1: 2.0})
    (tmp_path / "models" / "odd" / "1" / "model.onnx").write_bytes(b"not a model")
    with EmbeddedTriton(tmp_path / "models") as triton:
        x = np.ones((1, 4), dtype=np.uint8)
        assert ask(triton.grpc_url, "good", x).sum() == 8
        with pytest.raises(InferenceServerException, match="odd"):
            ask(triton.grpc_url, "odd", x)


def test_a_start_that_fails_is_one_line_with_the_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    taken = free_ports(1)[0]
    with EmbeddedTriton(tmp_path / "first", port=taken), pytest.raises(ServerStartError, match=f"port {taken} is taken"):
        EmbeddedTriton(tmp_path / "second", port=taken).start()
    monkeypatch.setattr(EmbeddedTriton, "_arguments", lambda self, backends: [f"--model-repository={tmp_path}/none"])
    with pytest.raises(ServerStartError, match=r"Triton did not start \(it ended with 1\): .*none"):
        EmbeddedTriton(tmp_path / "third").start()


def test_wrong_platform_is_told() -> None:
    with pytest.raises(ServerStartError, match="runs on Linux x86-64, this is darwin arm64: name a real server"):
        check_platform("darwin", "arm64")
