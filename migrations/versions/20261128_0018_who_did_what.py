"""leases belong to somebody; events, timelines and late results say who; the audit trail

Revision: 20261128_0018, after 20261127_0017. Date: 2026-11-28.
"""

import sqlalchemy as sa
from alembic import op

revision = "20261128_0018"
down_revision = "20261127_0017"
branch_labels = None
depends_on = None

WHO = (("events", "actor"), ("late_results", "actor"))
WHICH = ("events", "timeline", "late_results")


def upgrade() -> None:
    op.add_column("trials", sa.Column("leased_to", sa.Text()))
    for table, column in WHO:
        op.add_column(table, sa.Column(column, sa.Text()))
    for table in WHICH:
        op.add_column(table, sa.Column("actor_token", sa.BigInteger()))
    op.create_table(
        "audit",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("actor_token", sa.BigInteger()),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("study", sa.Text()),
        sa.Column("trial", sa.Integer()),
        sa.Column("target", sa.Text()),
        sa.Column("detail", sa.JSON(), nullable=False),
        sqlite_autoincrement=True,
    )


def downgrade() -> None:
    op.drop_table("audit")
    for table in reversed(WHICH):
        op.drop_column(table, "actor_token")
    for table, column in reversed(WHO):
        op.drop_column(table, column)
    op.drop_column("trials", "leased_to")
