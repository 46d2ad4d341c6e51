"""Reading what happened to a trial, and what policies propose for it."""

from __future__ import annotations

from server.services import lookup, views
from server.services.panda import branches
from server.store import proposals, timeline, trials
from server.store.engine import Database, Transaction
from server.store.proposals import ProposalRow
from server.store.studies import StudyRow
from server.store.timeline import EntryRow
from server.store.trials import TrialRow
from sturgeon import messages


def read(database: Database, name: str, number: int) -> messages.Timeline:
    """Raises NotFound."""
    with database.reading() as tx:
        study = lookup.get_study(tx, name)
        trial = lookup.get_trial(tx, study, number)
        entries = timeline.of_trial(tx, trial.id)
        lineage = _lineage(tx, study, trial)
    root = trial.origin or {"number": trial.number, "params": trial.params, "schedule": []}
    changes = [*root["schedule"], *branches.own_schedule(trial, entries)]
    return messages.Timeline(
        items=[_entry(row) for row in entries],
        lineage=lineage,
        start=messages.Start(number=root["number"], params=root["params"], seed=trial.seed),
        schedule=[messages.Change(step=step, params=params) for step, params in changes],
    )


def _lineage(tx: Transaction, study: StudyRow, trial: TrialRow) -> list[messages.Parent]:
    """The parent first, the root of all last."""
    found = []
    child: TrialRow | None = trial
    while child is not None and child.parent_number is not None and child.parent_step is not None:
        found.append(messages.Parent(number=child.parent_number, step=child.parent_step))
        child = trials.find(tx, study.id, child.parent_number)
    return found


def _entry(row: EntryRow) -> messages.TimelineEntry:
    return messages.TimelineEntry(
        version=row.version,
        verb=row.verb,
        params=row.params,
        from_step=row.from_step,
        restore=row.restore,
        actor=row.actor,
        reason=row.reason,
        guard=None if row.guard is None else messages.Guard.model_validate(row.guard),
        checkpoint=row.checkpoint,
        state=row.state,
        at=views.moment(row.at),
        applied_at=None if row.applied_at is None else views.moment(row.applied_at),
    )


def listed_proposals(database: Database, name: str, number: int) -> messages.Page[messages.Proposal]:
    """Raises NotFound."""
    with database.reading() as tx:
        trial = lookup.get_trial(tx, lookup.get_study(tx, name), number)
        return messages.Page(items=[proposal(row) for row in proposals.of_trial(tx, trial.id)])


def proposal(row: ProposalRow) -> messages.Proposal:
    return messages.Proposal(
        id=row.id,
        policy=row.policy,
        params=row.params,
        restore=row.restore,
        reason=row.reason,
        step=row.step,
        state=row.state,
        version=row.version,
        at=views.moment(row.at),
    )
