"""fences, versions and ids of deleted studies are not given again; keys go with their study; late results have a size

Revision: 20261127_0004, after 20261127_0003. Date: 2026-11-27.
"""

import sqlalchemy as sa
from alembic import op

revision = "20261127_0004"
down_revision = "20261127_0003"
branch_labels = None
depends_on = None

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
NUMBERED = ("studies", "proposals", "late_results", "events")


def upgrade() -> None:
    op.create_table(
        "floors",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("fence", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_floors")),
    )
    with op.batch_alter_table("studies") as batch_op:
        batch_op.add_column(sa.Column("fence_floor", sa.Integer(), server_default="0", nullable=False))
        batch_op.add_column(sa.Column("version_floor", sa.Integer(), server_default="0", nullable=False))
    with op.batch_alter_table("late_results") as batch_op:
        batch_op.add_column(sa.Column("size", sa.BigInteger(), server_default="0", nullable=False))
    op.execute(f"UPDATE late_results SET size = length({'body' if _is_sqlite() else 'body::text'})")
    # Nobody knows which study a stored key belongs to.
    op.execute("DELETE FROM idempotency_keys")
    with op.batch_alter_table("idempotency_keys") as batch_op:
        batch_op.add_column(sa.Column("study_id", KEY, nullable=True))
        batch_op.create_foreign_key(
            op.f("fk_idempotency_keys_study_id"), "studies", ["study_id"], ["id"], ondelete="CASCADE"
        )
        batch_op.create_index(op.f("ix_idempotency_keys_study_id"), ["study_id"])
    _number(sqlite_autoincrement=True)


def downgrade() -> None:
    _number(sqlite_autoincrement=False)
    with op.batch_alter_table("idempotency_keys") as batch_op:
        batch_op.drop_index(op.f("ix_idempotency_keys_study_id"))
        batch_op.drop_constraint(op.f("fk_idempotency_keys_study_id"), type_="foreignkey")
        batch_op.drop_column("study_id")
    with op.batch_alter_table("late_results") as batch_op:
        batch_op.drop_column("size")
    with op.batch_alter_table("studies") as batch_op:
        batch_op.drop_column("version_floor")
        batch_op.drop_column("fence_floor")
    op.drop_table("floors")


def _is_sqlite() -> bool:
    return op.get_bind().dialect.name == "sqlite"


def _number(*, sqlite_autoincrement: bool) -> None:
    """Whether SQLite may give an id again whose row was deleted. PostgreSQL never does."""
    if _is_sqlite():
        for table in NUMBERED:
            with op.batch_alter_table(
                table, recreate="always", table_kwargs={"sqlite_autoincrement": sqlite_autoincrement}
            ):
                pass
