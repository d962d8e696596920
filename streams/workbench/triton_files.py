"""The files of the Triton server (2.51.0, release 24.10) that the nvidia-pytriton wheel carries. Starts nothing.

Nothing of the wheel is imported. Its server wants a folder of backends; links in it are refused ("escapes backend
directory"), so 4 MB are copied into the cache once.
"""

from __future__ import annotations

import ctypes
import hashlib
import importlib.util
import os
import platform
import shutil
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

from streams.workbench.cache import default_cache, work_folder
from streams.workbench.processes import ServerStartError, clear_errors

STUB = "triton_python_backend_stub"
BACKEND = Path(__file__).with_name("triton_backend.py")


@dataclass(frozen=True, kw_only=True)
class TritonFiles:
    """server: the executable. backends: its --backend-directory. library_path: what the loader needs to find."""

    server: Path
    backends: Path
    library_path: tuple[Path, ...]


def triton_files(cache: Path | None = None) -> TritonFiles:
    """Raises ServerStartError: wrong platform, wheel not installed, no stub or no libpython for this Python."""
    check_platform(sys.platform, platform.machine())
    packages = _packages()
    root = packages / "pytriton" / "tritonserver"
    stub = _stub(root / "python_backend_stubs", f"{sys.version_info.major}.{sys.version_info.minor}")
    library = _libpython_folder()
    server = root / "bin" / "tritonserver"
    if not os.access(server, os.X_OK):  # an installer that lost the mode bits
        server.chmod(0o755)
    backends = _backends(root / "backends" / "python", stub, cache or default_cache())
    folders = [folder for folder in (library, packages / "nvidia_pytriton.libs") if folder]
    return TritonFiles(server=server, backends=backends, library_path=tuple(folders))


def check_platform(system: str, machine: str) -> None:
    if (system, machine) != ("linux", "x86_64"):
        raise ServerStartError(
            f"the embedded Triton runs on Linux x86-64, this is {system} {machine}: name a real server in VERDICTLINE_TRITON"
        )


def _packages() -> Path:
    spec = importlib.util.find_spec("pytriton")  # a top-level name: looking it up does not import it
    found = Path(next(iter(spec.submodule_search_locations))).parent if spec and spec.submodule_search_locations else None
    if found is None or not (found / "pytriton" / "tritonserver" / "bin" / "tritonserver").exists():
        raise ServerStartError(
            "the wheel nvidia-pytriton, which carries Triton, is not installed: run `uv sync`, or name a real server in "
            "VERDICTLINE_TRITON"
        )
    return found


def _stub(stubs: Path, version: str) -> Path:
    stub = stubs / version / STUB
    if not stub.exists():
        there = ", ".join(sorted(folder.name for folder in stubs.iterdir()))
        raise ServerStartError(f"the embedded Triton has no stub for Python {version}, only for {there}")
    return stub


def _libpython_folder() -> Path | None:
    """Where the shared libpython is; None: the loader finds it by itself."""
    name = f"libpython{sys.version_info.major}.{sys.version_info.minor}.so.1.0"
    for folder in (sysconfig.get_config_var("LIBDIR"), str(Path(sys.base_prefix, "lib"))):
        if folder and Path(folder, name).exists():
            return Path(folder)
    try:
        ctypes.CDLL(name)
    except OSError:
        raise ServerStartError(
            f"{name} is not on this machine and the embedded Triton needs it: install it (Debian: package "
            f"{name.split('.so')[0]}) or use a Python that was built with --enable-shared"
        ) from None
    return None


def _backends(python: Path, stub: Path, cache: Path) -> Path:
    sources = (python / "libtriton_python.so", python / "triton_python_backend_utils.py", stub, BACKEND)
    with clear_errors("Triton's files cannot be read", python):
        marks = [BACKEND.read_bytes(), *(f"{file}{file.stat().st_size}".encode() for file in sources[:3])]
    target = cache / f"triton-{hashlib.sha256(b' '.join(marks)).hexdigest()[:12]}"
    if target.exists():
        return target
    with work_folder(cache, "triton-backends") as work:
        for file in sources[:3]:
            (work / "new" / "python").mkdir(parents=True, exist_ok=True)
            copy = Path(shutil.copy2(file, work / "new" / "python" / file.name))
            copy.chmod(0o755)
        (work / "new" / "onnxruntime").mkdir()
        shutil.copyfile(BACKEND, work / "new" / "onnxruntime" / "model.py")
        if not target.exists():
            (work / "new").rename(target)
    return target
