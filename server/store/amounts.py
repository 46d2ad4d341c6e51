"""SQL on amounts: how many trials of a study are in each state, and what they have used.

No index knows a sum, and to add up all trials takes as long as the study is. So what the ended ones come to is kept, up
to a number of the study's sequence, and only what has ended since and what goes on is read. Of large studies it is also
stored, for the next start. An ended trial changes no more, unless a person requeues it: then there are more trials than
numbers were given, and all are added up again.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final, NamedTuple

import sqlalchemy as sa

from server.store import ended_sums
from server.store.engine import Transaction
from server.store.kept_amounts import Amounts, EndedUpTo
from server.store.tables import studies, trials

MOST_EPOCHS: Final = 1e30
"""A trial counts with so many epochs at most. None that reports what it may comes near it; but rows from before epochs
were limited may hold more, and PostgreSQL refuses a sum that overflows."""
KEEP_EVERY: Final = 256
"""So many results at least lie between two sums that are kept, or before the first: a reader whose snapshot is older
than the kept sum adds up all trials."""


def _at_most(column: sa.Column[float], most: float) -> sa.ColumnElement[float]:
    return sa.case((column > most, most), else_=column)


_SUMS: Final = (
    trials.c.state,
    sa.func.count(),
    sa.func.sum(_at_most(trials.c.spent_epochs, MOST_EPOCHS)),
    sa.func.sum(trials.c.spent_us),
)
_AMONG: Final = trials.c.study_id.in_(sa.bindparam("studies", expanding=True))
_OF_STUDIES: Final = sa.select(trials.c.study_id, *_SUMS).group_by(trials.c.study_id, trials.c.state).where(_AMONG)
_GOING_ON: Final = _OF_STUDIES.where(trials.c.left_seq.is_(None))
_ENDED: Final = _OF_STUDIES.where(trials.c.left_seq.is_not(None))
# No trial left later than the study's number says. PostgreSQL needs the bound to see that these are few: it takes the
# numbers of all studies together, of which most may be greater than the last one of this study.
_ENDED_SINCE: Final = (
    sa.select(*_SUMS)
    .group_by(trials.c.state)
    .where(
        trials.c.study_id == sa.bindparam("study"),
        trials.c.left_seq.between(sa.bindparam("first"), sa.bindparam("last")),
    )
)
_STUDIES: Final = sa.select(studies.c.id, studies.c.seq, studies.c.next_number).where(
    studies.c.id.in_(sa.bindparam("studies", expanding=True))
)


class _Sums(NamedTuple):
    """Of the ended trials of a study, and of all."""

    ended: Amounts
    all: Amounts


def of_studies(tx: Transaction, study_ids: Collection[int]) -> dict[int, Amounts]:
    """Study id -> what its trials come to."""
    present = {one: (seq, given) for one, seq, given in tx.execute(_STUDIES, {"studies": list(study_ids)})}
    kept = tx.kept_amounts
    unread = [one for one, (seq, _) in present.items() if one not in kept and seq >= ended_sums.STORE_EVERY]
    found = ended_sums.of_studies(tx, unread) | {one: kept[one] for one in present if one in kept}
    known = {one: ended for one, ended in found.items() if ended.seq <= present[one][0]}
    last = {one: seq for one, (seq, _) in present.items()}
    sums = _sums(tx, last, known)
    if requeued := {one for one in known if sums[one].all.trials != present[one][1]}:
        known = {one: ended for one, ended in known.items() if one not in requeued}
        sums |= _sums(tx, {one: last[one] for one in requeued}, {})
    for one in known.keys() - kept.keys():
        tx.after_commit(kept.__setitem__, one, known[one])
    for one, (seq, _) in present.items():
        if seq - (known[one].seq if one in known else 0) >= KEEP_EVERY:
            tx.after_commit(kept.__setitem__, one, EndedUpTo(seq, sums[one].ended))
    return {one: sums[one].all if one in sums else Amounts() for one in study_ids}  # one may be deleted


def _sums(tx: Transaction, last: Mapping[int, int], known: Mapping[int, EndedUpTo]) -> dict[int, _Sums]:
    """last: study id -> the last number of its sequence. known: what is kept of some of these studies."""
    ended = {one: known[one].amounts.copy() if one in known else Amounts() for one in last}
    for one, since in known.items():
        for state, *sums in tx.execute(_ENDED_SINCE, {"study": one, "first": since.seq + 1, "last": last[one]}):
            ended[one].add(state, *sums)
    _add(tx, _ENDED, last.keys() - known.keys(), ended)
    present = {one: amounts.copy() for one, amounts in ended.items()}
    _add(tx, _GOING_ON, last.keys(), present)
    return {one: _Sums(ended[one], present[one]) for one in last}


def _add(tx: Transaction, statement: sa.Select[Any], study_ids: Collection[int], used: dict[int, Amounts]) -> None:
    if study_ids:
        for study_id, state, *sums in tx.execute(statement, {"studies": sorted(study_ids)}):
            used[study_id].add(state, *sums)
