"""A small HTTP server in a thread: /metrics for Prometheus, /health/live and /health/ready for a supervisor."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

Checks = Callable[[], Mapping[str, bool]]


class PortTaken(Exception):
    """The text names the address."""


class Health:
    """live, ready: names of conditions and whether they hold; all of them -> 200, else 503, as JSON. port 0: any free one.

    Raises PortTaken. `port` is the one in use. Serves until `close`.
    """

    def __init__(self, *, live: Checks, ready: Checks, port: int = 0, host: str = "127.0.0.1") -> None:
        handler = type("Handler", (_Handler,), {"checks": {"/health/live": live, "/health/ready": ready}})
        try:
            self._server = ThreadingHTTPServer((host, port), handler)
        except OSError as error:
            raise PortTaken(f"{host}:{port} cannot be opened for /metrics and /health: {error.strerror}") from error
        self._server.daemon_threads = True
        self.port = int(self._server.server_address[1])
        threading.Thread(target=self._server.serve_forever, args=(1.0,), name="health", daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    checks: Mapping[str, Checks]
    timeout = 5  # a client that says nothing

    def do_GET(self) -> None:
        if self.path == "/metrics":
            self._answer(200, generate_latest(), CONTENT_TYPE_LATEST)
        elif check := self.checks.get(self.path):
            found = dict(check())
            body = json.dumps({"ok": all(found.values()), "checks": found}).encode()
            self._answer(200 if all(found.values()) else 503, body, "application/json")
        else:
            self._answer(404, b'{"ok": false}', "application/json")

    def _answer(self, status: int, body: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """A supervisor asks every few seconds: no line for each."""
