"""SQL on trials: reading and writing them. (Leases are in `leases.py`.)"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.sql.dml import ReturningUpdate, Update

from server.store.engine import Transaction
from server.store.json_columns import Json
from server.store.tables import requeue_gaps, trials
from sturgeon.identifiers import Fence, Step, StudyId, TrialId, TrialNumber, Version
from sturgeon.states import TRIAL_MOVES, UNFINISHED, Mode, TrialState


class ForbiddenMove(AssertionError):
    """A service moves a trial between states as TRIAL_MOVES does not allow: a mistake in the program."""


@dataclass(frozen=True)
class TrialRow:
    """A row of `trials`."""

    id: TrialId
    study_id: StudyId
    number: TrialNumber
    state: TrialState
    mode: Mode
    params: Json
    point: list[float]
    seed: int
    attempt: int
    fence: Fence
    lease_until: int | None
    lease_us: int | None
    begun_fence: Fence | None
    reported: bool
    unstackable: bool
    worker: str | None
    leased_to: str | None
    value: float | None
    metrics: dict[str, float | None]
    step: Step | None
    location: str | None
    error: str | None
    sampler: str | None
    basis_seq: int
    revision: int
    drawn: Json
    group_number: TrialNumber | None
    numerics: str | None
    left_seq: int | None
    desired: Json | None
    applied_version: Version | None
    applied_step: Step | None
    predicted_value: float | None
    best_score: float | None
    run_epoch: float | None
    spent_epochs: float
    spent_us: int
    live_overrides: Json | None
    origin: Json | None
    parent_number: TrialNumber | None
    parent_step: Step | None
    invalid_reason: str | None
    invalid_at: int | None
    invalid_seq: int | None
    tags: list[str]
    notes: str
    code_version: Json | None
    data_version: Json | None
    created_at: int
    started_at: int | None
    finished_at: int | None
    changed: int

    def written(self, columns: Mapping[str, Any]) -> TrialRow:
        """The row after these columns were written. (`dataclasses.replace` takes ten times as long.)"""
        assert columns.keys() <= self.__dict__.keys(), "these are columns of a trial"
        row = object.__new__(TrialRow)
        row.__dict__.update(self.__dict__)
        row.__dict__.update(columns)
        return row

    @property
    def score(self) -> float | None:
        """The score that the search assumes, in the study's metric; None where the trial diverged."""
        return self.predicted_value if self.state == "pruned" else self.value


_INSERT: Final = trials.insert().returning(trials)


def insert(tx: Transaction, rows: Sequence[Json]) -> list[TrialRow]:
    """The new trials, ordered by number."""
    rows_inserted = tx.execute(_INSERT, rows[0] if len(rows) == 1 else rows)
    inserted = sorted((TrialRow(*row) for row in rows_inserted), key=lambda row: row.number)
    tx.lock_order.inserted(row.id for row in inserted)
    return inserted


_INSERT_UNREAD: Final = trials.insert().inline()  # which asks for no id


def insert_unread(tx: Transaction, rows: Sequence[Json]) -> None:
    """Insert new trials of which nothing is read: all of them have the same columns."""
    if len(rows) == 1:
        tx.run(_INSERT_UNREAD, rows[0])
    else:
        tx.execute(_INSERT_UNREAD, rows)


_FIND: Final = sa.select(trials).where(
    trials.c.study_id == sa.bindparam("study"), trials.c.number == sa.bindparam("number")
)


def find(tx: Transaction, study_id: StudyId, number: TrialNumber) -> TrialRow | None:
    """The trial of this number."""
    row = tx.execute(_FIND, {"study": study_id, "number": number}).one_or_none()
    return None if row is None else TrialRow(*row)


def branches(tx: Transaction, study_id: StudyId) -> list[TrialRow]:
    """All trials of a study that go on from another one's checkpoint, by number."""
    statement = sa.select(trials).where(trials.c.study_id == study_id, trials.c.parent_number.is_not(None))
    return [TrialRow(*row) for row in tx.execute(statement.order_by(trials.c.number))]


