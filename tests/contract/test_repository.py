"""What is committed: no path or package index of somebody's machine, no data set's images, no lock file of one tool."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HOSTS = {
    "127.0.0.1",
    "localhost",
    "camera",  # in an example that must fail
    "asyncapi.com",
    "docs.astral.sh",
    "github.com",
    "json-schema.org",
    "raw.githubusercontent.com",
    "www.apache.org",
    "www.w3.org",  # the name space of SVG
}
OFFICIAL = Path("tests/contract/asyncapi-3.0.0.schema.json")


@pytest.fixture(scope="module")
def committed() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if listed.returncode:
        pytest.skip("no git checkout")
    return [Path(name) for name in listed.stdout.decode().split("\0") if name and (ROOT / name).is_file()]


def texts(committed: list[Path]) -> list[tuple[Path, str]]:
    own = Path(__file__).relative_to(ROOT)
    return [(path, (ROOT / path).read_text(errors="replace")) for path in committed if path not in (own, OFFICIAL)]


def test_no_foreign_host_is_named(committed: list[Path]) -> None:
    hosts = {(path, host) for path, text in texts(committed) for host in re.findall(r"https?://(?:[^/\s@]*@)?([\w.-]+)", text)}
    strange = {f"{path}: {host}" for path, host in hosts if host not in HOSTS and path.name != "LICENSE"}
    assert not strange


def test_no_path_of_a_machine_is_named(committed: list[Path]) -> None:
    pattern = re.compile(r"(?<![\w.$}])/(?:work|root|home|Users)/\w+")
    found = {f"{path}: {hit}" for path, text in texts(committed) for hit in pattern.findall(text)}
    assert not found


def test_no_images_models_or_archives(committed: list[Path]) -> None:
    kinds = {".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".onnx", ".npz", ".npy", ".pt", ".zip", ".gz", ".jar", ".whl"}
    assert not [path for path in committed if path.suffix.lower() in kinds and path.parts[0] != "docs"]
    assert Path("uv.lock") not in committed
    assert not [path for path in committed if (ROOT / path).stat().st_size > 1 << 20]
