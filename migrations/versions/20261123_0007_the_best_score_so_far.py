"""the best score that a trial has reported so far, which pruning compares others with

Revision: 20261123_0007, after 20261123_0006. Date: 2026-11-23.
"""

import sqlalchemy as sa
from alembic import op

revision = "20261123_0007"
down_revision = "20261123_0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("trials", sa.Column("best_score", sa.Double(), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("trials", schema=None) as batch_op:
        batch_op.drop_column("best_score")