_DRAWN: Final = ("params", "point", "seed", "sampler", "basis_seq", "revision", "drawn", "group_number", "numerics")
_BEGINNING: Final = ("origin", "parent_number", "parent_step", "created_at")
FIXED: Final = frozenset(("id", "study_id", "number", "mode", *_DRAWN, *_BEGINNING))
"""The columns that are never written again after the insertion of a trial."""
CHANGING: Final = tuple(column for column in trials.c if column.name not in FIXED)
"""All others."""
_CHANGING_NAMES: Final = tuple(column.name for column in CHANGING)
_STATE_AND_FENCE: Final = frozenset(("state", "fence"))
_UPDATE: Final = trials.update().where(trials.c.id == sa.bindparam("trial"))


def update(tx: Transaction, row: TrialRow, **columns: Any) -> TrialRow:
    """Write columns of a trial other than its state and fence, which only `transition` and leases write. Its row is
    locked, and as it is now: so what it is afterwards need not be read."""
    if not columns.keys().isdisjoint(_STATE_AND_FENCE | FIXED):
        raise AssertionError("a trial's state and fence are written by transition() and leases only, FIXED by nobody")
    tx.lock_order.trials([row.id])
    if tx.execute(_UPDATE, {"trial": row.id, **columns}).rowcount != 1:
        raise AssertionError(f"trial {row.number} is gone")
    return row.written(columns)


def transition(
    tx: Transaction, row: TrialRow, to: TrialState, *, raise_fence: bool = False, **columns: Any
) -> TrialRow:
    """Move a trial to another state, and write what comes with it. Its row is locked, and as it is now.

    raise_fence: refuse whatever the holder of its lease still sends.
    Raises: ForbiddenMove (TRIAL_MOVES has no such move, or `row` is not the trial's present row).
    """
    if not raise_fence:
        return transition_all(tx, to, [(row, columns)])[0]
    written = {"trial": row.id, "from": row.state, **columns}
    tx.lock_order.trials([row.id])
    fence: Fence | None = tx.execute(_transition_with_fence(to), written).scalar_one_or_none()
    if fence is None:
        raise _forbidden(row, to)
    return row.written({**columns, "state": to, "fence": fence})


def transition_all(tx: Transaction, to: TrialState, moves: Sequence[tuple[TrialRow, Json]]) -> list[TrialRow]:
    """As `transition`, of different trials; each writes the same columns."""
    tx.lock_order.trials([row.id for row, _ in moves])
    written = [{"trial": row.id, "from": row.state, **columns} for row, columns in moves]
    one = len(written) == 1
    changed = tx.run(_transition(to), written[0]).changed if one else tx.execute(_transition(to), written).rowcount
    if changed != len(moves):
        raise _forbidden(moves[0][0], to)
    return [row.written({**columns, "state": to}) for row, columns in moves]


def _forbidden(row: TrialRow, to: TrialState) -> ForbiddenMove:
    return ForbiddenMove(f"trial {row.number} cannot move from {row.state} to {to}")


@cache
def _transition(to: TrialState) -> Update:
    return _UPDATE.where(may_move_to(to), trials.c.state == sa.bindparam("from")).values(state=to)


@cache
def _transition_with_fence(to: TrialState) -> ReturningUpdate[Any]:
    """The fence is raised from what the database has."""
    return _transition(to).values(fence=trials.c.fence + 1).returning(trials.c.fence)


def moving(to: TrialState) -> Update:
    """What moves a trial if TRIAL_MOVES has the move; more is to be added to it. To be built once."""
    return _UPDATE.where(may_move_to(to)).values(state=to)


def move(tx: Transaction, row: TrialRow, moving: ReturningUpdate[Any], parameters: Json) -> TrialRow | None:
    """Move the trial if the conditions of `moving` hold; None if not. The row need not be locked: another transaction
    may have changed it since it was read, so `moving` returns CHANGING. parameters: its own, and columns to write."""
    tx.lock_order.trials([row.id])
    changed = tx.run(moving, {"trial": row.id, **parameters}).rows
    return row.written(dict(zip(_CHANGING_NAMES, changed[0], strict=True))) if changed else None


