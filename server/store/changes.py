"""SQL on what has changed since a moment (see `change_numbers.py`)."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

from server.store import change_numbers
from server.store.engine import Transaction
from server.store.tables import events, studies, trials
from sturgeon.identifiers import StudyId

_LAST: Final = sa.text("SELECT coalesce(max(last), 0) FROM change_count")
_SNAPSHOT: Final = sa.text("SELECT CAST(pg_current_snapshot() AS TEXT)")


def moment(tx: Transaction) -> str:
    """The moment of what this transaction reads."""
    return str(tx.execute(_LAST if tx.is_sqlite else _SNAPSHOT).scalar_one())


def trials_since(study_id: StudyId, moment: str) -> sa.ColumnElement[bool]:
    """Whether a trial is of this study, and has changed. Found by the index of changes, not by that of the study, which
    would have SQLite read all of its trials: they are mostly few changes."""
    return sa.and_(change_numbers.since(trials.c.changed, moment), trials.c.study_id + 0 == study_id)


def studies_since(tx: Transaction, moment: str) -> set[StudyId]:
    """The studies of which the row or a trial has changed."""
    # Made distinct here: for DISTINCT SQLite would rather read an index on studies, and with it all trials.
    of_trials = sa.select(trials.c.study_id).where(change_numbers.since(trials.c.changed, moment))
    of_studies = sa.select(studies.c.id).where(change_numbers.since(studies.c.changed, moment))
    return {*tx.execute(of_trials).scalars(), *tx.execute(of_studies).scalars()}


def forget_foreign(tx: Transaction) -> None:
    """Let rows that came with the dump of another database count as not changed. Else they would count as changed until
    the transactions of this one have come to their numbers."""
    if not tx.is_sqlite:
        for table in (studies, trials, events):
            tx.execute(table.update().where(change_numbers.is_foreign(table.c.changed)).values(changed=0))
