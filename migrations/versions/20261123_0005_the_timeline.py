"""the timeline of a steered trial: its versions, the legs of its reports, pinned checkpoints, proposals of policies

Revision: 20261123_0005, after 20261123_0004.
"""

import sqlalchemy as sa
from alembic import op

revision = "20261123_0005"
down_revision = "20261123_0004"
branch_labels = None
depends_on = None

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column("trials", sa.Column("steered", sa.JSON(none_as_null=True), nullable=True))
    op.add_column("trials", sa.Column("origin", sa.JSON(none_as_null=True), nullable=True))
    op.add_column("studies", sa.Column("policies", sa.JSON(), nullable=False, server_default="[]"))
    op.add_column("checkpoints", sa.Column("version", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("checkpoints", sa.Column("pinned", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("reports", sa.Column("leg", sa.Integer(), nullable=False, server_default="0"))
    with op.batch_alter_table("reports") as batch_op:
        batch_op.drop_constraint("pk_reports", type_="primary")
        batch_op.create_primary_key("pk_reports", ["trial_id", "fence", "leg", "step"])
    op.create_table(
        "timeline",
        sa.Column("trial_id", KEY, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("verb", sa.Text(), nullable=False),
        sa.Column("params", sa.JSON(), nullable=False),
        sa.Column("restore", sa.BigInteger(), nullable=True),
        sa.Column("base", sa.Integer(), nullable=True),
        sa.Column("checkpoint", sa.BigInteger(), nullable=True),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("guard", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("watching", sa.Boolean(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("from_step", sa.BigInteger(), nullable=True),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("applied_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["trial_id"], ["trials.id"], name=op.f("fk_timeline_trial_id_trials"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("trial_id", "version", name=op.f("pk_timeline")),
    )
    op.create_table(
        "proposals",
        sa.Column("id", KEY, nullable=False),
        sa.Column("trial_id", KEY, nullable=False),
        sa.Column("policy", sa.Text(), nullable=False),
        sa.Column("params", sa.JSON(), nullable=False),
        sa.Column("restore", sa.BigInteger(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("step", sa.BigInteger(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=True),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["trial_id"], ["trials.id"], name=op.f("fk_proposals_trial_id_trials"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_proposals")),
    )
    op.create_index(op.f("ix_proposals_trial_id"), "proposals", ["trial_id"])


def downgrade() -> None:
    op.drop_table("proposals")
    op.drop_table("timeline")
    op.execute("DELETE FROM reports WHERE leg > 0")
    with op.batch_alter_table("reports") as batch_op:
        batch_op.drop_constraint("pk_reports", type_="primary")
        batch_op.create_primary_key("pk_reports", ["trial_id", "fence", "step"])
        batch_op.drop_column("leg")
    for table, column in (
        ("checkpoints", "pinned"),
        ("checkpoints", "version"),
        ("studies", "policies"),
        ("trials", "origin"),
        ("trials", "steered"),
    ):
        op.drop_column(table, column)
