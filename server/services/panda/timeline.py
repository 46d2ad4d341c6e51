"""Reading what happened to a trial, and what policies propose for it."""

from __future__ import annotations

from server.services import lookup, views
from server.services.panda import branches
from server.services.runs.resume import CHECKPOINT_LOST
from server.store import events, proposals, timeline, trials
from server.store.engine import Database, Transaction
from server.store.studies import StudyRow
from server.store.trials import TrialRow
from sturgeon import messages
from sturgeon.identifiers import TrialNumber


def read(database: Database, name: str, number: TrialNumber) -> messages.Timeline:
    """Raises: NotFound."""
    with database.reading() as tx:
        study = lookup.get_study(tx, name)
        trial = lookup.get_trial(tx, study, number)
        entries = timeline.of_trial(tx, trial.id)
        lineage = _lineage(tx, study, trial)
        lost = events.of_kind(tx, study.id, CHECKPOINT_LOST, number)
    root = trial.origin or {"number": trial.number, "params": trial.params, "schedule": []}
    changes = [*root["schedule"], *branches.own_schedule(trial, entries)]
    return messages.Timeline(
        items=[views.timeline_entry(row) for row in entries],
        lineage=lineage,
        start=messages.Start(number=root["number"], params=root["params"], seed=trial.seed),
        schedule=[messages.Change(step=step, params=params) for step, params in changes],
        lost=[messages.LostCheckpoint.model_validate(one.detail | {"at": views.moment(one.at)}) for one in lost],
    )


def _lineage(tx: Transaction, study: StudyRow, trial: TrialRow) -> list[messages.Parent]:
    """The parent first, the root of all last."""
    found = []
    child: TrialRow | None = trial
    while child is not None and child.parent_number is not None and child.parent_step is not None:
        found.append(messages.Parent(number=child.parent_number, step=child.parent_step))
        child = trials.find(tx, study.id, child.parent_number)
    return found


def list_proposals(database: Database, name: str, number: TrialNumber) -> messages.Page[messages.Proposal]:
    """Raises: NotFound."""
    with database.reading() as tx:
        trial = lookup.get_trial(tx, lookup.get_study(tx, name), number)
        return messages.Page(items=[views.proposal(row) for row in proposals.of_trial(tx, trial.id)])
