"""SQL on how trials came to their parameters."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

import sqlalchemy as sa

from server.store.engine import Transaction
from server.store.tables import trials
from sturgeon.identifiers import StudyId, TrialNumber

_DRAWN: Final = sa.and_(trials.c.study_id == sa.bindparam("study"), trials.c.sampler.is_not(None))
_ROUND: Final = trials.c.drawn["round"].as_integer()


class DrawnRow(NamedTuple):
    """How a trial was drawn, in a round of coarse to fine."""

    number: TrialNumber
    revision: int
    round: int
    basis_seq: int


_DRAWN_SINCE: Final = (
    sa.select(trials.c.number, trials.c.revision, _ROUND, trials.c.basis_seq)
    .where(_DRAWN, trials.c.number >= sa.bindparam("start"), _ROUND.is_not(None))
    .order_by(trials.c.number)
)


def drawn_since(tx: Transaction, study_id: StudyId, start: int) -> Iterator[DrawnRow]:
    """The trials from number `start` on that a round drew, by number; each is read when its turn is."""
    return map(DrawnRow._make, tx.execute(_DRAWN_SINCE, {"study": study_id, "start": start}))


class FoundRow(NamedTuple):
    """A complete trial that a round drew."""

    number: TrialNumber
    revision: int
    round: int
    value: float


_FOUND_SINCE: Final = sa.select(trials.c.number, trials.c.revision, _ROUND, trials.c.value).where(
    _DRAWN,
    # Not IS_BEST: SQLite would read all of that index.
    trials.c.state == "complete",
    trials.c.invalid_seq.is_(None),
    trials.c.value.is_not(None),
    trials.c.left_seq > sa.bindparam("seq"),
    _ROUND.is_not(None),
)


def found_since(tx: Transaction, study_id: StudyId, seq: int) -> Iterator[FoundRow]:
    """The complete, valid trials that a round drew and that ended after `seq`; each is read when its turn is."""
    return map(FoundRow._make, tx.execute(_FOUND_SINCE, {"study": study_id, "seq": seq}))
