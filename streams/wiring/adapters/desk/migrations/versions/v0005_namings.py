"""Clusters of unknowns that were named here, and their members."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.create_table(
        "namings",
        sa.Column("proposal", sa.Text(), primary_key=True, nullable=False),
        sa.Column("product", sa.Text(), nullable=False),
        sa.Column("cluster", sa.Text(), nullable=False),
        sa.Column("who", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("label", sa.Text(), nullable=True),
        sa.Column("taxonomy", sa.Text(), nullable=True),
        sa.Column("data", sa.Text(), nullable=False),
        sa.Column("made_us", sa.BigInteger(), nullable=False),
    )
    op.create_index("namings_made", "namings", ["made_us"])
    op.create_table(
        "named",
        sa.Column("inspection", sa.Text(), primary_key=True, nullable=False),
        sa.Column("proposal", sa.Text(), primary_key=True, nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("draft", sa.Text(), nullable=False),
        sa.Column("said", sa.Text(), nullable=True),
        sa.Column("said_us", sa.BigInteger(), nullable=False),
    )
    op.create_index("named_proposal", "named", ["proposal"])
