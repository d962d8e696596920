"""Child processes on this machine: started, restarted when they end, measured, stopped. Knows no Kafka and no message."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from streams.workbench.processes import die_with_parent

_FIRST_DELAY_S, _LAST_DELAY_S, _CALM_S = 0.2, 5.0, 30.0


@dataclass(frozen=True, kw_only=True)
class Usage:
    """cpu_s: of all its lives and children; rss_mb: now, children included."""

    cpu_s: float
    rss_mb: float
    restarts: int
    pid: int | None
    alive: bool


@dataclass
class Child:
    name: str
    argv: Sequence[str]
    env: Mapping[str, str]
    log: Path
    cores: frozenset[int] | None = None
    process: subprocess.Popen[bytes] | None = None
    restarts: int = 0
    delay_s: float = _FIRST_DELAY_S
    started: float = 0.0
    again_at: float | None = None
    cpu_of_dead_s: float = 0.0
    cpu_now_s: float = 0.0
    done: bool = False


def tree_usage(pid: int) -> tuple[float, float]:
    """(CPU seconds, MB resident) of a process and its children; zeros where it is gone."""
    cpu = rss = 0.0
    with contextlib.suppress(psutil.NoSuchProcess):
        root = psutil.Process(pid)
        for process in [root, *root.children(recursive=True)]:
            with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                times = process.cpu_times()
                cpu += times.user + times.system
                rss += process.memory_info().rss / 1e6
    return cpu, rss


@dataclass
class Fleet:
    """Use it on one thread that lives as long as the children should: they get SIGTERM when it ends."""

    logs: Path
    children: dict[str, Child] = field(default_factory=dict)

    def start(
        self, name: str, argv: Sequence[str], env: Mapping[str, str] | None = None, cores: frozenset[int] | None = None
    ) -> None:
        """`python -m streams ARGV`, its output in LOGS/NAME.log."""
        self.logs.mkdir(parents=True, exist_ok=True)
        child = Child(name, argv, {**os.environ, **(env or {})}, self.logs / f"{name}.log", cores)
        self.children[name] = child
        self._launch(child)

    def _launch(self, child: Child) -> None:
        with child.log.open("ab") as output:
            child.process = subprocess.Popen(
                [sys.executable, "-m", "streams", *child.argv],
                env=dict(child.env),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=die_with_parent,
            )
        if child.cores:
            psutil.Process(child.process.pid).cpu_affinity(sorted(child.cores))
        child.started, child.again_at = time.monotonic(), None

    def watch(self) -> list[str]:
        """Restart what ended; call it a few times a second. A child that ends with 0 is done. Returns what happened, in words."""
        told = []
        for child in self.children.values():
            if child.done or child.process is None:
                continue
            now, code = time.monotonic(), child.process.poll()
            if code is None:
                child.cpu_now_s = max(child.cpu_now_s, tree_usage(child.process.pid)[0])
                if now - child.started > _CALM_S:
                    child.delay_s = _FIRST_DELAY_S
            elif code == 0:
                child.done = True
                self._count(child)
            elif child.again_at is None:
                self._count(child)
                child.again_at = now + child.delay_s
                child.delay_s = min(2 * child.delay_s, _LAST_DELAY_S)
                told.append(f"{child.name} ended with {code}; starting it again ({child.log})")
            elif now >= child.again_at:
                child.restarts += 1
                self._launch(child)
        return told

    @staticmethod
    def _count(child: Child) -> None:
        child.cpu_of_dead_s, child.cpu_now_s = child.cpu_of_dead_s + child.cpu_now_s, 0.0

    def usage(self) -> dict[str, Usage]:
        return {name: self._usage(child) for name, child in self.children.items()}

    @staticmethod
    def _usage(child: Child) -> Usage:
        process = child.process
        alive = process is not None and process.poll() is None
        cpu, rss = tree_usage(process.pid) if process and alive else (child.cpu_now_s, 0.0)
        child.cpu_now_s = max(cpu, child.cpu_now_s)
        pid = process.pid if process and alive else None
        return Usage(cpu_s=child.cpu_of_dead_s + child.cpu_now_s, rss_mb=rss, restarts=child.restarts, pid=pid, alive=alive)

    def stop(self, grace_s: float = 15.0) -> None:
        """SIGTERM to all, after the grace SIGKILL."""
        running = [child for child in self.children.values() if child.process and child.process.poll() is None]
        for child in running:
            self._usage(child)
            child.done = True
            assert child.process
            child.process.terminate()
        end = time.monotonic() + grace_s
        for child in running:
            assert child.process
            try:
                child.process.wait(max(0.1, end - time.monotonic()))
            except subprocess.TimeoutExpired:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(child.process.pid, signal.SIGKILL)
                child.process.wait()
