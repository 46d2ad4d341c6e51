"""the step at which each run of a trial began: the reports of earlier runs count up to it

Revision: 20261127_0009, after 20261127_0008. Date: 2026-11-27.
"""

import sqlalchemy as sa
from alembic import op

revision = "20261127_0009"
down_revision = "20261127_0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "run_starts",
        sa.Column("trial_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("fence", sa.Integer(), nullable=False),
        sa.Column("step", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["trial_id"], ["trials.id"], name="fk_run_starts_trial_id_trials", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("trial_id", "fence", name="pk_run_starts"),
    )


def downgrade() -> None:
    op.drop_table("run_starts")
