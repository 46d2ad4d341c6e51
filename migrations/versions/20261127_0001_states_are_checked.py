"""a trial's state is tied to its lease and its end by CHECK constraints; plain names for columns and tables

Revision: 20261127_0001, after 20261123_0007. Date: 2026-11-27.
"""

import sqlalchemy as sa
from alembic import op

revision = "20261127_0001"
down_revision = "20261123_0007"
branch_labels = None
depends_on = None

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
RENAMED = (
    ("trials", "alone", "unstackable"),
    ("trials", "place", "location"),
    ("trials", "guess", "predicted_value"),
    ("trials", "steered", "live_overrides"),
    ("reports", "leg", "rollback_generation"),
)
ENDED = "state IN ('complete', 'pruned', 'diverged', 'failed', 'cancelled')"
CHECKS = {
    "state_known": f"state IN ('queued', 'running', 'paused') OR {ENDED}",
    "running_is_leased": "state <> 'running' OR (lease_until IS NOT NULL AND lease_us IS NOT NULL)",
    "ended_left": f"({ENDED}) = (left_seq IS NOT NULL)",
    "ended_finished": f"({ENDED}) = (finished_at IS NOT NULL)",
    "cancelled_is_not_leased": "state <> 'cancelled' OR lease_until IS NULL",
    "fence_counts_up": "fence >= 0",
}


def upgrade() -> None:
    for table, old, new in RENAMED:
        op.execute(f"ALTER TABLE {table} RENAME COLUMN {old} TO {new}")
    _create_rung_scores("rung_scores")
    op.execute("INSERT INTO rung_scores SELECT study_id, epoch, trial_id, score FROM standings")
    op.drop_table("standings")
    _create_requeue_gaps("requeue_gaps")
    op.execute(
        "INSERT INTO requeue_gaps (trial_id, left_seq, back_seq) SELECT trial_id, left_seq, back_seq FROM absences"
    )
    op.drop_table("absences")
    with op.batch_alter_table("trials") as batch_op:
        for name, condition in CHECKS.items():
            batch_op.create_check_constraint(op.f(f"ck_trials_{name}"), condition)


def downgrade() -> None:
    with op.batch_alter_table("trials") as batch_op:
        for name in CHECKS:
            batch_op.drop_constraint(op.f(f"ck_trials_{name}"), type_="check")
    _create_requeue_gaps("absences")
    op.execute(
        "INSERT INTO absences (trial_id, left_seq, back_seq) SELECT trial_id, left_seq, back_seq FROM requeue_gaps"
    )
    op.drop_table("requeue_gaps")
    _create_rung_scores("standings")
    op.execute("INSERT INTO standings SELECT study_id, epoch, trial_id, score FROM rung_scores")
    op.drop_table("rung_scores")
    for table, old, new in RENAMED:
        op.execute(f"ALTER TABLE {table} RENAME COLUMN {new} TO {old}")


def _go_on_counting(table: str) -> None:
    """PostgreSQL's sequence does not know of rows that were inserted with their ids."""
    if op.get_bind().dialect.name == "postgresql":
        op.execute(f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), max(id)) FROM {table}")


def _create_rung_scores(name: str) -> None:
    op.create_table(
        name,
        sa.Column("study_id", KEY, nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("trial_id", KEY, nullable=False),
        sa.Column("score", sa.Double(), nullable=True),
        sa.ForeignKeyConstraint(["study_id"], ["studies.id"], name=op.f(f"fk_{name}_study_id"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["trial_id"], ["trials.id"], name=op.f(f"fk_{name}_trial_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("study_id", "epoch", "trial_id", name=op.f(f"pk_{name}")),
    )
    op.create_index(op.f(f"ix_{name}_trial_id"), name, ["trial_id"])


def _create_requeue_gaps(name: str) -> None:
    op.create_table(
        name,
        sa.Column("id", KEY, nullable=False),
        sa.Column("trial_id", KEY, nullable=False),
        sa.Column("left_seq", sa.BigInteger(), nullable=False),
        sa.Column("back_seq", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["trial_id"], ["trials.id"], name=op.f(f"fk_{name}_trial_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f(f"pk_{name}")),
    )
    op.create_index(op.f(f"ix_{name}_trial_id"), name, ["trial_id"])
