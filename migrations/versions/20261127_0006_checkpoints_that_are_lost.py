"""when it was noticed that a checkpoint's file is gone or damaged

Revision: 20261127_0006, after 20261127_0005. Date: 2026-11-27.
"""

import sqlalchemy as sa
from alembic import op

revision = "20261127_0006"
down_revision = "20261127_0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("checkpoints", sa.Column("lost_at", sa.BigInteger(), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("checkpoints") as batch_op:
        batch_op.drop_column("lost_at")
