"""What each round has drawn and found so far: kept, so that a look at it reads only what is new."""

from __future__ import annotations

from typing import NamedTuple

from server.store import draws, results
from server.store.engine import Transaction
from server.store.studies import StudyRow
from sturgeon.direction import sign_of
from sturgeon.identifiers import TrialNumber


class InRound(NamedTuple):
    """`trials`: how many a round has drawn, the last of them `last`, at the sequence number `basis`. `best`: the best
    value, negated where more is better, with its trial."""

    trials: int
    last: TrialNumber
    basis: int
    best: tuple[float, TrialNumber] | None = None


class Tally(NamedTuple):
    """(revision, round) -> what it has drawn and found: of the trials before number `below`, up to `seq`."""

    seq: int = 0
    below: int = 0
    rounds: dict[tuple[int, int], InRound] = {}  # noqa: RUF012 - it is never changed, but replaced

    @property
    def at(self) -> tuple[int, int]:
        """Of two tallies of a study the later one has more."""
        return self.seq, self.below


def tally_now(tx: Transaction, study: StudyRow, before: Tally | None) -> Tally:
    """The present tally. `before` saves reading, unless a trial has become invalid since, or it is newer than this
    transaction."""
    if (
        before is None
        or before.seq > study.seq
        or before.below > study.next_number
        or results.any_invalid_since(tx, study.id, before.seq)
    ):
        before = Tally()
    rounds, sign = dict(before.rounds), sign_of(study.direction)
    for row in draws.drawn_since(tx, study.id, before.below):
        known = rounds.get((row.revision, row.round))
        best = None if known is None else known.best
        trials = 1 if known is None else known.trials + 1
        rounds[row.revision, row.round] = InRound(trials, row.number, row.basis_seq, best)
    for found in draws.found_since(tx, study.id, before.seq):
        known = rounds[found.revision, found.round]
        score = (sign * found.value, found.number)
        if known.best is None or score < known.best:
            rounds[found.revision, found.round] = known._replace(best=score)
    return Tally(study.seq, study.next_number, rounds)
