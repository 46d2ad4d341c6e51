"""trials are found by their state in the order in which they are dispatched, and studies that are active

Revision: 20261127_0014, after 20261127_0013. Date: 2026-11-27.
"""

from alembic import op

revision = "20261127_0014"
down_revision = "20261127_0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_index(op.f("ix_trials_state_lease_until"), table_name="trials")
    op.create_index(op.f("ix_trials_state_study_id_number"), "trials", ["state", "study_id", "number"])
    op.create_index(op.f("ix_studies_state"), "studies", ["state"])


def downgrade() -> None:
    op.drop_index(op.f("ix_studies_state"), table_name="studies")
    op.drop_index(op.f("ix_trials_state_study_id_number"), table_name="trials")
    op.create_index(op.f("ix_trials_state_lease_until"), "trials", ["state", "lease_until"])
