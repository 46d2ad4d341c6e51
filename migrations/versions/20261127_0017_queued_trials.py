"""queued trials have an index of their own, by study

Revision: 20261127_0017, after 20261127_0016. Date: 2026-11-27.
"""

import sqlalchemy as sa
from alembic import op

revision = "20261127_0017"
down_revision = "20261127_0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    is_queued = sa.text("state = 'queued'")
    op.create_index(
        "ix_trials_queued", "trials", ["study_id", "number"], sqlite_where=is_queued, postgresql_where=is_queued
    )


def downgrade() -> None:
    op.drop_index("ix_trials_queued", table_name="trials")
