"""space revisions and replicates

Revision: 20261123_0002, after 20261123_0001. Date: 2026-11-23 02:50:00.
"""

import sqlalchemy as sa
from alembic import op

revision = "20261123_0002"
down_revision = "20261123_0001"
branch_labels = None
depends_on = None

_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    revisions = op.create_table(
        "space_revisions",
        sa.Column("study_id", _KEY, nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("space", sa.JSON(), nullable=False),
        sa.Column("added", sa.JSON(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["study_id"], ["studies.id"], name=op.f("fk_space_revisions_study_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("study_id", "revision", name=op.f("pk_space_revisions")),
    )
    studies = sa.table(
        "studies", sa.column("id"), sa.column("revision"), sa.column("space", sa.JSON()), sa.column("created_at")
    )
    # The spaces that studies were created with: no study has another one yet.
    first = sa.select(
        studies.c.id,
        studies.c.revision,
        studies.c.space,
        sa.literal({}, sa.JSON()),
        sa.literal(0, sa.BigInteger()),
        studies.c.created_at,
    )
    columns = ["study_id", "revision", "space", "added", "seq", "created_at"]
    op.execute(revisions.insert().from_select(columns, first))
    op.add_column("studies", sa.Column("replicates", sa.Integer(), server_default="1", nullable=False))
    op.add_column("trials", sa.Column("group_number", sa.Integer(), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("trials", schema=None) as batch_op:
        batch_op.drop_column("group_number")
    with op.batch_alter_table("studies", schema=None) as batch_op:
        batch_op.drop_column("replicates")
    op.drop_table("space_revisions")
