"""Whose a lease is, and who may write under it: its holder, and those that act for all (see `server/actors.py`)."""

from __future__ import annotations

import sqlalchemy as sa

from server.store import trials as trial_rows
from server.store.engine import Transaction
from server.store.studies import StudyRow
from server.store.tables import trials
from server.store.trials import TrialRow
from sturgeon.identifiers import Fence
from sturgeon.states import UNFINISHED


def held() -> sa.ColumnElement[bool]:
    """The lease of the fence `held_under` holds, and is that of `held_by` (see `holder`): the trial runs, or its lease
    has run out but nobody has taken it (`lease_until` is kept then)."""
    its_fence = trials.c.fence == sa.bindparam("held_under")
    held_by = sa.bindparam("held_by", type_=sa.Text)
    its_holder = sa.or_(held_by.is_(None), trials.c.leased_to.is_(None), trials.c.leased_to == held_by)
    return sa.and_(its_fence, its_holder, trial_rows.is_in(*UNFINISHED), trials.c.lease_until.is_not(None))


def holder(tx: Transaction) -> str | None:
    """Under whose leases the transaction may write, as `Actor.acts_for` says; None: under all."""
    return None if tx.actor.acts_for_all else tx.actor.leases_as


def is_held(tx: Transaction, row: TrialRow, fence: Fence) -> bool:
    """As `held`, of a row that was read; unless the row is locked, the lease may be lost a moment later."""
    its_lease = row.fence == fence and tx.actor.acts_for(row.leased_to)
    return its_lease and row.state in UNFINISHED and row.lease_until is not None


def is_anothers(tx: Transaction, row: TrialRow, fence: Fence) -> bool:
    """Whether the trial was last leased under the fence, and to somebody for whom this actor may not act."""
    return row.fence == fence and not tx.actor.acts_for(row.leased_to)


def was_held(tx: Transaction, study: StudyRow, trial: TrialRow, fence: Fence) -> bool:
    """Whether this very trial, and none of an earlier study of its name, was once leased under the fence. To whom is
    known of its last lease alone; what comes under an earlier one is kept as evidence, and changes nothing."""
    return study.fence_floor < fence <= trial.fence and not is_anothers(tx, trial, fence)
