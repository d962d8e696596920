"""What this console has put in force: one step from each version."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "steps",
        sa.Column("place", sa.Text(), primary_key=True, nullable=False),
        sa.Column("before", sa.Text(), primary_key=True, nullable=False),
        sa.Column("after", sa.Text(), nullable=False),
        sa.Column("data", sa.Text(), nullable=False),
        sa.Column("made_us", sa.BigInteger(), nullable=False),
    )
