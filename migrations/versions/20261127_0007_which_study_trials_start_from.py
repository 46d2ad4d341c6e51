"""the study whose trial a study's trials start from: another one may get its name

Revision: 20261127_0007, after 20261127_0006. Date: 2026-11-27.
"""

import sqlalchemy as sa
from alembic import op

revision = "20261127_0007"
down_revision = "20261127_0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("studies", sa.Column("source_study_id", sa.BigInteger(), nullable=True))


def downgrade() -> None:
    op.drop_column("studies", "source_study_id")
