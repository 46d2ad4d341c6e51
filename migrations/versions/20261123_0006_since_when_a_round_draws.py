"""since when a round draws: rounds that are kept late stand where they began

Revision: 20261123_0006, after 20261123_0005.
"""

import sqlalchemy as sa
from alembic import op

revision = "20261123_0006"
down_revision = "20261123_0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("rounds", sa.Column("seq", sa.BigInteger(), nullable=False, server_default="0"))


def downgrade() -> None:
    op.drop_column("rounds", "seq")
