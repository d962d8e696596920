"""A real Triton Inference Server on this machine, serving a model store on the CPU. Knows no model.

with EmbeddedTriton(Path("models")) as triton:  # explicit model control: every model found is loaded at the start
    InferenceServerClient(triton.grpc_url)
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path
from typing import Self
from urllib.error import URLError
from urllib.request import urlopen

from streams.workbench.processes import ServerStartError, clear_errors, die_with_parent, first_line, free_ports, is_free
from streams.workbench.triton_files import triton_files
from streams.workbench.triton_stubs import Stub, StubWatch, find_stubs, reap

_ATTEMPTS = 3
_LOOK_EVERY_S = 1.0
_HANG_AFTER_S = 30.0
_ERROR_LINE = re.compile(r"E\d{4} ")


class EmbeddedTriton:
    """`grpc_url`, `http_url`, `metrics_url` are its addresses. port: of gRPC, 0 takes a free one.

    The thread that calls `launch` or `start` must live as long as the server should.
    """

    def __init__(
        self,
        model_store: Path,
        *,
        log: Path | None = None,
        port: int = 0,
        cache: Path | None = None,
        timeout_s: float = 90.0,
        cores: frozenset[int] | None = None,
    ) -> None:
        self.store = model_store.resolve()
        self.log = (log or self.store.with_name(f"{self.store.name}-triton.log")).resolve()
        self.timeout_s = timeout_s
        self.cores = cores
        self._cache = cache
        self._asked_port = port
        self.grpc_port = self.http_port = self.metrics_port = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._id = ""
        self._log_start = 0
        self._watch = StubWatch()
        self._last_look = self._last_live = 0.0

    @property
    def grpc_url(self) -> str:
        return f"127.0.0.1:{self.grpc_port}"

    @property
    def http_url(self) -> str:
        return f"127.0.0.1:{self.http_port}"

    @property
    def metrics_url(self) -> str:
        return f"127.0.0.1:{self.metrics_port}"

    @property
    def address(self) -> str:
        return self.grpc_url

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    @property
    def prefix(self) -> str:
        """Of the names of its shared memory. Follows from the store, so that a new start clears a killed one's."""
        return f"vl{hashlib.sha256(str(self.store).encode()).hexdigest()[:10]}x"

    def start(self) -> Self:
        """Start and wait until it answers. Raises ServerStartError, with nothing left behind."""
        try:
            self.launch()
            self.wait_ready()
        except BaseException:
            self.stop()
            raise
        return self

    def launch(self) -> None:
        """Start the process without waiting. Raises ServerStartError."""
        files = triton_files(self._cache)
        self._settle_ports()
        reap(self.prefix)
        with clear_errors("Triton cannot use its folders", self.store):
            self.store.mkdir(parents=True, exist_ok=True)
            self.log.parent.mkdir(parents=True, exist_ok=True)
            out = self.log.open("ab")
        self._id = f"verdictline-{uuid.uuid4().hex[:8]}"  # GET /v2 tells it: readiness is never another server's
        self._watch, self._last_live, self._log_start = StubWatch(), time.monotonic(), out.tell()
        libraries = [*map(str, files.library_path), os.environ.get("LD_LIBRARY_PATH", "")]
        path = [str(Path(sys.executable).absolute().parent), os.environ.get("PATH", "")]  # where the stubs find our packages
        with out:
            self._process = subprocess.Popen(
                [str(files.server), *self._arguments(files.backends)],
                env={**os.environ, "LD_LIBRARY_PATH": ":".join(filter(None, libraries)), "PATH": ":".join(filter(None, path))},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,  # Ctrl-C is for us: the server stops after its clients
                preexec_fn=self._before_exec,
            )

    def wait_ready(self) -> None:
        """Return when it answers. Raises ServerStartError with the reason of its log.

        A start that a signal ended is tried again: on a busy machine, loading can abort in the server's Python backend.
        """
        end, attempt = time.monotonic() + self.timeout_s, 1
        while time.monotonic() < end:
            code = self._process.poll() if self._process else 0
            if code is None:
                if self._is_ours() and self._get("/v2/health/ready") is not None:
                    self._watch.dead(self.stubs(), self._is_ready)  # know them from the start
                    return
                time.sleep(0.05)
            elif code < 0 and attempt < _ATTEMPTS:
                attempt += 1
                self.launch()
            else:
                raise ServerStartError(f"Triton did not start (it ended with {code}): {self._reason()}")
        self.kill()
        raise ServerStartError(f"Triton did not answer within {self.timeout_s:.0f} s ({self._reason()}); log: {self.log}")

    def trouble(self) -> str | None:
        """Why it has to be killed and started again; None while it serves."""
        if self._process is None:
            return None
        if (code := self._process.poll()) is not None:
            return f"it ended with {code}"
        now = time.monotonic()
        if now - self._last_look < _LOOK_EVERY_S:
            return None
        self._last_look = now
        if self._get("/v2/health/live") is not None:
            self._last_live = time.monotonic()
        elif time.monotonic() - self._last_live > _HANG_AFTER_S:
            return f"it has not answered for {_HANG_AFTER_S:.0f} s"
        if dead := self._watch.dead(self.stubs(), self._is_ready):
            return f"a stub died: {', '.join(sorted(dead))}"
        return None

    def stubs(self) -> list[Stub]:
        """The processes of its model instances."""
        return [stub for stub in find_stubs(self.prefix) if stub.parent == self.pid]

    def stop(self, grace_s: float = 40.0) -> None:
        """Requests in flight finish first; after the grace, kill."""
        if self._process is None:
            return
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(grace_s)
            except subprocess.TimeoutExpired:
                self.kill()
        reap(self.prefix)

    def kill(self) -> None:
        """SIGKILL: what a crash does. The next start clears what it left."""
        if self._process:
            self._process.kill()
            self._process.wait()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _before_exec(self) -> None:
        die_with_parent()
        if self.cores:
            os.sched_setaffinity(0, self.cores)

    def _settle_ports(self) -> None:
        if self.grpc_port:  # a restart: clients know the address
            return
        if self._asked_port and not is_free(self._asked_port):
            raise ServerStartError(f"port {self._asked_port} is taken: stop what uses it, or choose another for Triton")
        fresh, self.http_port, self.metrics_port = free_ports(3)
        self.grpc_port = self._asked_port or fresh

    def _arguments(self, backends: Path) -> list[str]:
        models = any((folder / "config.pbtxt").exists() for folder in self.store.iterdir() if folder.is_dir())
        return [
            f"--id={self._id}",
            f"--model-repository={self.store}",
            f"--backend-directory={backends}",
            f"--backend-config=python,shm-region-prefix-name={self.prefix}",
            "--model-control-mode=explicit",
            *(["--load-model=*"] if models else []),  # refused for an empty store
            "--strict-readiness=false",  # one broken model does not stop the others
            "--exit-on-error=false",
            "--disable-auto-complete-config",
            "--allow-gpu-metrics=false",
            *(f"--{kind}-address=127.0.0.1" for kind in ("http", "grpc", "metrics")),
            f"--grpc-port={self.grpc_port}",
            f"--http-port={self.http_port}",
            f"--metrics-port={self.metrics_port}",
        ]

    def _get(self, path: str) -> bytes | None:
        """Body of a 200 answer, else None."""
        try:
            with urlopen(f"http://{self.http_url}{path}", timeout=2) as answer:
                return bytes(answer.read())
        except (URLError, OSError):
            return None

    def _is_ours(self) -> bool:
        body = self._get("/v2")
        return body is not None and json.loads(body).get("name") == self._id

    def _is_ready(self, model: str, version: str) -> bool:
        return self._get(f"/v2/models/{model}/versions/{version}/ready") is not None

    def _reason(self) -> str:
        with self.log.open("rb") as log:
            log.seek(self._log_start)
            text = log.read(200_000).decode(errors="replace")
        return first_line(text, lambda line: line.startswith("error:") or (_ERROR_LINE.match(line) and "CudaDriver" not in line))
