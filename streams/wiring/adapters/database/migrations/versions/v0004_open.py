"""Parts that wait for a person, and what was decided lately: without reading the rest."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
_OPEN = "(disposition = 'review' OR (decided_by = 'policy' AND (audit OR late)))"


def upgrade() -> None:
    op.create_index("inspections_decided", "inspections", ["decided_us"])
    op.create_index(
        "inspections_open", "inspections", ["inspection"], sqlite_where=sa.text(_OPEN), postgresql_where=sa.text(_OPEN)
    )
