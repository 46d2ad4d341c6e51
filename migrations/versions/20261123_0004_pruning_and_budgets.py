"""what pruning and budgets need: standings at the epochs where a rule looks, guesses, what was spent, limits

Revision: 20261123_0004, after 20261123_0003. Date: 2026-11-23.
"""

import sqlalchemy as sa
from alembic import op

revision = "20261123_0004"
down_revision = "20261123_0003"
branch_labels = None
depends_on = None

_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column("studies", sa.Column("limits", sa.JSON(none_as_null=True), nullable=True))
    op.add_column("studies", sa.Column("spent", sa.Text(), nullable=True))
    op.add_column("trials", sa.Column("guess", sa.Double(), nullable=True))
    op.add_column("trials", sa.Column("run_epoch", sa.Double(), nullable=True))
    op.add_column("trials", sa.Column("spent_epochs", sa.Double(), server_default="0", nullable=False))
    op.add_column("trials", sa.Column("spent_us", sa.BigInteger(), server_default="0", nullable=False))
    op.create_table(
        "standings",
        sa.Column("study_id", _KEY, nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("trial_id", _KEY, nullable=False),
        sa.Column("score", sa.Double(), nullable=True),
        sa.ForeignKeyConstraint(["study_id"], ["studies.id"], name=op.f("fk_standings_study_id"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["trial_id"], ["trials.id"], name=op.f("fk_standings_trial_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("study_id", "epoch", "trial_id", name=op.f("pk_standings")),
    )
    op.create_index(op.f("ix_standings_trial_id"), "standings", ["trial_id"])


def downgrade() -> None:
    op.drop_table("standings")
    with op.batch_alter_table("trials", schema=None) as batch_op:
        for name in ("spent_us", "spent_epochs", "run_epoch", "guess"):
            batch_op.drop_column(name)
    with op.batch_alter_table("studies", schema=None) as batch_op:
        batch_op.drop_column("spent")
        batch_op.drop_column("limits")
