"""The two servers that a demo, `verdictline up` and tests stand on: started, watched, measured, stopped. Knows no topic.

with Servers(Path(".verdictline")) as servers:
    servers.kafka, servers.triton  # host:port
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Literal, Protocol, Self

import psutil
import structlog

from streams.workbench.docker import check_docker, docker_kafka, docker_triton
from streams.workbench.fleet import Usage, tree_usage
from streams.workbench.jars import class_path
from streams.workbench.java import find_java
from streams.workbench.kafka import EmbeddedKafka
from streams.workbench.named import check_kafka, check_triton
from streams.workbench.processes import ServerStartError, clear_errors, try_lock
from streams.workbench.triton import EmbeddedTriton
from streams.workbench.triton_files import triton_files

Kind = Literal["embedded", "docker"]
_LOOK_EVERY_S, _MEASURE_EVERY_S = 0.2, 1.0
_TRITON_METRICS = 8002
_FIRST_DELAY_S, _LAST_DELAY_S, _CALM_S = 0.2, 10.0, 30.0


class Server(Protocol):
    """What a started server can do; `trouble` says why it must be killed and started again."""

    @property
    def address(self) -> str: ...
    @property
    def pid(self) -> int | None: ...
    def launch(self) -> None: ...
    def wait_ready(self) -> None: ...
    def trouble(self) -> str | None: ...
    def kill(self) -> None: ...
    def stop(self) -> None: ...


@dataclass(kw_only=True)
class _Watched:
    server: Server
    restarts: int = 0
    delay_s: float = _FIRST_DELAY_S
    started: float = field(default_factory=time.monotonic)
    again_at: float | None = None
    measured: float = 0.0
    cpu_of_dead_s: float = 0.0
    cpu_now_s: float = 0.0


class Servers:
    """kafka, triton: addresses of real servers, None starts one. cores: by server's name, where it may run.

    Everything started lives under `state`, which one `Servers` at a time may use. A thread of its own starts and restarts
    the servers, with the same addresses and data; they end when this process does, however it does.
    """

    def __init__(
        self,
        state: Path,
        *,
        kind: Kind = "embedded",
        kafka: str | None = None,
        triton: str | None = None,
        kafka_client: Mapping[str, Any] | None = None,
        model_store: Path | None = None,
        ports: Mapping[str, int] | None = None,
        cores: Mapping[str, frozenset[int]] | None = None,
        cache: Path | None = None,
        on_event: Callable[[str], None] | None = None,
    ) -> None:
        self.state = state.resolve()
        self.store = (model_store or self.state / "models").resolve()
        self._kind, self._cache = kind, cache
        self._named = {name: address for name, address in (("kafka", kafka), ("triton", triton)) if address}
        self._kafka_client = kafka_client or {}
        self._ports, self._cores = ports or {}, cores or {}
        self._on_event = on_event or (lambda text: structlog.get_logger("servers").warning(text))
        self._watched: dict[str, _Watched] = {}
        self._stop, self._settled = threading.Event(), threading.Event()
        self._failure: BaseException | None = None
        self._thread: threading.Thread | None = None

    @property
    def kafka(self) -> str:
        """Bootstrap address."""
        return self._named.get("kafka") or self._watched["kafka"].server.address

    @property
    def triton(self) -> str:
        """Address of gRPC."""
        return self._named.get("triton") or self._watched["triton"].server.address

    @property
    def triton_metrics(self) -> str | None:
        """Address of its /metrics: of a named Triton the port that is its default, None for a container's, which has any."""
        if "triton" in self._named:
            return f"{self._named['triton'].rpartition(':')[0]}:{_TRITON_METRICS}"
        server = self._watched["triton"].server
        return server.metrics_url if isinstance(server, EmbeddedTriton) else None

    def start(self) -> Self:
        """Return when both answer. Raises ServerStartError, with nothing left running."""
        if "kafka" in self._named:
            check_kafka(self._named["kafka"], self._kafka_client)
        if "triton" in self._named:
            check_triton(self._named["triton"])
        self._prepare()
        self._thread = threading.Thread(target=self._live, name="servers", daemon=True)
        self._thread.start()
        try:
            while not self._settled.wait(0.5):  # short waits: Ctrl-C gets through
                pass
        except BaseException:
            self.stop()
            raise
        if self._failure:
            self._thread.join()
            raise self._failure
        return self

    def stop(self) -> None:
        """Stop both in order; nothing is left running."""
        self._stop.set()
        if self._thread:
            self._thread.join()

    def usage(self) -> dict[str, Usage]:
        """CPU and memory of each server that was started here, children included."""
        return {name: self._usage(watched) for name, watched in self._watched.items()}

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _prepare(self) -> None:
        """Downloads, on the caller's thread, where Ctrl-C ends them."""
        if self._kind == "docker" and len(self._named) < 2:
            check_docker()
        if self._kind == "embedded" and "kafka" not in self._named:
            find_java()
            class_path(self._cache)
        if self._kind == "embedded" and "triton" not in self._named:
            triton_files(self._cache)

    def _live(self) -> None:
        """The servers' own thread: they get SIGTERM when it ends, so it starts them and outlives them."""
        try:
            with clear_errors("cannot use the state folder", self.state):
                self.state.mkdir(parents=True, exist_ok=True)
                lock = self._lock()
            with lock:
                try:
                    self._start_all()
                    self._settled.set()
                    while not self._stop.wait(_LOOK_EVERY_S):
                        for name, watched in self._watched.items():
                            self._look(name, watched)
                finally:
                    self._stop_all()
        except Exception as error:  # noqa: BLE001 - handed to the thread that called start
            self._failure = error
        self._settled.set()

    def _lock(self) -> IO[bytes]:
        lock = try_lock(self.state / "lock")
        if lock is None:
            raise ServerStartError(
                f"{self.state} is in use by another verdictline: stop it, or choose another folder with --state"
            )
        return lock

    def _start_all(self) -> None:
        for name, make in (("triton", self._make_triton), ("kafka", self._make_kafka)):
            if name not in self._named and not self._stop.is_set():
                self._watched[name] = _Watched(server=make())
                self._watched[name].server.launch()
        for watched in self._watched.values():
            watched.server.wait_ready()

    def _make_kafka(self) -> Server:
        data, port = self.state / "kafka", self._ports.get("kafka", 0)
        if self._kind == "docker":
            return docker_kafka(data, port)
        return EmbeddedKafka(data, port=port, cache=self._cache, cores=self._cores.get("kafka"))

    def _make_triton(self) -> Server:
        port, log = self._ports.get("triton", 0), self.state / "triton.log"
        if self._kind == "docker":
            return docker_triton(self.store, port)
        return EmbeddedTriton(self.store, log=log, port=port, cache=self._cache, cores=self._cores.get("triton"))

    def _look(self, name: str, watched: _Watched) -> None:
        """Measure, and restart what is in trouble, later each time."""
        now = time.monotonic()
        if watched.again_at is None and (trouble := watched.server.trouble()):
            watched.server.kill()
            watched.cpu_of_dead_s, watched.cpu_now_s = watched.cpu_of_dead_s + watched.cpu_now_s, 0.0
            if now - watched.started > _CALM_S:
                watched.delay_s = _FIRST_DELAY_S
            watched.again_at, watched.delay_s = now + watched.delay_s, min(2 * watched.delay_s, _LAST_DELAY_S)
            self._on_event(f"{name}: {trouble}; starting it again")
        if watched.again_at is not None and now >= watched.again_at:
            self._launch_again(name, watched)
        elif now - watched.measured > _MEASURE_EVERY_S:
            watched.measured = now
            self._usage(watched)

    def _launch_again(self, name: str, watched: _Watched) -> None:
        watched.started, watched.again_at = time.monotonic(), None
        watched.restarts += 1
        try:
            watched.server.launch()
        except ServerStartError as error:
            watched.again_at, watched.delay_s = watched.started + watched.delay_s, min(2 * watched.delay_s, _LAST_DELAY_S)
            self._on_event(f"{name}: {error}")

    def _stop_all(self) -> None:
        for watched in self._watched.values():
            self._usage(watched)
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda watched: watched.server.stop(), self._watched.values()))

    @staticmethod
    def _usage(watched: _Watched) -> Usage:
        pid = watched.server.pid
        alive = pid is not None and psutil.pid_exists(pid)
        cpu, rss = tree_usage(pid) if pid is not None and alive else (0.0, 0.0)
        watched.cpu_now_s = max(watched.cpu_now_s, cpu)
        cpu_s = watched.cpu_of_dead_s + watched.cpu_now_s
        return Usage(cpu_s=cpu_s, rss_mb=rss, restarts=watched.restarts, pid=pid, alive=alive)
