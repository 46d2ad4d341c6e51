"""SQL on the results that samplers see: those of trials that were drawn, and never steered. Only what samplers need is
read, and none of it more than once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any, Final, NamedTuple

import sqlalchemy as sa

from server.store.engine import Transaction
from server.store.json_columns import Json
from server.store.tables import IS_BEST, IS_PRUNED, IS_RESULT, requeue_gaps, trials
from sturgeon.identifiers import StudyId, TrialNumber
from sturgeon.states import TrialState

CHUNK: Final = 500
"""So many numbers are looked up by one statement."""

_ENDED_WELL: Final = ("complete", "pruned", "diverged")


class PlacedRow(NamedTuple):
    """Where a trial lies: `point` in the space of its `revision`. params: only where that is not the wanted one."""

    number: TrialNumber
    group_number: TrialNumber | None
    revision: int
    params: Json | None
    point: list[float]

    @property
    def group(self) -> TrialNumber:
        """The number of the first of the trials with the same parameters; without replicates, the trial's own."""
        return self.number if self.group_number is None else self.group_number


class ResultRow(NamedTuple):
    """A trial with a result. `score`: what the search takes it to be, in the study's metric; None where it diverged.
    `seconds`: what a whole trial took."""

    placed: PlacedRow
    state: TrialState
    score: float | None
    seconds: float | None


_STUDY: Final = trials.c.study_id == sa.bindparam("study")
_SCORE: Final = sa.case((trials.c.state == "pruned", trials.c.predicted_value), else_=trials.c.value)
_PLACED: Final = (
    trials.c.number,
    trials.c.group_number,
    trials.c.revision,
    sa.type_coerce(sa.case((trials.c.revision != sa.bindparam("revision"), trials.c.params)), sa.JSON),
    trials.c.point,
)
# The time of a trial that was stopped early says nothing of the cost of a whole one.
_SECONDS: Final = sa.case((trials.c.state == "complete", trials.c.metrics["seconds"].as_float()))
_RESULT: Final = (*_PLACED, trials.c.state, _SCORE, _SECONDS)
_AT: Final = trials.c.left_seq <= sa.bindparam("basis")
# Sums, so that SQLite, which knows little of how many rows there are, looks for no such index but for a better one.
_BY_NUMBER_AT: Final = trials.c.left_seq + 0 <= sa.bindparam("basis")
_BELOW: Final = trials.c.number + 0 < sa.bindparam("below")


def _row(columns: Sequence[Any]) -> ResultRow:
    return ResultRow(PlacedRow(*columns[:5]), *columns[5:])


_AFTER: Final = (
    sa.select(*_RESULT)
    .where(_STUDY, IS_RESULT, trials.c.left_seq > sa.bindparam("after"), _AT)
    .order_by(trials.c.left_seq)
)


def after(tx: Transaction, study_id: StudyId, seq: int, basis: int, revision: int) -> Iterator[ResultRow]:
    """The valid results that came after the sequence number `seq`, up to `basis`, in the order in which they came; each
    is read when its turn is."""
    asked = {"study": study_id, "after": seq, "basis": basis, "revision": revision}
    return map(_row, tx.execute(_AFTER, asked))


_COUNT: Final = sa.select(sa.func.count()).select_from(trials).where(_STUDY, IS_RESULT, _AT)


def count(tx: Transaction, study_id: StudyId, basis: int) -> int:
    """How many valid results there are up to `basis`. An index alone answers."""
    return int(tx.execute(_COUNT, {"study": study_id, "basis": basis}).scalar_one())


_SEQ_OF: Final = (
    sa.select(trials.c.left_seq)
    .where(_STUDY, IS_RESULT)
    .order_by(trials.c.left_seq)
    .limit(1)
    .offset(sa.bindparam("place", type_=sa.Integer))
)


def seq_of(tx: Transaction, study_id: StudyId, place: int) -> int:
    """The sequence number of the valid result at this place, counted from 0 in the order in which they came."""
    return int(tx.execute(_SEQ_OF, {"study": study_id, "place": place}).scalar_one())


