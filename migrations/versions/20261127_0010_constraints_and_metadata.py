"""constraints between parameters; tags, notes, and the code and the data of studies and trials

Revision: 20261127_0010, after 20261127_0009. Date: 2026-11-27.
"""

import sqlalchemy as sa
from alembic import op

revision = "20261127_0010"
down_revision = "20261127_0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for table in ("studies", "space_revisions"):
        op.add_column(table, sa.Column("constraints", sa.JSON(), nullable=False, server_default="[]"))
    for table in ("studies", "trials"):
        op.add_column(table, sa.Column("tags", sa.JSON(), nullable=False, server_default="[]"))
        op.add_column(table, sa.Column("notes", sa.Text(), nullable=False, server_default=""))
        op.add_column(table, sa.Column("code_version", sa.JSON(), nullable=True))
        op.add_column(table, sa.Column("data_version", sa.JSON(), nullable=True))


def downgrade() -> None:
    for table in ("studies", "trials"):
        for column in ("data_version", "code_version", "notes", "tags"):
            op.drop_column(table, column)
    for table in ("space_revisions", "studies"):
        op.drop_column(table, "constraints")
