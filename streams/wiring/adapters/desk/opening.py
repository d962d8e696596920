"""Opens the console's own database and brings it to this program's schema.

It holds what no topic has yet, so an answer is on the disk before the person sees that it was taken (`synchronous=FULL`); and
names and hashes of passwords, so nobody but its owner reads it. SQLite gives its files beside it the same rights.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from sqlalchemy import URL, Engine

from streams.fates import Unavailable
from streams.wiring.adapters.database.connection import open_engine
from streams.wiring.adapters.database.migrate import migrate

FILE = "console.db"
_VERSIONS = Path(__file__).parent / "migrations"


def open_desk(state: Path) -> Engine:
    """state: the state folder. Raises DatabaseIsNewer, Unavailable."""
    _keep_to_the_owner(state / FILE)
    engine = open_engine(URL.create("sqlite", database=str(state / FILE)), synchronous="FULL", cache_kib=2 << 10)
    migrate(engine, _VERSIONS)
    return engine


def _keep_to_the_owner(file: Path) -> None:
    """Made here, before SQLite makes it for all to read. Raises Unavailable."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch(mode=0o600)
        for one in (file, file.with_name(f"{FILE}-wal"), file.with_name(f"{FILE}-shm")):
            with suppress(FileNotFoundError, PermissionError):  # not there; or another account's, which keeps it itself
                one.chmod(0o600)
    except OSError as error:
        raise Unavailable(f"{file}: {error.strerror}") from error
