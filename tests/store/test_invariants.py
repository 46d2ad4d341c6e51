"""What no service can do by mistake: the store and the database refuse it, on both kinds of database."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa

from server.services import lookup
from server.services.trial_rows import new_trial
from server.store import leases, schema, studies, trials
from server.store.engine import Database, Transaction
from server.store.lock_order import LockOrderError
from server.store.studies import StudyRow
from server.store.trials import ForbiddenMove, TrialRow
from sturgeon.states import TERMINAL, TRIAL_MOVES, TRIAL_STATES

STUDY: dict[str, Any] = {
    "name": "bowl", "title": "", "state": "active", "mode": "caviar", "metric": "loss", "direction": "minimize",
    "reduce": "last", "space": {"x": {"type": "float", "low": 0, "high": 1}}, "revision": 0, "sampler": "random",
    "sampler_options": {}, "seed": 1, "pruning": {"rule": "none"}, "max_trials": 9, "replicates": 1, "limits": None,
    "spent": None, "task": None, "policies": [], "seq": 0, "next_number": 2, "created_at": 0,
}  # fmt: skip
NOW = 1_000_000


@pytest.fixture
def database(migrated_url: str) -> Iterator[Database]:
    """A database with the study `bowl` and its trials 0 and 1, queued."""
    database = Database(migrated_url, connections=4)
    with database.writing() as tx:
        study = studies.insert(tx, STUDY)
        assert study is not None
        trials.insert(tx, [new_trial(study, number, {"x": 0.5}, (0.5,), 0) for number in (0, 1)])
    yield database
    database.dispose()


def locked(tx: Transaction, number: int = 0) -> TrialRow:
    return lookup.lock_trial(tx, study_of(tx), number)


def study_of(tx: Transaction) -> StudyRow:
    return lookup.get_study(tx, "bowl")


def in_state(tx: Transaction, state: str) -> TrialRow:
    """Trial 0 in this state, written past all rules but the database's."""
    ended = state in TERMINAL
    leased = {"lease_us": 30, "lease_until": 30} if state == "running" else {}
    values = {"state": state, "left_seq": 1 if ended else None, "finished_at": 1 if ended else None, **leased}
    row = locked(tx)
    columns = ", ".join(f"{name} = {'NULL' if value is None else repr(value)}" for name, value in values.items())
    tx.execute(sa.text(f"UPDATE trials SET {columns} WHERE id = {row.id}"))
    return lookup.get_trial(tx, study_of(tx), 0)


# --- locks


def test_a_study_cannot_be_locked_after_a_trial(database: Database) -> None:
    with database.writing() as tx:
        locked(tx)
        with pytest.raises(LockOrderError, match="a study is locked after trials"):
            lookup.lock_study(tx, "bowl")


def test_a_trial_cannot_be_locked_after_one_of_a_greater_id(database: Database) -> None:
    with database.writing() as tx:
        locked(tx, 1)
        with pytest.raises(LockOrderError, match="are locked after"):
            locked(tx, 0)


def test_an_update_counts_as_a_lock(database: Database) -> None:
    with database.writing() as tx:
        first, second = (lookup.get_trial(tx, study_of(tx), number) for number in (0, 1))
        trials.update(tx, second, worker="ada")
        with pytest.raises(LockOrderError):
            trials.update(tx, first, worker="ada")


def test_trials_are_locked_by_id_however_they_are_asked_for(database: Database) -> None:
    with database.writing() as tx:
        assert sorted(lookup.lock_trials(tx, study_of(tx), [1, 0, 1])) == [0, 1]
        assert locked(tx, 0).number == 0, "what is locked may be locked again"


# --- moves


@pytest.mark.parametrize("was", TRIAL_STATES)
def test_a_trial_moves_as_the_table_says_and_no_other_way(database: Database, was: str) -> None:
    for to in TRIAL_STATES:
        columns: dict[str, Any] = {"left_seq": 2, "finished_at": 2} if to in TERMINAL else {}
        columns = columns or {"left_seq": None, "finished_at": None}
        columns |= {"lease_us": 30, "lease_until": 60} if to == "running" else {"lease_until": None}
        with database.writing() as tx:
            tx.rollback_at_end()
            row = in_state(tx, was)
            if to in TRIAL_MOVES[row.state] or (to == was and to not in TERMINAL):
                assert trials.transition(tx, row, to, **columns).state == to
            else:
                with pytest.raises(ForbiddenMove, match=f"cannot move from {was} to {to}"):
                    trials.transition(tx, row, to, **columns)


def test_a_move_from_a_state_that_the_trial_has_left_is_refused(database: Database) -> None:
    with database.writing() as tx:
        stale = locked(tx)
        in_state(tx, "running")
        with pytest.raises(ForbiddenMove):
            trials.transition(tx, stale, "paused")


