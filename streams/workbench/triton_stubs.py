"""Triton's Python stubs: one process for each model instance, found by the prefix of their shared memory. Linux."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from streams.workbench.triton_files import STUB


class Stub(NamedTuple):
    pid: int
    parent: int
    instance: str
    model: str
    version: str

    @property
    def key(self) -> str:
        return f"{self.instance}@{self.model}/{self.version}"


def find_stubs(prefix: str) -> list[Stub]:
    """argv of a stub: itself, model file, shared-memory prefix + id, ..., instance name."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        with contextlib.suppress(OSError, IndexError, ValueError):  # gone meanwhile, or not a stub
            argv = _command_line(int(entry.name))
            if not argv[0].endswith(STUB) or not argv[2].startswith(prefix):
                continue
            parent = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
            folder = Path(argv[1]).parent
            found.append(Stub(int(entry.name), parent, argv[8], folder.parent.name, folder.name))
    return found


def reap(prefix: str) -> None:
    """Clear what a killed server left: its stubs can deadlock in their clean-up and keep memory and /dev/shm files."""
    stubs = find_stubs(prefix)
    orphans = [stub for stub in stubs if not _is_server(stub.parent)]
    for stub in orphans:
        with contextlib.suppress(ProcessLookupError):
            os.kill(stub.pid, signal.SIGKILL)
    if len(orphans) == len(stubs):
        for file in Path("/dev/shm").glob(f"{prefix}*"):
            file.unlink(missing_ok=True)


class StubWatch:
    """Notices instances whose stub is gone although the server still calls their version ready: it never restarts one."""

    def __init__(self) -> None:
        self._known: dict[str, Stub] = {}
        self._suspects: set[str] = set()

    def dead(self, stubs: Iterable[Stub], is_ready: Callable[[str, str], bool]) -> set[str]:
        """Missing in two looks in a row, so not a reload in progress. is_ready(model, version)."""
        now = {stub.key: stub for stub in stubs}
        self._known |= now
        gone = {key for key in self._known if key not in now}
        for key in list(gone):
            stub = self._known[key]
            if not is_ready(stub.model, stub.version):  # unloaded or replaced: not our concern
                del self._known[key]
                gone.discard(key)
        confirmed, self._suspects = gone & self._suspects, gone
        return confirmed


def _command_line(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")


def _is_server(pid: int) -> bool:
    try:
        return _command_line(pid)[0].endswith("tritonserver")
    except OSError:
        return False
