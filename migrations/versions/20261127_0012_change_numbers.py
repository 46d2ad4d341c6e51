"""the transaction that last wrote a study, a trial or an event

Revision: 20261127_0012, after 20261127_0011. Date: 2026-11-27.
"""

import sqlalchemy as sa
from alembic import op

revision = "20261127_0012"
down_revision = "20261127_0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "change_count",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("last", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_change_count_one_row")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_change_count")),
    )
    for table in ("studies", "trials", "events"):
        op.add_column(table, sa.Column("changed", sa.BigInteger(), nullable=False, server_default="0"))
    op.create_index(op.f("ix_trials_changed_study_id"), "trials", ["changed", "study_id"])


def downgrade() -> None:
    op.drop_index(op.f("ix_trials_changed_study_id"), table_name="trials")
    for table in ("events", "trials", "studies"):
        op.drop_column(table, "changed")
    op.drop_table("change_count")
