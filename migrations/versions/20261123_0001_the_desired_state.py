"""the desired state of a trial, and what of it was applied

Revision: 20261123_0001, after 20261122_0001. Date: 2026-11-23.
"""

import sqlalchemy as sa
from alembic import op

revision = "20261123_0001"
down_revision = "20261122_0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("trials", sa.Column("desired", sa.JSON(none_as_null=True), nullable=True))
    op.add_column("trials", sa.Column("applied_version", sa.Integer(), nullable=True))
    op.add_column("trials", sa.Column("applied_step", sa.BigInteger(), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("trials") as batch_op:
        batch_op.drop_column("applied_step")
        batch_op.drop_column("applied_version")
        batch_op.drop_column("desired")
