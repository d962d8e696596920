"""Opens the console's own database and brings it to this program's schema."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import URL, Engine

from streams.wiring.adapters.database.connection import open_engine
from streams.wiring.adapters.database.migrate import migrate

FILE = "console.db"
_VERSIONS = Path(__file__).parent / "migrations"


def open_desk(state: Path) -> Engine:
    """state: the state folder. Raises DatabaseIsNewer, Unavailable."""
    engine = open_engine(URL.create("sqlite", database=str(state / FILE)))
    migrate(engine, _VERSIONS)
    return engine
