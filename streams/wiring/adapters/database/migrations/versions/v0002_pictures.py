"""Where the image of an observation lies, and its heat map: what a person looks at. Rows of before have neither."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column("evidence", sa.Column("image", sa.Text(), nullable=True))
    op.add_column("evidence", sa.Column("heat", sa.Text(), nullable=True))
