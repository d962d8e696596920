"""Labels with masks that were sent from here, until the sink has stored them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.create_table(
        "masked",
        sa.Column("inspection", sa.Text(), primary_key=True, nullable=False),
        sa.Column("who", sa.Text(), primary_key=True, nullable=False),
        sa.Column("view", sa.Text(), primary_key=True, nullable=False),
        sa.Column("said", sa.Text(), nullable=False),
        sa.Column("said_us", sa.BigInteger(), nullable=False),
    )
    op.create_index("masked_said", "masked", ["said_us"])
