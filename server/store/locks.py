"""SQL that locks rows to the end of the transaction: the study first, then trials by ascending id.

On PostgreSQL two transactions that lock the same rows in different orders wait for each other until the server aborts
one of them. So a transaction notes what it has locked, and refuses a lock out of order. It does so on SQLite, too,
where the write transaction is the only lock, so that every test finds the mistake.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

import sqlalchemy as sa

from server.store import leases
from server.store.engine import Transaction
from server.store.json_columns import Json
from server.store.tables import studies
from server.store.tables import trials as trial_table
from server.store.trials import TrialRow
from sturgeon.identifiers import StudyId

_OF_STUDY: Final = (
    sa.select(trial_table)
    .where(trial_table.c.study_id == sa.bindparam("study"))
    .order_by(trial_table.c.id)
    .with_for_update()
)
_ONE_TRIAL: Final = _OF_STUDY.where(trial_table.c.number == sa.bindparam("number"))
_TRIALS: Final = _OF_STUDY.where(trial_table.c.number.in_(sa.bindparam("numbers", expanding=True)))
_UNFINISHED: Final = _OF_STUDY.where(trial_table.c.left_seq.is_(None))


def trials_of(tx: Transaction, study_id: StudyId, numbers: Iterable[int]) -> list[TrialRow]:
    """Those of these trials that exist, by id."""
    wanted = sorted(set(numbers))
    if len(wanted) == 1:  # by far the most calls, and a list of parameters takes time to write out
        return _locked(tx, _ONE_TRIAL, {"study": study_id, "number": wanted[0]})
    return _locked(tx, _TRIALS, {"study": study_id, "numbers": wanted})


def unfinished(tx: Transaction, study_id: StudyId) -> list[TrialRow]:
    """The trials of the study that have not ended, by id."""
    return _locked(tx, _UNFINISHED, {"study": study_id})


def expired(tx: Transaction, study_id: StudyId) -> list[TrialRow]:
    """The running trials of the study whose lease has run out, or would end too late, by id."""
    return _locked(tx, _OF_STUDY.where(leases.has_wrong_end(tx)), {"study": study_id})


def _locked(tx: Transaction, statement: sa.Select[Any], parameters: Json) -> list[TrialRow]:
    rows = [TrialRow(*row) for row in tx.execute(statement, parameters)]
    tx.lock_order.trials([row.id for row in rows])
    return rows


def named(tx: Transaction, wanted: Sequence[tuple[str, int]]) -> dict[tuple[str, int], TrialRow]:
    """(study name, number) -> trial, for many studies at once; these rows and no others are locked, by id."""
    columns: list[sa.ColumnElement[Any]] = [studies.c.name.label("study_name"), *trial_table.c]
    statement = (
        sa.select(*columns)
        .join(studies, studies.c.id == trial_table.c.study_id)
        .where(sa.tuple_(studies.c.name, trial_table.c.number).in_(list(wanted)))
        .order_by(trial_table.c.id)
        .with_for_update(of=trial_table)
    )
    trials = {}
    for row in tx.execute(statement):
        fields = dict(row._mapping)
        name = fields.pop("study_name")
        trials[name, row.number] = TrialRow(**fields)
    tx.lock_order.trials([row.id for row in trials.values()])
    return trials