@pytest.mark.parametrize("column", [{"state": "complete"}, {"fence": 7}])
def test_an_update_writes_neither_state_nor_fence(database: Database, column: dict[str, Any]) -> None:
    with pytest.raises(AssertionError, match="by transition"), database.writing() as tx:
        trials.update(tx, locked(tx).id, **column)


@pytest.mark.parametrize(
    "columns",
    [
        "state = 'lost'",
        "state = 'running'",
        "state = 'running', lease_us = 30",
        "state = 'complete', left_seq = 1",
        "state = 'complete', finished_at = 1",
        "left_seq = 1",
        "finished_at = 1",
        "state = 'cancelled', left_seq = 1, finished_at = 1, lease_until = 30",
        "fence = -1",
    ],
)
def test_the_database_refuses_a_state_without_what_belongs_to_it(database: Database, columns: str) -> None:
    with pytest.raises(sa.exc.IntegrityError), database.writing() as tx:
        tx.execute(sa.text(f"UPDATE trials SET {columns} WHERE number = 0"))


def test_a_renewal_and_a_hand_out_move_no_trial_that_has_ended(database: Database) -> None:
    with database.writing() as tx:
        row = in_state(tx, "complete")
        tx.execute(sa.text("UPDATE trials SET lease_until = 30, lease_us = 30 WHERE number = 0"))
        assert leases.renew(tx, row, row.fence) is None
        assert leases.hand_out_chosen(tx, [row.id], "ada", 30) == []


# --- the fence, the clock


def test_the_fence_is_raised_from_what_the_database_has(database: Database) -> None:
    """Not from a row that was read before somebody else raised it."""
    with database.writing() as tx:
        stale = locked(tx)
        tx.execute(sa.text("UPDATE trials SET fence = 5 WHERE number = 0"))
        ended = {"left_seq": 1, "finished_at": 1}
        assert trials.transition(tx, stale, "cancelled", raise_fence=True, **ended).fence == 6


def test_a_transaction_reads_its_clock_once(migrated_url: str) -> None:
    readings: list[int] = []

    def clock(_tx: Transaction) -> int:
        readings.append(len(readings))
        return readings[-1]

    database = Database(migrated_url, connections=1, clock=clock)
    with database.writing() as tx:
        assert [tx.now(), tx.now()] == [0, 0]
    with database.reading() as tx:
        assert tx.now() == 1
    database.dispose()


def test_an_upgrade_loses_nothing_that_refers_to_a_trial(database_url: str) -> None:
    """SQLite makes the table of trials anew: with foreign keys on, all reports would go with the old one."""
    database = Database(database_url, connections=1)
    old = STUDY | {"name": "old"}
    with database.migrating() as tx:
        schema.upgrade(tx, "20261123_0007")
        tx.execute(sa.text(_insert("studies", {k: v for k, v in old.items() if v is not None})))
        [study_id] = tx.execute(sa.text("SELECT id FROM studies")).scalars()
        row = {
            "study_id": study_id, "number": 0, "state": "pruned", "mode": "caviar", "params": {}, "point": [0.5],
            "seed": 1, "attempt": 0, "fence": 1, "reported": True, "alone": True, "metrics": {}, "basis_seq": 0,
            "revision": 0, "drawn": {}, "left_seq": 1, "guess": 0.25, "created_at": 0, "finished_at": 5,
        }  # fmt: skip
        tx.execute(sa.text(_insert("trials", row)))
        report = {"trial_id": 1, "fence": 1, "leg": 3, "step": 10, "metrics": {"loss": 0.5}, "at": 5}
        tx.execute(sa.text(_insert("reports", report)))
        tx.execute(sa.text(_insert("standings", {"study_id": study_id, "epoch": 3, "trial_id": 1, "score": 0.5})))
        tx.execute(sa.text(_insert("absences", {"trial_id": 1, "left_seq": 0, "back_seq": 1})))
    database.dispose()

    schema.migrate(database_url)

    database = Database(database_url, connections=1)
    with database.writing() as tx:
        study = lookup.get_study(tx, "old")
        trial = lookup.get_trial(tx, study, 0)
        assert (trial.state, trial.unstackable, trial.predicted_value) == ("pruned", True, 0.25)
        assert tx.execute(sa.text("SELECT rollback_generation, step FROM reports")).all() == [(3, 10)]
        assert tx.execute(sa.text("SELECT epoch, score FROM rung_scores")).all() == [(3, 0.5)]
        assert tx.execute(sa.text("SELECT left_seq, back_seq FROM requeue_gaps")).all() == [(0, 1)]
        trials.record_requeue_gap(tx, trial.id, 1, 2)
    database.dispose()


def _insert(table: str, values: dict[str, Any]) -> str:
    import json

    def literal(value: object) -> str:
        if isinstance(value, bool):
            return str(value).upper()
        return f"'{json.dumps(value)}'" if isinstance(value, dict | list) else repr(value)

    text = f"INSERT INTO {table} ({', '.join(values)}) VALUES ({', '.join(map(literal, values.values()))})"
    return text.replace(":", r"\:")
