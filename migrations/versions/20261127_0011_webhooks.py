"""webhooks, and the outbox of what they are told

Revision: 20261127_0011, after 20261127_0010. Date: 2026-11-27.
"""

import sqlalchemy as sa
from alembic import op

revision = "20261127_0011"
down_revision = "20261127_0010"
branch_labels = None
depends_on = None

_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "webhooks",
        sa.Column("id", _KEY, primary_key=True),
        sa.Column("study_id", _KEY, sa.ForeignKey("studies.id", ondelete="CASCADE")),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("events", sa.JSON(), nullable=False),
        sa.Column("secret", sa.Text(), nullable=False),
        sa.Column("free_at", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("failures", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_webhooks_study_id", "webhooks", ["study_id"])
    op.create_table(
        "deliveries",
        sa.Column("id", _KEY, primary_key=True),
        sa.Column("webhook_id", _KEY, sa.ForeignKey("webhooks.id", ondelete="CASCADE"), nullable=False),
        sa.Column("message_id", sa.Text(), nullable=False),
        sa.Column("event", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("status", sa.Integer()),
        sa.Column("error", sa.Text()),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.UniqueConstraint("message_id"),
        sa.CheckConstraint("state IN ('waiting', 'delivered', 'given_up')", "state_known"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_deliveries_webhook_id_state_due_at", "deliveries", ["webhook_id", "state", "due_at"])
    op.create_table(
        "told_best",
        sa.Column("study_id", _KEY, sa.ForeignKey("studies.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("number", sa.Integer()),
    )


def downgrade() -> None:
    op.drop_table("told_best")
    op.drop_table("deliveries")
    op.drop_table("webhooks")
