"""Finding studies and trials, and locking their rows.

Every service that locks a row does so here, in one order: first the study, then its trials by ascending id. Two
transactions that both keep to it cannot wait for each other in a circle. `server.store.locks` refuses another order.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from server.store import locks, study_reading, trials
from server.store.engine import Transaction
from server.store.studies import StudyRow
from server.store.trials import TrialRow
from sturgeon.errors import NotFound
from sturgeon.identifiers import TrialNumber


def get_study(tx: Transaction, name: str) -> StudyRow:
    """The study, not locked. Raises: NotFound."""
    return _found_study(study_reading.find(tx, name), name)


def lock_study(tx: Transaction, name: str) -> StudyRow:
    """The study, its row locked to the end of the transaction; before any trial. Raises: NotFound."""
    return _found_study(study_reading.lock(tx, name), name)


def lock_for_ask(tx: Transaction, name: str, key: str | None) -> study_reading.Asked:
    """As `lock_study`, with what an ask has to know beside. key: its idempotency key. Raises: NotFound."""
    asked = study_reading.lock_for_ask(tx, name, key)
    if asked is None:
        raise _no_study(name)
    return asked


def lock_study_or_none(tx: Transaction, name: str) -> StudyRow | None:
    """As `lock_study`, for duties in the background: the study may have been deleted meanwhile."""
    return study_reading.lock(tx, name)


def get_trial(tx: Transaction, study: StudyRow, number: TrialNumber) -> TrialRow:
    """The trial, not locked. Raises: NotFound."""
    return _found_trial(trials.find(tx, study.id, number), study, number)


def get_study_and_trial(tx: Transaction, name: str, number: TrialNumber) -> tuple[StudyRow, TrialRow]:
    """Both in one statement, not locked. Raises: NotFound."""
    study, trial = study_reading.find_with_trial(tx, name, number)
    study = _found_study(study, name)
    return study, _found_trial(trial, study, number)


def lock_trial(tx: Transaction, study: StudyRow, number: TrialNumber) -> TrialRow:
    """The trial, its row locked to the end of the transaction. Raises: NotFound."""
    return _found_trial(lock_trials(tx, study, [number]).get(number), study, number)


def lock_trials(tx: Transaction, study: StudyRow, numbers: Iterable[int]) -> dict[int, TrialRow]:
    """By number, those of these trials that exist; their rows locked by ascending id."""
    return {row.number: row for row in locks.trials_of(tx, study.id, numbers)}


def lock_unfinished(tx: Transaction, study: StudyRow) -> list[TrialRow]:
    """The study's trials that have not ended, by number; their rows locked by ascending id."""
    return sorted(locks.unfinished(tx, study.id), key=lambda row: row.number)


def lock_expired(tx: Transaction, study: StudyRow) -> list[TrialRow]:
    """The study's running trials whose lease has run out, or would end too late, by number; their rows locked by
    ascending id."""
    return sorted(locks.expired(tx, study.id), key=lambda row: row.number)


def lock_leased(tx: Transaction, wanted: Sequence[tuple[str, int]]) -> dict[tuple[str, int], TrialRow]:
    """(study name, number) -> trial, of those that exist, in any number of studies; rows locked by ascending id."""
    return locks.named(tx, wanted)


def _found_study(row: StudyRow | None, name: str) -> StudyRow:
    if row is None:
        raise _no_study(name)
    return row


def _no_study(name: str) -> NotFound:
    return NotFound(f"There is no study named {name}.")


def _found_trial(row: TrialRow | None, study: StudyRow, number: TrialNumber) -> TrialRow:
    if row is None:
        raise NotFound(f"The study {study.name} has no trial {number}.")
    return row