def may_move_to(to: TrialState) -> sa.ColumnElement[bool]:
    """The condition that the trial's state allows the move; an unfinished trial may also keep its state. No index is
    to find all trials in those states."""
    stays = [to] if to in UNFINISHED else []
    allowed = [state for state, moves in TRIAL_MOVES.items() if to in moves] + stays
    return sa.func.coalesce(trials.c.state, sa.literal_column("''")).in_(_literals(allowed))


def is_in(*states: TrialState) -> sa.ColumnElement[bool]:
    """Whether the trial is in one of these states. They are written into the statement: a list of parameters would be
    written out anew at each execution."""
    return trials.c.state.in_(_literals(states))


def _literals(states: Iterable[TrialState]) -> list[sa.ColumnElement[str]]:
    return [sa.literal_column(f"'{state}'") for state in states]


def least(tx: Transaction, study_id: StudyId, metric: str | None, sign: float) -> float | None:
    """The least of sign times the value, or times a metric, of the complete trials that are not invalid."""
    column = trials.c.value if metric is None else trials.c.metrics[metric].as_float()
    statement = sa.select(sa.func.min(sign * column)).where(
        trials.c.study_id == study_id, trials.c.state == "complete", trials.c.invalid_reason.is_(None)
    )
    smallest: float | None = tx.execute(statement).scalar_one()
    return smallest


def best_so_far(tx: Transaction, study_id: StudyId, sign: float, but: int) -> float | None:
    """The least score (sign times the metric) that any trial but `but` has reported or ended with; trials that have
    diverged, failed, or are cancelled or invalid do not count."""
    final = sa.case((trials.c.state == "complete", sign * trials.c.value))
    statement = sa.select(sa.func.min(trials.c.best_score), sa.func.min(final)).where(
        trials.c.study_id == study_id,
        trials.c.id != but,
        is_in("queued", "running", "complete", "pruned"),
        trials.c.invalid_reason.is_(None),
    )
    return min((least for least in tx.execute(statement).one() if least is not None), default=None)


# A trial has left the sampler's view when it has ended, as a CHECK says: so it is found by an index.
_ANY_UNFINISHED: Final = (
    sa.select(trials.c.id).where(trials.c.study_id == sa.bindparam("study"), trials.c.left_seq.is_(None)).limit(1)
)


def any_unfinished(tx: Transaction, study_id: StudyId) -> bool:
    """Whether a trial of the study has not ended."""
    return tx.execute(_ANY_UNFINISHED, {"study": study_id}).first() is not None


def imported(tx: Transaction, study_id: StudyId) -> dict[str, TrialNumber]:
    """The trials of other tools that the study has taken over: the keys by which their tool knows them."""
    key = trials.c.drawn["imported"].as_string()
    statement = sa.select(key, trials.c.number).where(trials.c.study_id == study_id, trials.c.sampler.is_(None))
    return dict(tx.execute(statement.where(key.is_not(None))).all())


def count_drawn(tx: Transaction, study_id: StudyId) -> int:
    """How many trials of the study a sampler drew."""
    statement = sa.select(sa.func.count()).select_from(trials)
    drawn_here = statement.where(trials.c.study_id == study_id, trials.c.sampler.is_not(None))
    return int(tx.execute(drawn_here).scalar_one())


def record_requeue_gap(tx: Transaction, trial_id: TrialId, left_seq: int, back_seq: int) -> None:
    """Store that samplers do not see the trial between these two sequence numbers."""
    tx.execute(requeue_gaps.insert(), {"trial_id": trial_id, "left_seq": left_seq, "back_seq": back_seq})


def was_requeued(tx: Transaction, trial_id: TrialId) -> bool:
    """Whether a person has requeued the trial."""
    statement = sa.select(requeue_gaps.c.id).where(requeue_gaps.c.trial_id == trial_id).limit(1)
    return tx.execute(statement).first() is not None


def metric_names(tx: Transaction, study_id: StudyId) -> list[str]:
    """The names of all metrics in the results of the study's trials, sorted."""
    names: set[str] = set()
    for (metrics,) in tx.execute(sa.select(trials.c.metrics).where(trials.c.study_id == study_id)):
        names.update(metrics)
    return sorted(names)
