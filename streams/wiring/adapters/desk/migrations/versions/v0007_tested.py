"""Who was given which part with a known answer."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.create_table(
        "tested",
        sa.Column("who", sa.Text(), primary_key=True, nullable=False),
        sa.Column("part", sa.Text(), primary_key=True, nullable=False),
        sa.Column("inspection", sa.Text(), nullable=False),
        sa.Column("answer", sa.BigInteger(), nullable=False),
        sa.Column("at_us", sa.BigInteger(), nullable=False),
    )
    op.create_index("tested_part", "tested", ["part"])
