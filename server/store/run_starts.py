"""SQL on where the runs of a trial began."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

from server.store.engine import Transaction
from server.store.tables import run_starts
from sturgeon.identifiers import Fence, Step, TrialId

FROM_SCRATCH: Final = Step(-1)
"""Before every step: the run reports also what it is before its first step."""


def insert(tx: Transaction, trial_id: TrialId, fence: Fence, step: Step) -> None:
    tx.execute(run_starts.insert().values(trial_id=trial_id, fence=fence, step=step))


def of_trial(tx: Transaction, trial_id: TrialId) -> dict[Fence, Step]:
    """By fence, the step of the checkpoint that the run went on from. A trial's first run is not in it."""
    statement = sa.select(run_starts.c.fence, run_starts.c.step).where(run_starts.c.trial_id == trial_id)
    return dict(tx.execute(statement).all())