@cache
def _best(*, falling: bool, pruned: bool) -> sa.Select[Any]:
    column = trials.c.predicted_value if pruned else trials.c.value
    seen = sa.and_(trials.c.mode == "caviar", trials.c.live_overrides.is_(None), _BY_NUMBER_AT)
    order = column.desc() if falling else column.asc()
    statement = sa.select(trials.c.number, column).where(_STUDY, IS_PRUNED if pruned else IS_BEST, seen)
    return statement.order_by(order, trials.c.number).limit(sa.bindparam("most", type_=sa.Integer))


def best(tx: Transaction, study_id: StudyId, sign: float, basis: int, most: int) -> list[TrialNumber]:
    """The numbers of at most so many valid results up to `basis` with the least of sign times the score, of equals the
    first. An index gives them."""
    asked = {"study": study_id, "basis": basis, "most": most}
    rows = [row for pruned in (False, True) for row in tx.execute(_best(falling=sign < 0, pruned=pruned), asked)]
    return [number for number, _ in sorted(rows, key=lambda row: (sign * row[1], row[0]))[:most]]


_NUMBERED: Final = trials.c.number.in_(sa.bindparam("numbers", expanding=True))
_OF_NUMBERS: Final = sa.select(*_RESULT).where(_STUDY, _NUMBERED)
_VISIBLE_OF_NUMBERS: Final = sa.select(*_RESULT, trials.c.left_seq).where(_STUDY, _NUMBERED, IS_RESULT, _BY_NUMBER_AT)


def of_numbers(
    tx: Transaction, study_id: StudyId, numbers: Sequence[int], revision: int
) -> dict[TrialNumber, ResultRow]:
    """Number -> the result of the trial, which has one."""
    rows = _in_chunks(tx, _OF_NUMBERS, {"study": study_id, "revision": revision}, numbers)
    return {row[0]: _row(row) for row in rows}


def visible_of(
    tx: Transaction, study_id: StudyId, numbers: Sequence[int], basis: int, revision: int
) -> list[ResultRow]:
    """The valid results up to `basis` of the trials with these numbers, in the order in which they came."""
    asked = {"study": study_id, "basis": basis, "revision": revision}
    rows = _in_chunks(tx, _VISIBLE_OF_NUMBERS, asked, numbers)
    return [_row(row[:-1]) for row in sorted(rows, key=lambda row: row[-1])]


def _in_chunks(tx: Transaction, statement: sa.Select[Any], asked: Json, numbers: Sequence[int]) -> list[sa.Row[Any]]:
    rows: list[sa.Row[Any]] = []
    for start in range(0, len(numbers), CHUNK):
        rows += tx.execute(statement, {**asked, "numbers": numbers[start : start + CHUNK]})
    return rows


_RUNNING: Final = sa.select(*_PLACED).where(
    _STUDY, trials.c.left_seq.is_(None), _BELOW, trials.c.mode == "caviar", trials.c.invalid_seq.is_(None)
)


def running(tx: Transaction, study_id: StudyId, below: int, revision: int) -> list[PlacedRow]:
    """The trials of numbers less than `below` that have not ended now, by number."""
    asked = {"study": study_id, "below": below, "revision": revision}
    return sorted((PlacedRow(*row) for row in tx.execute(_RUNNING, asked)), key=lambda row: row.number)


class News(NamedTuple):
    """What has come since a sequence number. results: the valid ones, in the order in which they came. any_invalid:
    whether a trial has become invalid. running: the trials that have not ended now, by number."""

    results: list[ResultRow]
    any_invalid: bool
    running: list[PlacedRow]


_NEWS: Final = sa.union_all(
    sa.select(*_RESULT, trials.c.left_seq, trials.c.invalid_seq).where(
        _STUDY, IS_RESULT, trials.c.left_seq > sa.bindparam("after"), _AT
    ),
    sa.select(*_RESULT, trials.c.left_seq, trials.c.invalid_seq).where(
        _STUDY, trials.c.invalid_seq.is_not(None), trials.c.invalid_seq > sa.bindparam("after")
    ),
    sa.select(*_RESULT, trials.c.left_seq, trials.c.invalid_seq).where(
        _STUDY, trials.c.left_seq.is_(None), _BELOW, trials.c.mode == "caviar", trials.c.invalid_seq.is_(None)
    ),
)


