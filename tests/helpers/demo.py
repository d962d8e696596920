"""A demonstration as a child process, and its own children by name, so that tests can kill them."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from streams.pipeline import PIPELINE
from tests.helpers.wait import wait_until

PROCESSES = (*(row.name for row in PIPELINE), "gateway", "triton", "kafka")
_STEP_S = 420.0


@dataclass(frozen=True, kw_only=True)
class Demo:
    """state: its folder; log: what it printed."""

    process: subprocess.Popen[bytes]
    state: Path
    log: Path

    def pid(self, name: str) -> int | None:
        """Of the child that plays this part now; None where there is none."""
        for child in _children(self.process.pid):
            if name in _roles(child):
                return int(child.pid)
        return None

    def kill(self, name: str) -> None:
        """SIGKILL, then wait until another one has taken its place."""
        before = wait_until(lambda: self.pid(name), _STEP_S, f"a running {name}")
        psutil.Process(before).send_signal(signal.SIGKILL)
        wait_until(lambda: self.pid(name) not in (None, before), _STEP_S, f"another {name}")

    def said(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")

    def judged(self) -> int:
        """How many verdicts its last line speaks of."""
        lines = [line for line in self.said().splitlines() if " judged:" in line]
        return int(lines[-1].split(" announced, ")[1].split(" judged")[0]) if lines else 0

    def address(self, server: str) -> str:
        """Where it said that this server is: host:port, or a URL."""
        found = re.findall(rf"{server}: ([\w.:/]+)", self.said())
        assert found, self.said()[-3000:]
        return str(found[-1])

    def wait(self, timeout_s: float = _STEP_S) -> int:
        return self.process.wait(timeout_s)


@contextmanager
def running_demo(state: Path, *options: str) -> Iterator[Demo]:
    """`verdictline demo OPTIONS` on a state folder; ended with SIGTERM where the test leaves it running."""
    log = state.with_name(f"{state.name}.log")
    with log.open("ab") as output:
        command = [sys.executable, "-m", "streams", "demo", "--state", str(state), *options]
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
    try:
        yield Demo(process=process, state=state, log=log)
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait(60)


def kept(demo: Demo, summary: Path) -> dict[str, Any]:
    """The summary of a demo that stays, once it has counted everything."""

    def counted() -> bool:
        assert demo.process.poll() is None, demo.said()[-3000:]
        return "stays until Ctrl-C" in demo.said()

    wait_until(counted, _STEP_S, "the end of the demo")
    data: dict[str, Any] = json.loads(summary.read_text(encoding="utf-8"))
    return data


def _children(pid: int) -> list[psutil.Process]:
    try:
        return list(psutil.Process(pid).children(recursive=True))
    except psutil.NoSuchProcess:
        return []


def _roles(process: psutil.Process) -> set[str]:
    try:
        words = process.cmdline()
    except psutil.Error:
        return set()
    if not words:
        return set()
    if words[-2:-1] == ["run"]:
        return {words[-1]}
    found = {"gateway"} if "plant" in words and "--plan" in words else set()
    if words[0].endswith("tritonserver"):
        found.add("triton")
    if "kafka.Kafka" in words:
        found.add("kafka")
    return found
