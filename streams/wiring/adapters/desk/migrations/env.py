"""Alembic runs this: the versions, on the connection and in the transaction that `migrate.py` has opened."""

from __future__ import annotations

from alembic import context

context.configure(connection=context.config.attributes["connection"])
context.run_migrations()
