"""how samples are drawn: the sampler's options, numerics, rounds

Studies and trials of before were drawn by random search, which has no options; their numerics were not recorded.

Revision: 20261123_0003, after 20261123_0002.
"""

import sqlalchemy as sa
from alembic import op

revision = "20261123_0003"
down_revision = "20261123_0002"
branch_labels = None
depends_on = None

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column("studies", sa.Column("sampler_options", sa.JSON(), nullable=False, server_default="{}"))
    op.add_column("trials", sa.Column("numerics", sa.Text(), nullable=True))
    op.create_table(
        "numerics",
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("facts", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("fingerprint", name=op.f("pk_numerics")),
    )
    op.create_table(
        "rounds",
        sa.Column("id", KEY, nullable=False),
        sa.Column("study_id", KEY, nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("learnt_from", sa.Text(), nullable=False),
        sa.Column("body", sa.JSON(), nullable=False),
        sa.Column("numerics", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["study_id"], ["studies.id"], name=op.f("fk_rounds_study_id_studies"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rounds")),
        sa.UniqueConstraint(
            "study_id",
            "revision",
            "number",
            "learnt_from",
            name=op.f("uq_rounds_study_id_revision_number_learnt_from"),
        ),
    )


def downgrade() -> None:
    op.drop_table("rounds")
    op.drop_table("numerics")
    op.drop_column("trials", "numerics")
    op.drop_column("studies", "sampler_options")
