"""Passes of the policy, counted for ever. Where a person has decided since, the probability of an audit is not known any more."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
_AUDITED = "(audit AND revision = 1)"
_EFFECTIVE = "SELECT {0} FROM inspections WHERE inspections.inspection = revisions.inspection"
_COUNT = """
    INSERT INTO passes (product, probability, hour, n, good, bad, unanswered)
    SELECT product, COALESCE(audit_probability, 0), decided_us / 3600000000, COUNT(*), 0, 0, 0 FROM revisions
    WHERE revision = 1 AND disposition = 'pass' AND purpose = 'production' AND product IS NOT NULL
    GROUP BY product, COALESCE(audit_probability, 0), decided_us / 3600000000
"""


def upgrade() -> None:
    op.add_column("revisions", sa.Column("product", sa.Text(), nullable=True))
    op.add_column("revisions", sa.Column("purpose", sa.Text(), nullable=True))
    op.add_column("revisions", sa.Column("audit_probability", sa.Double(), nullable=True))
    for name in ("product", "purpose"):
        op.execute(f"UPDATE revisions SET {name} = ({_EFFECTIVE.format(name)})")
    same = _EFFECTIVE.format("audit_probability") + " AND inspections.revision = revisions.revision"
    op.execute(f"UPDATE revisions SET audit_probability = ({same})")
    op.create_index(
        "revisions_audited", "revisions", ["inspection"], sqlite_where=sa.text(_AUDITED), postgresql_where=sa.text(_AUDITED)
    )
    op.create_table(
        "passes",
        sa.Column("product", sa.Text(), nullable=False),
        sa.Column("probability", sa.Double(), nullable=False),
        *(sa.Column(name, sa.BigInteger(), autoincrement=False, nullable=False) for name in _COUNTS),
        sa.PrimaryKeyConstraint("product", "probability", "hour"),
    )
    op.execute(_COUNT)


_COUNTS = ("hour", "n", "good", "bad", "unanswered")
