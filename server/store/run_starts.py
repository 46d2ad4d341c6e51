"""SQL on where the runs of a trial began."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
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


def newest_from_scratch(tx: Transaction, trial_id: TrialId) -> Fence:
    """The fence of the newest run that began from the start; 0, below all fences, for a trial's first run."""
    from_scratch = sa.and_(run_starts.c.trial_id == trial_id, run_starts.c.step == FROM_SCRATCH)
    newest = tx.execute(sa.select(sa.func.max(run_starts.c.fence)).where(from_scratch)).scalar_one()
    return Fence(newest or 0)


_OF_TRIALS: Final = sa.select(run_starts).where(run_starts.c.trial_id.in_(sa.bindparam("ids", expanding=True)))


def of_trials(tx: Transaction, ids: Collection[TrialId]) -> dict[TrialId, dict[Fence, Step]]:
    """As `of_trial`, of each of these trials that has any."""
    found: dict[TrialId, dict[Fence, Step]] = defaultdict(dict)
    for trial_id, fence, step in tx.execute(_OF_TRIALS, {"ids": list(ids)}):
        found[trial_id][fence] = step
    return found
