"""indexes of the best trials, and of the results that samplers see

Revision: 20261127_0013, after 20261127_0012. Date: 2026-11-27.
"""

import sqlalchemy as sa
from alembic import op

revision = "20261127_0013"
down_revision = "20261127_0012"
branch_labels = None
depends_on = None

INDEXES = {
    "best": (
        ["study_id", "value", "number"],
        "state = 'complete' AND invalid_reason IS NULL AND value IS NOT NULL",
    ),
    "pruned": (
        ["study_id", "predicted_value", "number"],
        "state = 'pruned' AND invalid_reason IS NULL AND predicted_value IS NOT NULL",
    ),
    "results": (
        ["study_id", "left_seq"],
        "state IN ('complete', 'pruned', 'diverged') AND mode = 'caviar' AND live_overrides IS NULL "
        "AND invalid_seq IS NULL",
    ),
    "invalid": (["study_id", "invalid_seq"], "invalid_seq IS NOT NULL"),
}


def upgrade() -> None:
    for name, (columns, where) in INDEXES.items():
        condition = sa.text(where)
        op.create_index(f"ix_trials_{name}", "trials", columns, sqlite_where=condition, postgresql_where=condition)


def downgrade() -> None:
    for name in INDEXES:
        op.drop_index(f"ix_trials_{name}", table_name="trials")
