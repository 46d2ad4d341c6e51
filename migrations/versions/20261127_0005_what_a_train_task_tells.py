"""what a train task tells is stored as it was done: its best epoch, where checkpoints of the best are kept

Revision: 20261127_0005, after 20261127_0004. Date: 2026-11-27.
"""

import sqlalchemy as sa
from alembic import op

revision = "20261127_0005"
down_revision = "20261127_0004"
branch_labels = None
depends_on = None

studies = sa.table("studies", sa.column("id", sa.Integer), sa.column("task", sa.JSON), sa.column("reduce", sa.Text))


def upgrade() -> None:
    told_best = [
        study for study, task in op.get_bind().execute(sa.select(studies.c.id, studies.c.task)) if _tells_best(task)
    ]
    op.execute(studies.update().where(studies.c.id.in_(told_best)).values(reduce="best"))


def downgrade() -> None:
    """Before, the column said nothing of train tasks; what they tell followed from the task alone."""


def _tells_best(task: object) -> bool:
    """The workers told the best epoch of a run that kept it, and the newest model of a stream."""
    if not isinstance(task, dict) or str(task.get("dataset", "")).startswith("stream:"):
        return False
    checkpoints = task.get("checkpoints")
    return isinstance(checkpoints, dict) and checkpoints.get("best", 1) > 0
