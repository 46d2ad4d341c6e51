"""SQL on the best trials of a study; trials with the same parameters (replicates) count as one, by their mean."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any, Final, NamedTuple

import sqlalchemy as sa

from server.store.engine import Transaction
from server.store.studies import StudyRow
from server.store.tables import IS_BEST, studies, trials
from server.store.trials import TrialRow
from sturgeon.identifiers import StudyId, TrialNumber

TINY: Final = 1e-300
_KEY = sa.func.coalesce(trials.c.group_number, trials.c.number)
_VALID = trials.c.invalid_reason.is_(None)
_COMPLETE = sa.and_(_VALID, trials.c.state == "complete", trials.c.value.is_not(None))


def best_groups(tx: Transaction, study: StudyRow, most: int) -> list[int]:
    """The groups that are complete, each by the number of its first trial; the best mean first, of equals the earlier.

    A group is complete when none of its trials may still get a result. Failed, cancelled and invalid ones do not count.
    """
    if study.replicates == 1:
        statement = _best_trials(falling=study.direction == "maximize")
        return list(tx.execute(statement, {"study": study.id, "most": most}).scalars())
    return list(tx.execute(_best_groups(), {"studies": [study.id], "most": most}).scalars())


_MOST: Final = sa.bindparam("most", type_=sa.Integer)


@cache
def _best_groups() -> sa.Select[Any]:
    ranked = _ranked().subquery()
    return sa.select(ranked.c.key).order_by(ranked.c.place).limit(_MOST)


@cache
def _best_trials(*, falling: bool) -> sa.Select[Any]:
    """Those of a study without replicates, which an index gives."""
    order = trials.c.value.desc() if falling else trials.c.value.asc()
    own = trials.c.study_id == sa.bindparam("study")
    return sa.select(trials.c.number).where(own, IS_BEST).order_by(order, trials.c.number).limit(_MOST)


def best_group_of_each(tx: Transaction, of: Sequence[StudyRow]) -> dict[int, list[TrialRow]]:
    """Study id -> the complete trials of its best group, by number. In two statements, however many studies there are;
    a study without a complete group is not in it."""
    complete: dict[int, list[TrialRow]] = {}
    for statement, has_replicates in ((_BEST_OF_EACH, False), (_best_group_of_each(), True)):
        if ids := [study.id for study in of if (study.replicates > 1) == has_replicates]:
            for row in tx.execute(statement, {"studies": ids}):
                complete.setdefault(row.study_id, []).append(TrialRow(*row))
    return complete


def _best_id(*, falling: bool) -> sa.ScalarSelect[int]:
    order = trials.c.value.desc() if falling else trials.c.value.asc()
    own = sa.select(trials.c.id).where(trials.c.study_id == studies.c.id, IS_BEST)
    return own.order_by(order, trials.c.number).limit(1).correlate(studies).scalar_subquery()


_BEST_IDS: Final = (
    sa.select(
        sa.case((studies.c.direction == "maximize", _best_id(falling=True)), else_=_best_id(falling=False)).label("id")
    )
    .where(studies.c.id.in_(sa.bindparam("studies", expanding=True)))
    .cte("best")
    .prefix_with("MATERIALIZED")  # else PostgreSQL compares all trials with the ids
)
_BEST_OF_EACH: Final = sa.select(trials).join(_BEST_IDS, _BEST_IDS.c.id == trials.c.id)


@cache
def _best_group_of_each() -> sa.Select[Any]:
    ranked = _ranked().subquery()
    best = sa.and_(trials.c.study_id == ranked.c.study_id, ranked.c.key == _KEY, ranked.c.place == 1)
    # A group's numbers follow each other: with this the index on (study, number) finds them.
    near = sa.and_(trials.c.number >= ranked.c.key, trials.c.number < ranked.c.key + ranked.c.replicates)
    statement = sa.select(trials).join(ranked, sa.and_(best, near)).where(_COMPLETE)
    return statement.order_by(trials.c.study_id, trials.c.number)


def _ranked() -> sa.Select[Any]:
    """The complete groups of `studies` by study_id and key; the best of each study has place 1. `value` is the mean,
    half of it with replicates; `signed` is that of which less is better, and `seq` where the group was complete."""
    open_trial = sa.and_(_VALID, trials.c.state.not_in(("complete", "failed", "cancelled")))
    count = sa.func.sum(sa.case((_COMPLETE, 1), else_=0))
    replicates = sa.cast(studies.c.replicates, sa.Double)
    # Divided before they are added, and to half the mean at most: PostgreSQL refuses a sum of large values that
    # overflows.
    # What is less than TINY counts as 0 then: PostgreSQL refuses a quotient that underflows, too.
    parts = sa.case((studies.c.replicates == 1, 1.0), else_=2.0 * replicates)
    underflows = sa.and_(studies.c.replicates > 1, sa.func.abs(trials.c.value) < TINY)
    part = sa.case((underflows, 0.0), else_=trials.c.value / parts)
    total = sa.func.sum(sa.case((_COMPLETE, part)))
    mean = total * (replicates / count)
    signed = sa.case((studies.c.direction == "minimize", mean), else_=-mean)
    place = sa.func.row_number().over(partition_by=trials.c.study_id, order_by=(signed, _KEY))
    return (
        sa.select(
            trials.c.study_id,
            _KEY.label("key"),
            place.label("place"),
            studies.c.replicates,
            mean.label("value"),
            signed.label("signed"),
            sa.func.max(trials.c.left_seq).label("seq"),
        )
        .join(studies, studies.c.id == trials.c.study_id)
        .where(trials.c.study_id.in_(sa.bindparam("studies", expanding=True)))
        .group_by(trials.c.study_id, _KEY, studies.c.direction, studies.c.replicates)
        .having(count > 0, sa.func.sum(sa.case((open_trial, 1), else_=0)) == 0)
    )


class Improvement(NamedTuple):
    """A group that was better than all before it; `place`: so many groups of its study were complete with it, of `of`
    that are now."""

    study_id: StudyId
    number: TrialNumber
    value: float
    place: int
    of: int


def improvements(tx: Transaction, replicates: Mapping[StudyId, int]) -> list[Improvement]:
    """How the best of each study came to be, in the order in which groups were complete. replicates: of each study."""
    single = [study_id for study_id, count in replicates.items() if count == 1]
    grouped = [study_id for study_id, count in replicates.items() if count > 1]
    found = [Improvement(*row) for row in tx.execute(_improvements(_single()), {"studies": single})]
    halved = (
        [Improvement(*row) for row in tx.execute(_improvements(_ranked()), {"studies": grouped})] if grouped else []
    )
    return found + [one._replace(value=2 * one.value) for one in halved]


def _single() -> sa.Select[Any]:
    """As `_ranked`, of studies without replicates and without the places: their groups need not be put together."""
    signed = sa.case((studies.c.direction == "minimize", trials.c.value), else_=-trials.c.value)
    columns = (trials.c.study_id, trials.c.number.label("key"), trials.c.value)
    statement = sa.select(*columns, signed.label("signed"), trials.c.left_seq.label("seq"))
    among = trials.c.study_id.in_(sa.bindparam("studies", expanding=True))
    return statement.join(studies, studies.c.id == trials.c.study_id).where(among, _COMPLETE)


def _improvements(of: sa.Select[Any]) -> sa.Select[Any]:
    groups = of.subquery()
    study, in_order = groups.c.study_id, (groups.c.seq, groups.c.key)
    best_before = sa.func.min(groups.c.signed).over(partition_by=study, order_by=in_order, rows=(None, -1))
    place = sa.func.row_number().over(partition_by=study, order_by=in_order)
    count = sa.func.count().over(partition_by=study)
    compared = sa.select(groups, best_before.label("before"), place.label("order"), count.label("of")).subquery()
    is_better = sa.or_(compared.c.before.is_(None), compared.c.signed < compared.c.before)
    columns = (compared.c.study_id, compared.c.key, compared.c.value, compared.c.order, compared.c.of)
    return sa.select(*columns).where(is_better).order_by(compared.c.study_id, compared.c.order)


_COMPLETE_OF: Final = (
    sa.select(trials)
    .where(
        trials.c.study_id == sa.bindparam("study"),
        _COMPLETE,
        trials.c.number.in_(sa.bindparam("numbers", expanding=True)),
    )
    .order_by(trials.c.number)
)


def complete_of(tx: Transaction, study: StudyRow, groups: Iterable[int]) -> dict[int, list[TrialRow]]:
    """Group -> its complete trials that are not invalid, by number."""
    complete: dict[int, list[TrialRow]] = {}
    # A group's numbers follow each other.
    numbers = [number for group in groups for number in range(group, group + study.replicates)]
    for row in tx.execute(_COMPLETE_OF, {"study": study.id, "numbers": numbers}):
        trial = TrialRow(*row)
        complete.setdefault(trial.number if trial.group_number is None else trial.group_number, []).append(trial)
    return complete
