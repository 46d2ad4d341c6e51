"""what a report must know of a long run: marks of its curve, and an index of events by kind

Revision: 20261127_0002, after 20261127_0001. Date: 2026-11-27.
"""

import sqlalchemy as sa
from alembic import op

revision = "20261127_0002"
down_revision = "20261127_0001"
branch_labels = None
depends_on = None

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "curve_marks",
        sa.Column("trial_id", KEY, nullable=False),
        sa.Column("fence", sa.Integer(), nullable=False),
        sa.Column("rollback_generation", sa.Integer(), nullable=False),
        sa.Column("rollback", sa.Integer(), nullable=True),
        sa.Column("step", sa.BigInteger(), nullable=False),
        sa.Column("points", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["trial_id"], ["trials.id"], name=op.f("fk_curve_marks_trial_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("trial_id", name=op.f("pk_curve_marks")),
    )
    op.create_index(op.f("ix_events_study_id_kind_id"), "events", ["study_id", "kind", "id"])


def downgrade() -> None:
    op.drop_index(op.f("ix_events_study_id_kind_id"), "events")
    op.drop_table("curve_marks")
