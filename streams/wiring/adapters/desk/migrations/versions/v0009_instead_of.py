"""In the place of which part somebody was given one with a known answer: what its draw was made of."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    op.add_column("tested", sa.Column("instead_of", sa.Text(), nullable=True))
