"""The classes of defects, and which part and version of the classes a label is of."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "taxonomies",
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("product", sa.Text(), nullable=False),
        *_document(),
        sa.PrimaryKeyConstraint("digest"),
    )
    op.create_table(
        "proposals",
        sa.Column("proposal_id", sa.Text(), nullable=False),
        sa.Column("product", sa.Text(), nullable=False),
        sa.Column("withdrawn", sa.Boolean(), nullable=False),
        *_document(),
        sa.PrimaryKeyConstraint("proposal_id"),
    )
    op.create_index("proposals_product", "proposals", ["product"], unique=False)
    op.add_column("labels", sa.Column("taxonomy", sa.Text(), nullable=True))
    op.add_column("labels", sa.Column("physical", sa.Text(), nullable=False, server_default=""))
    _fill_labels()
    op.create_index("labels_product", "labels", ["product"], unique=False)
    op.create_index("labels_withdraws", "labels", ["withdraws"], unique=False)


def _document() -> list[sa.Column[int] | sa.Column[str]]:
    return [
        sa.Column("log_offset", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("at_us", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("data", sa.Text(), nullable=False),
    ]


def _fill_labels() -> None:
    """Those of before hold the whole message."""
    sqlite = op.get_bind().dialect.name == "sqlite"
    taxonomy, serial, lot = (
        f"json_extract(data, '$.{name}')" if sqlite else f"CAST(data AS json) ->> '{name}'"
        for name in ("taxonomy", "serial", "lot")
    )
    physical = f"COALESCE('serial/' || ({serial}), 'lot/' || ({lot}), 'image/' || inspection)"
    op.execute(f"UPDATE labels SET taxonomy = {taxonomy}, physical = {physical}")
