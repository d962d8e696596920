"""The schema's versions: brings a database to this program's, under a lock, and refuses one of a newer program.

Alembic's versions lie in `migrations/versions`, packaged with the program. Knows no rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, text

from streams.wiring.adapters.database.connection import reading, writing

_LOCK = 0x56444C  # of PostgreSQL's advisory locks
VERSIONS = Path(__file__).parent / "migrations"


class DatabaseIsNewer(ValueError):
    """A newer program has changed its schema: this one would break it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Schema:
    """current: None in an empty database. known: whether this program knows it."""

    current: str | None
    head: str
    known: bool

    @property
    def up_to_date(self) -> bool:
        return self.current == self.head


def schema(engine: Engine, versions: Path = VERSIONS) -> Schema:
    """versions: the folder of its migrations. Raises Unavailable."""
    with reading(engine) as connection:
        return _schema(connection, versions)


def migrate(engine: Engine, versions: Path = VERSIONS) -> Schema:
    """To the newest version; others who try at the same time wait, and find it done. Raises DatabaseIsNewer, Unavailable."""
    found = schema(engine, versions)
    if not found.up_to_date and found.known:
        with writing(engine) as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
            found = _schema(connection, versions)
            if found.known and not found.up_to_date:
                config = _config(versions)
                config.attributes["connection"] = connection
                command.upgrade(config, "head")
                found = _schema(connection, versions)
    if not found.known:
        raise DatabaseIsNewer(
            f"database {engine.url.render_as_string(hide_password=True)} has schema {found.current}, this program knows up to"
            f" {found.head}: a newer program has changed it; update this one, or name another database in VERDICTLINE_DATABASE"
        )
    return found


def _schema(connection: Connection, versions: Path) -> Schema:
    current = MigrationContext.configure(connection).get_current_revision()
    scripts = ScriptDirectory.from_config(_config(versions))
    known = {script.revision for script in scripts.walk_revisions()}
    return Schema(current=current, head=scripts.get_current_head() or "", known=current is None or current in known)


def _config(versions: Path) -> Config:
    config = Config()
    config.set_main_option("script_location", str(versions).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config
