"""SQL that locks rows to the end of the transaction: the study first, then trials by ascending id.

On PostgreSQL two transactions that lock the same rows in different orders wait for each other until the server aborts
one of them. So a transaction notes what it has locked, and refuses a lock out of order. It does so on SQLite, too,
where the write transaction is the only lock, so that every test finds the mistake.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
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
        found = tx.run(_ONE_TRIAL, {"study": study_id, "number": wanted[0]}).rows
        return _noted(tx, [TrialRow(*row) for row in found])
    return _locked(tx, _TRIALS, {"study": study_id, "numbers": wanted})


def unfinished(tx: Transaction, study_id: StudyId) -> list[TrialRow]:
    """The trials of the study that have not ended, by id."""
    return _locked(tx, _UNFINISHED, {"study": study_id})


def expired(tx: Transaction, study_id: StudyId) -> list[TrialRow]:
    """The running trials of the study whose lease has run out, or would end too late, by id."""
    return _locked(tx, _OF_STUDY.where(leases.has_wrong_end(tx)), {"study": study_id})


def _locked(tx: Transaction, statement: sa.Select[Any], *parameters: Json) -> list[TrialRow]:
    """parameters: of each execution. Several of them only on SQLite, which locks no rows."""
    return _noted(tx, [TrialRow(*row) for one in parameters for row in tx.execute(statement, one)])


def _noted(tx: Transaction, rows: list[TrialRow]) -> list[TrialRow]:
    tx.lock_order.trials([row.id for row in rows])
    return rows


_NAMES: Final = sa.select(studies.c.id, studies.c.name).where(studies.c.name.in_(sa.bindparam("names", expanding=True)))
_NUMBERED: Final = (
    sa.select(trial_table)
    .where(sa.tuple_(trial_table.c.study_id, trial_table.c.number).in_(sa.bindparam("numbered", expanding=True)))
    .order_by(trial_table.c.id)
    .with_for_update()
)


def named(tx: Transaction, wanted: Collection[tuple[str, int]]) -> dict[tuple[str, int], TrialRow]:
    """(study name, number) -> trial, for many studies at once; these rows and no others are locked, by id.

    First their studies are found: joined with those, the databases would read all trials of them. So would SQLite, did
    it look for pairs.
    """
    names = dict(tx.execute(_NAMES, {"names": sorted({name for name, _ in wanted})}).all()) if wanted else {}
    numbers: dict[int, set[int]] = {}
    ids = {name: study_id for study_id, name in names.items()}
    for name, number in wanted:
        if name in ids:
            numbers.setdefault(ids[name], set()).add(number)
    if tx.is_sqlite:
        of_studies = [{"study": one, "numbers": sorted(numbers[one])} for one in sorted(numbers)]
        rows = _locked(tx, _TRIALS, *of_studies)
    else:
        pairs = sorted((one, number) for one in numbers for number in numbers[one])
        rows = _locked(tx, _NUMBERED, {"numbered": pairs}) if pairs else []
    return {(names[row.study_id], row.number): row for row in rows}
