"""A number of a waiting record is never given again: the courier goes on beyond the last one that it took."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "outgoing_numbered",
        sa.Column("id", _NUMBER, primary_key=True, autoincrement=True, nullable=False),
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("key", sa.LargeBinary(), nullable=True),
        sa.Column("value", sa.LargeBinary(), nullable=True),
        sa.Column("headers", sa.Text(), nullable=False),
        sa.Column("made_us", sa.BigInteger(), nullable=False),
        sqlite_autoincrement=True,
    )
    op.execute("INSERT INTO outgoing_numbered SELECT id, topic, key, value, headers, made_us FROM outgoing")
    op.drop_table("outgoing")
    op.rename_table("outgoing_numbered", "outgoing")
