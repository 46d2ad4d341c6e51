"""tasks of own code: their kind, what they need of a worker, which workers cannot run them, and what they print

Revision: 20261127_0008, after 20261127_0007. Date: 2026-11-27.
"""

import sqlalchemy as sa
from alembic import op

revision = "20261127_0008"
down_revision = "20261127_0007"
branch_labels = None
depends_on = None

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column("studies", sa.Column("task_kind", sa.Text(), nullable=True))
    op.add_column("studies", sa.Column("needs", sa.JSON(none_as_null=True), nullable=True))
    op.execute("UPDATE studies SET task_kind = 'train' WHERE task IS NOT NULL")
    op.add_column("trials", sa.Column("begun_fence", sa.Integer(), nullable=True))
    op.add_column("workers", sa.Column("offer", sa.JSON(none_as_null=True), nullable=True))
    op.create_table(
        "unable",
        sa.Column("study_id", KEY, nullable=False),
        sa.Column("worker", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["study_id"], ["studies.id"], name="fk_unable_study_id_studies", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("study_id", "worker", name="pk_unable"),
    )
    op.create_index("ix_unable_worker", "unable", ["worker"])
    op.create_table(
        "trial_logs",
        sa.Column("trial_id", KEY, nullable=False),
        sa.Column("fence", sa.Integer(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["trial_id"], ["trials.id"], name="fk_trial_logs_trial_id_trials", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("trial_id", "fence", name="pk_trial_logs"),
    )


def downgrade() -> None:
    op.drop_table("trial_logs")
    op.drop_table("unable")
    for table, column in (
        ("workers", "offer"),
        ("trials", "begun_fence"),
        ("studies", "needs"),
        ("studies", "task_kind"),
    ):
        with op.batch_alter_table(table) as batch_op:
            batch_op.drop_column(column)
