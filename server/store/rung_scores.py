"""SQL on rung scores: how good each trial was when a pruning rule looked at it, one row a trial and epoch."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

from server.store.engine import Transaction
from server.store.tables import rung_scores, trials
from sturgeon.identifiers import StudyId, TrialId


def insert(tx: Transaction, study_id: StudyId, epoch: int, trial_id: TrialId, score: float | None) -> None:
    """Store the score; the first one of an epoch stays, since a run that starts again passes its epochs again."""
    values = {"study_id": study_id, "epoch": epoch, "trial_id": trial_id, "score": score}
    tx.execute(tx.insert_new(rung_scores, "study_id", "epoch", "trial_id"), values)


def delete_after(tx: Transaction, trial_id: TrialId, epoch: float) -> None:
    """Delete the trial's scores at later epochs: the run that had them counts no more."""
    tx.execute(rung_scores.delete().where(rung_scores.c.trial_id == trial_id, rung_scores.c.epoch > epoch))


_OTHERS: Final = (
    sa.select(rung_scores.c.score)
    .join(trials, trials.c.id == rung_scores.c.trial_id)
    .where(
        rung_scores.c.study_id == sa.bindparam("study"),
        rung_scores.c.epoch == sa.bindparam("epoch"),
        rung_scores.c.trial_id != sa.bindparam("trial"),
        trials.c.invalid_reason.is_(None),
    )
)


def others(tx: Transaction, study_id: StudyId, epoch: int, trial_id: TrialId) -> list[float | None]:
    """The scores at this epoch of all other trials of the study that are not invalid."""
    return list(tx.execute(_OTHERS, {"study": study_id, "epoch": epoch, "trial": trial_id}).scalars())
