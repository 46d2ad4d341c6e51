"""SQL on findings: what a run, or a person, found out about a trial's model."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from server.store.engine import Transaction
from server.store.tables import findings
from sturgeon.identifiers import TrialId


def replace(tx: Transaction, trial_id: TrialId, kind: str, body: dict[str, Any], now: int) -> None:
    """Keep it instead of what stood there."""
    here = sa.and_(findings.c.trial_id == trial_id, findings.c.kind == kind)
    tx.execute(findings.delete().where(here))
    tx.execute(findings.insert().values(trial_id=trial_id, kind=kind, body=body, at=now))


def find(tx: Transaction, trial_id: TrialId, kind: str) -> dict[str, Any] | None:
    statement = sa.select(findings.c.body).where(findings.c.trial_id == trial_id, findings.c.kind == kind)
    body: dict[str, Any] | None = tx.execute(statement).scalar_one_or_none()
    return body