def news(tx: Transaction, study_id: StudyId, seq: int, basis: int, below: int, revision: int) -> News:
    """As `after`, `any_invalid_since` and `running` in one statement, where not much is new."""
    asked = {"study": study_id, "after": seq, "basis": basis, "below": below, "revision": revision}
    found: list[tuple[int, ResultRow]] = []
    running: list[PlacedRow] = []
    any_invalid = False
    for *columns, left_seq, invalid_seq in tx.execute(_NEWS, asked):
        row = _row(columns)
        if invalid_seq is not None:
            any_invalid = True
        elif left_seq is None:
            running.append(row.placed)
        else:
            found.append((left_seq, row))
    found.sort(key=lambda one: one[0])
    return News([row for _, row in found], any_invalid, sorted(running, key=lambda row: row.number))


_PLACED_OF: Final = sa.select(*_PLACED).where(_STUDY, _NUMBERED).order_by(trials.c.number)


def placed(tx: Transaction, study_id: StudyId, numbers: Sequence[int], revision: int) -> list[PlacedRow]:
    """Where the trials of these numbers, which rise, lie."""
    rows = _in_chunks(tx, _PLACED_OF, {"study": study_id, "revision": revision}, numbers)
    return [PlacedRow._make(row) for row in rows]


_HANDED_OUT: Final = (
    sa.select(*_PLACED)
    .where(
        _STUDY,
        trials.c.number >= sa.bindparam("start"),
        trials.c.number < sa.bindparam("below"),
        trials.c.mode == "caviar",  # pandas were not drawn
        sa.or_(trials.c.group_number.is_(None), trials.c.group_number == trials.c.number),
    )
    .order_by(trials.c.number)
)


def handed_out(tx: Transaction, study_id: StudyId, start: int, below: int, revision: int) -> Iterator[PlacedRow]:
    """Where all trials with numbers from `start` to before `below` lie, by number, whatever became of them; of
    replicates the first. A trial's number and parameters never change."""
    asked = {"study": study_id, "start": start, "below": below, "revision": revision}
    return map(PlacedRow._make, tx.execute(_HANDED_OUT, asked))


class PastRow(NamedTuple):
    """When samplers saw a trial, and what of it."""

    number: TrialNumber
    has_result: bool
    left_seq: int | None
    invalid_seq: int | None
    score: float | None


_PAST: Final = (
    sa.select(
        trials.c.number,
        sa.and_(trials.c.state.in_(_ENDED_WELL), trials.c.live_overrides.is_(None)),
        trials.c.left_seq,
        trials.c.invalid_seq,
        _SCORE,
    )
    .where(_STUDY, trials.c.number < sa.bindparam("below"), trials.c.mode == "caviar")
    .order_by(trials.c.number)
)


def past(tx: Transaction, study_id: StudyId, below: int) -> list[PastRow]:
    """All trials of numbers less than `below`, by number."""
    return [PastRow(*row) for row in tx.execute(_PAST, {"study": study_id, "below": below})]


_GAPS: Final = (
    sa.select(trials.c.number, requeue_gaps.c.left_seq, requeue_gaps.c.back_seq)
    .join(trials, trials.c.id == requeue_gaps.c.trial_id)
    .where(_STUDY)
)


def gaps(tx: Transaction, study_id: StudyId) -> list[tuple[TrialNumber, int, int]]:
    """(number, from, to): a requeued trial is not seen between its end and its return to the queue."""
    return [tuple(row) for row in tx.execute(_GAPS, {"study": study_id})]


_INVALID_SINCE: Final = (
    sa.select(trials.c.id)
    .where(_STUDY, trials.c.invalid_seq.is_not(None), trials.c.invalid_seq > sa.bindparam("seq"))
    .limit(1)
)


def any_invalid_since(tx: Transaction, study_id: StudyId, seq: int) -> bool:
    """Whether a trial has become invalid after `seq`."""
    return tx.execute(_INVALID_SINCE, {"study": study_id, "seq": seq}).first() is not None
