"""what the ended trials of a large study come to

Revision: 20261127_0015, after 20261127_0014. Date: 2026-11-27.
"""

import sqlalchemy as sa
from alembic import op

revision = "20261127_0015"
down_revision = "20261127_0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "ended_sums",
        sa.Column(
            "study_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False
        ),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("amounts", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["study_id"], ["studies.id"], name=op.f("fk_ended_sums_study_id_studies"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("study_id", name=op.f("pk_ended_sums")),
    )


def downgrade() -> None:
    op.drop_table("ended_sums")
