"""the studies that a token is for, as prefixes of their names; null: all

Revision: 20261128_0019, after 20261128_0018. Date: 2026-11-28.
"""

import sqlalchemy as sa
from alembic import op

revision = "20261128_0019"
down_revision = "20261128_0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("tokens", sa.Column("studies", sa.JSON(none_as_null=True)))


def downgrade() -> None:
    # Without the column such a token would be for all studies.
    op.execute("DELETE FROM tokens WHERE studies IS NOT NULL")
    op.drop_column("tokens", "studies")
