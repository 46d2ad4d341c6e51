"""SQL on leases: handing queued trials out, renewing, finding expired ones.

Each hand-out raises the trial's fence, above the floor of fences, too. Whoever writes for a lease's holder has the
fence and the holder in the WHERE. A fence is a small number that anybody can find, and no secret: what keeps others
from writing under it is that the lease belongs to its holder's token (`leased_to`). `lease_until` is steady time, so
that a lease has its length whatever becomes of the clock.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, lru_cache
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.sql.dml import ReturningUpdate, Update

from server.store import change_numbers, floors, holders
from server.store import trials as trial_rows
from server.store.engine import Transaction
from server.store.json_columns import Json
from server.store.studies import Eligible
from server.store.tables import IS_QUEUED, studies, trials
from server.store.trials import TrialRow
from sturgeon.identifiers import Fence, StudyId


def hand_out_queued(tx: Transaction, of: StudyId | Eligible, count: int, worker: str, lease_us: int) -> list[TrialRow]:
    """Lease up to `count` queued trials of one active study, or of all that a worker may get; the oldest first."""
    rows: list[TrialRow] = []
    for study_id in studies_waiting(tx, of) if isinstance(of, Eligible) else [of]:
        if len(rows) < count:
            wanted = {"study": study_id, "most": count - len(rows)}
            rows += _hand_out(tx, _of_study_handed_out(), wanted, worker, lease_us)
    return rows


def hand_out_chosen(tx: Transaction, ids: Sequence[int], worker: str, lease_us: int) -> list[TrialRow]:
    """Lease those of these trials that are still queued."""
    return _hand_out(tx, _chosen_handed_out(), {"ids": list(ids)}, worker, lease_us)


def waiting(tx: Transaction, of: StudyId | Eligible, most: int) -> list[TrialRow]:
    """Queued trials of one active study, or of all that a worker may get; the oldest first, not locked."""
    rows: list[TrialRow] = []
    for study_id in studies_waiting(tx, of) if isinstance(of, Eligible) else [of]:
        if len(rows) < most:
            wanted = {"study": study_id, "most": most - len(rows)}
            rows += [TrialRow(*row) for row in tx.execute(_waiting_of_study(), wanted)]
    return rows


def studies_waiting(tx: Transaction, of: Eligible) -> list[StudyId]:
    """The studies with queued trials that a worker may get, by id."""
    return list(tx.execute(_studies_waiting(of)).scalars())


@lru_cache(256)
def _studies_waiting(of: Eligible) -> sa.Select[Any]:
    """It goes from study to study in the index of queued trials. So those that wait in a study which the worker gets
    none of, such as one that is paused, are not read, however many they are."""
    queued = sa.select(sa.func.min(trials.c.study_id).label("id")).where(IS_QUEUED)
    waiting = queued.cte("waiting", recursive=True)
    following = queued.where(trials.c.study_id > waiting.c.id).correlate(waiting).scalar_subquery()
    waiting = waiting.union_all(sa.select(following).where(waiting.c.id.is_not(None)))
    statement = sa.select(studies.c.id).join(waiting, waiting.c.id == studies.c.id)
    return statement.where(studies.c.state == "active", studies.c.spent.is_(None), of.where()).order_by(studies.c.id)


def first_waiting(tx: Transaction, of: Eligible) -> StudyId | None:
    """The study of the oldest queued trial that a worker may get."""
    return next(iter(studies_waiting(tx, of)), None)


def _all_waiting() -> sa.Select[Any]:
    return (
        sa.select(trials)
        .join(studies, studies.c.id == trials.c.study_id)
        # None of those that have ended is queued: so an index finds the others.
        .where(IS_QUEUED, trials.c.left_seq.is_(None))
        .where(studies.c.state == "active", studies.c.spent.is_(None))
        .order_by(trials.c.study_id, trials.c.number)
    )


def _hand_out(
    tx: Transaction, handed_out: ReturningUpdate[Any], wanted: Json, worker: str, lease_us: int
) -> list[TrialRow]:
    lease = {"worker": worker, "lease_us": lease_us, "lease_end": tx.steady_now() + lease_us, "now": tx.now()}
    lease |= {"holder": tx.actor.leases_as}
    # RETURNING gives rows in no order.
    changed = tx.execute(handed_out, wanted | lease)
    rows = sorted((TrialRow(*row) for row in changed), key=lambda t: (t.study_id, t.number))
    tx.lock_order.taken(row.id for row in rows)
    return rows


_MOST: Final = sa.bindparam("most", type_=sa.Integer)


@cache
def _waiting_of_study() -> sa.Select[Any]:
    return _all_waiting().where(trials.c.study_id == sa.bindparam("study")).limit(_MOST)


@cache
def _of_study_handed_out() -> ReturningUpdate[Any]:
    return _handed_out(_waiting_of_study().with_only_columns(trials.c.id))


@cache
def _chosen_handed_out() -> ReturningUpdate[Any]:
    chosen = trials.c.id.in_(sa.bindparam("ids", expanding=True))
    return _handed_out(_all_waiting().with_only_columns(trials.c.id).where(chosen))


def _handed_out(wanted: sa.Select[Any]) -> ReturningUpdate[Any]:
    # Two hand-outs at once take different rows and do not wait for each other. (SQLite has no such clause: its write
    # lock lets one transaction in at a time.)
    locked = wanted.with_for_update(of=trials, skip_locked=True)
    # Materialized: else PostgreSQL may run the subselect again for each row, and lock more rows than `wanted` has.
    chosen = locked.cte("chosen").prefix_with("MATERIALIZED")
    return (
        trials.update()
        .where(trials.c.id.in_(sa.select(chosen.c.id)), trial_rows.may_move_to("running"))
        .values(
            state="running",
            fence=floors.fence_after(trials.c.fence),
            leased_to=sa.bindparam("holder"),
            lease_until=sa.bindparam("lease_end"),
            reported=False,
            started_at=sa.func.coalesce(trials.c.started_at, sa.bindparam("now")),
        )
        .returning(trials)
    )


def queued_for_workers(tx: Transaction) -> dict[StudyId, int]:
    """Study -> how many queued trials workers could get."""
    statement = (
        sa.select(trials.c.study_id, sa.func.count())
        .join(studies, studies.c.id == trials.c.study_id)
        .where(
            IS_QUEUED,
            studies.c.state == "active",
            studies.c.spent.is_(None),
            studies.c.task_kind.is_not(None),
        )
        .group_by(trials.c.study_id)
    )
    return dict(tx.execute(statement).all())


def _held_for() -> sa.ColumnElement[int]:
    """The time for which the trial was held, in microseconds, to now: a message of its holder has come."""
    begun = trials.c.lease_until - trials.c.lease_us
    return trials.c.spent_us + sa.case((begun < _NOW, _NOW - begun), else_=0)


def spent_us(tx: Transaction, row: TrialRow) -> int:
    """As `_held_for`, of a row that is locked and held."""
    assert row.lease_until is not None
    assert row.lease_us is not None
    return row.spent_us + max(0, tx.steady_now() - (row.lease_until - row.lease_us))


_NOW: Final = sa.bindparam("now", type_=sa.BigInteger)
_EPOCH: Final = sa.bindparam("epoch", type_=sa.Double)
_SCORE: Final = sa.bindparam("score", type_=sa.Double)


def _reached() -> dict[str, sa.ColumnElement[float]]:
    """Columns of a run that has reached an epoch. It has used the epochs that are new; a report that comes again, or
    late, adds none."""
    known = sa.func.coalesce(trials.c.run_epoch, 0.0)
    gain = sa.case((known < _EPOCH, _EPOCH - known), else_=0.0)
    return {"run_epoch": known + gain, "spent_epochs": trials.c.spent_epochs + gain}


def _better() -> dict[str, sa.ColumnElement[float]]:
    """The column of a run that has reported a score."""
    best = trials.c.best_score
    return {"best_score": sa.case((sa.or_(best.is_(None), best > _SCORE), _SCORE), else_=best)}


SEEN_EVERY_US: Final = 60_000_000
"""Of the time for which a trial is held: with each such step a renewal counts as a change, so that readers see it."""


@cache
def _renewing(*, epoch: bool, score: bool, says_more: bool) -> Update:
    values = {"lease_until": _NOW + trials.c.lease_us, "spent_us": _held_for()}
    reached = (_reached() if epoch else {}) | (_better() if score else {})
    if not (reached or says_more):  # of a run that goes on, people see a longer time, and no more
        same = sa.and_(trials.c.state == "running", trials.c.spent_us // SEEN_EVERY_US == _held_for() // SEEN_EVERY_US)
        reached["changed"] = sa.case((same, trials.c.changed), else_=change_numbers.ChangeNumber())
    return trial_rows.moving("running").where(holders.held()).values(**values, **reached)


@cache
def _renewing_and_told(*, epoch: bool, score: bool, says_more: bool) -> ReturningUpdate[Any]:
    return _renewing(epoch=epoch, score=score, says_more=says_more).returning(*trial_rows.CHANGING)


def renew(
    tx: Transaction,
    row: TrialRow,
    fence: Fence,
    epoch: float | None = None,
    score: float | None = None,
    **values: object,
) -> TrialRow | None:
    """Extend the lease, also one that has run out while nobody took the trial; None when it is lost. Else the row as it
    is now, whatever has become of it since it was read.

    epoch: the epoch that the run reports. score: the best score that it reports, less is better.
    """
    said = {name: value for name, value in (("epoch", epoch), ("score", score)) if value is not None}
    renewing = _renewing_and_told(epoch=epoch is not None, score=score is not None, says_more=bool(values))
    holder = {"held_under": fence, "held_by": holders.holder(tx)}
    return trial_rows.move(tx, row, renewing, {**holder, "now": tx.steady_now(), **said, **values})


def renew_all(tx: Transaction, held: Sequence[tuple[TrialRow | None, Fence]]) -> list[TrialRow | None]:
    """As `renew`, of rows that are locked, or not there, in one statement."""
    now = tx.steady_now()
    renewed = [
        row.written({"state": "running", "lease_until": now + (row.lease_us or 0), "spent_us": spent_us(tx, row)})
        if row is not None and holders.is_held(tx, row, fence)
        else None
        for row, fence in held
    ]
    holder = holders.holder(tx)
    written = [
        {"trial": row.id, "held_under": row.fence, "held_by": holder, "now": now} for row in renewed if row is not None
    ]
    if written and tx.execute(_renewing(epoch=False, score=False, says_more=False), written).rowcount != len(written):
        raise AssertionError("a lease that is held is not renewed")
    return renewed


_ANY_RUNNING: Final = (
    sa.select(trials.c.id)
    .where(trials.c.study_id == sa.bindparam("study"), trial_rows.is_in("running"), trials.c.left_seq.is_(None))
    .limit(1)
)


def any_running(tx: Transaction, study_id: StudyId) -> bool:
    """Whether a trial of the study runs."""
    return tx.execute(_ANY_RUNNING, {"study": study_id}).first() is not None


def has_wrong_end(tx: Transaction) -> sa.ColumnElement[bool]:
    """The trial runs, and its lease has run out, or would end later than one that is given now."""
    now = tx.steady_now()
    ends = sa.or_(trials.c.lease_until < now, trials.c.lease_until > now + trials.c.lease_us)
    return sa.and_(trials.c.state == "running", ends)


def shortened(tx: Transaction, row: TrialRow) -> bool:
    """Let the lease of a locked row end no later than one that is given now; whether it would have. Its end was too far
    away: the clock was put back while no server ran, or a backup is from another clock."""
    latest = tx.steady_now() + trials.c.lease_us
    too_late = sa.and_(trials.c.id == row.id, trials.c.lease_until > latest)
    return tx.execute(trials.update().where(too_late).values(lease_until=latest)).rowcount > 0


def studies_with_expired(tx: Transaction) -> list[str]:
    """Names of the studies that have trials whose lease has run out, or would end too late."""
    statement = (
        sa.select(studies.c.name).join(trials, studies.c.id == trials.c.study_id).where(has_wrong_end(tx)).distinct()
    )
    return sorted(tx.execute(statement).scalars())
