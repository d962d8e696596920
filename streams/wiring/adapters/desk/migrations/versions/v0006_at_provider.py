"""Whom the provider may call by a name: nobody who was added with a link, and nobody who had a password."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.add_column("users", sa.Column("at_provider", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.execute("UPDATE users SET at_provider = 1 WHERE subject IS NOT NULL")
