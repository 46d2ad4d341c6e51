"""SQL on proposals: what policies would change of a trial."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

import sqlalchemy as sa

from server.store.engine import Transaction
from server.store.json_columns import Json
from server.store.tables import proposals
from sturgeon.identifiers import Step, TrialId, Version
from sturgeon.messages.steering import ProposalState


@dataclass(frozen=True)
class ProposalRow:
    """A row of `proposals`."""

    id: int
    trial_id: TrialId
    policy: str
    params: Json
    restore: Step | None
    reason: str
    step: Step | None
    state: ProposalState
    version: Version | None
    at: int


def insert(tx: Transaction, values: Json) -> ProposalRow:
    row = tx.execute(proposals.insert().values(values).returning(proposals)).one()
    return ProposalRow(**row._mapping)


def of_trial(tx: Transaction, trial_id: TrialId) -> list[ProposalRow]:
    """All proposals, the oldest first."""
    statement = sa.select(proposals).where(proposals.c.trial_id == trial_id).order_by(proposals.c.id)
    return [ProposalRow(**row._mapping) for row in tx.execute(statement)]


class Summary(NamedTuple):
    """Of a policy's proposals for a trial: whether one is open, the newest step, and how many were accepted."""

    is_open: bool
    newest_step: int | None
    accepted: int


NOTHING: Final = Summary(is_open=False, newest_step=None, accepted=0)


def summaries(tx: Transaction, trial_id: TrialId) -> dict[str, Summary]:
    """Policy -> what it has proposed for the trial; a policy that has proposed nothing is not in it."""
    statement = sa.select(
        proposals.c.policy,
        sa.func.max(sa.case((proposals.c.state == "open", 1), else_=0)),
        sa.func.max(sa.func.coalesce(proposals.c.step, 0)),
        sa.func.sum(sa.case((proposals.c.state == "accepted", 1), else_=0)),
    ).where(proposals.c.trial_id == trial_id)
    found = tx.execute(statement.group_by(proposals.c.policy))
    return {policy: Summary(bool(is_open), newest, accepted) for policy, is_open, newest, accepted in found}


def find(tx: Transaction, trial_id: TrialId, proposal: int) -> ProposalRow | None:
    statement = sa.select(proposals).where(proposals.c.trial_id == trial_id, proposals.c.id == proposal)
    row = tx.execute(statement).one_or_none()
    return None if row is None else ProposalRow(**row._mapping)


def update(tx: Transaction, proposal: int, **values: object) -> ProposalRow:
    statement = proposals.update().where(proposals.c.id == proposal).values(**values).returning(proposals)
    return ProposalRow(**tx.execute(statement).one()._mapping)


def outdate(tx: Transaction, trial_id: TrialId) -> None:
    """Open proposals were made for a run that is steered otherwise now, or has ended."""
    open_ = sa.and_(proposals.c.trial_id == trial_id, proposals.c.state == "open")
    tx.execute(proposals.update().where(open_).values(state="outdated"))
