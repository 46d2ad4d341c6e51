"""SQL on findings: what a run, or a person, has found out about a trial's model."""

from __future__ import annotations

import sqlalchemy as sa

from server.store.engine import Transaction
from server.store.json_columns import Json
from server.store.tables import findings
from sturgeon.identifiers import TrialId


def replace(tx: Transaction, trial_id: TrialId, kind: str, body: Json, now: int) -> None:
    """Store the finding; an earlier one of its kind is deleted."""
    here = sa.and_(findings.c.trial_id == trial_id, findings.c.kind == kind)
    tx.execute(findings.delete().where(here))
    tx.execute(findings.insert().values(trial_id=trial_id, kind=kind, body=body, at=now))


def at(tx: Transaction, trial_id: TrialId) -> dict[str, int]:
    """When each kind of finding that the trial has was stored last."""
    statement = sa.select(findings.c.kind, findings.c.at).where(findings.c.trial_id == trial_id)
    return dict(tx.execute(statement.order_by(findings.c.kind)).all())


def find(tx: Transaction, trial_id: TrialId, kind: str) -> Json | None:
    """The trial's finding of this kind."""
    statement = sa.select(findings.c.body).where(findings.c.trial_id == trial_id, findings.c.kind == kind)
    body: Json | None = tx.execute(statement).scalar_one_or_none()
    return body
