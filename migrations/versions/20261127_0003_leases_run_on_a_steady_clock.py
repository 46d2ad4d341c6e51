"""leases run on a clock that does not step: its offset from the database's clock

Revision: 20261127_0003, after 20261127_0002. Date: 2026-11-27.
"""

import sqlalchemy as sa
from alembic import op

revision = "20261127_0003"
down_revision = "20261127_0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "steady_clock",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("steps", sa.BigInteger(), nullable=False),
        sa.Column("offset_us", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_steady_clock_one_row")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_steady_clock")),
    )


def downgrade() -> None:
    op.drop_table("steady_clock")
