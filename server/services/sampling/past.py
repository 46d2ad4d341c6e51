"""What samplers saw when past trials were drawn, so that these can be drawn again. The trials are read once, however
many times are asked for."""

from __future__ import annotations

from collections.abc import Sequence

from server.services.sampling.history import (
    SamplerView,
    evidence_at,
    looks_back,
    point_of,
    results_of,
    revisions_until,
    view_of,
)
from server.store import results
from server.store.engine import Transaction
from server.store.results import ResultRow
from server.store.studies import StudyRow
from sturgeon.direction import sign_of
from sturgeon.identifiers import TrialNumber
from sturgeon.search.cube import Cube
from sturgeon.search.distinct import NO_KEYS
from sturgeon.search.evidence import Evidence, extended, no_evidence, takes_all
from sturgeon.search.keys import KeySet
from sturgeon.search.moments import Moments, ResultsSeen, SeenTrial, Taken
from sturgeon.search.revisions import Revision


class Past:
    """The trials of a study with numbers less than `below`, and when each was seen."""

    def __init__(self, tx: Transaction, study: StudyRow, below: int) -> None:
        self._study, self._below = study, below
        sign = sign_of(study.direction)
        rows = results.past(tx, study.id, below)
        self._moments = Moments([SeenTrial(*row[:-1], None if row.score is None else sign * row.score) for row in rows])
        self._gaps = results.gaps(tx, study.id)
        self._spaces = revisions_until(tx, study, study.seq)
        self._rows: dict[int, dict[TrialNumber, ResultRow]] = {}
        self._taken: dict[int, Taken] = {}

    def view(self, tx: Transaction, basis: int, below: int) -> SamplerView:
        """What the sampler of trial `below` saw at the study's sequence number `basis`. Of replicates, `below` is the
        number of the first."""
        revisions = [revision for seq, revision in self._spaces if seq <= basis]
        away = [number for number, left, back in self._gaps if left <= basis < back]
        numbers = self._moments.running(basis, below, away)
        running = results.placed(tx, self._study.id, numbers, revisions[-1].number)
        seen = self._moments.results(basis)
        if self._study.replicates > 1:
            members = self._results(tx, revisions, seen.numbers.tolist())
            view = view_of(self._study, revisions, running, no_evidence(len(revisions[-1].space.searched)), members)
        else:
            view = view_of(self._study, revisions, running, self._evidence(tx, revisions, seen), [])
        return view._replace(history=view.history._replace(handed_out=self._handed_out(tx, revisions, below)))

    def _evidence(self, tx: Transaction, revisions: list[Revision], seen: ResultsSeen) -> Evidence:
        total, dimensions = len(seen.numbers), len(revisions[-1].space.searched)
        if len(revisions) == 1 and not takes_all(total):
            return evidence_at(
                total,
                dimensions,
                lambda first: results_of(self._study, revisions, self._results(tx, revisions, seen.chosen(first))),
            )
        rows = self._results(tx, revisions, seen.numbers.tolist())
        return extended(no_evidence(dimensions), results_of(self._study, revisions, rows))

    def _results(self, tx: Transaction, revisions: list[Revision], numbers: Sequence[int]) -> list[ResultRow]:
        """The results of these trials; each is read when it is first asked for."""
        rows = self._rows.setdefault(revisions[-1].number, {})
        wanted = [TrialNumber(number) for number in numbers]
        missing = [number for number in wanted if number not in rows]
        rows |= results.of_numbers(tx, self._study.id, missing, revisions[-1].number)
        return [rows[number] for number in wanted]

    def _handed_out(self, tx: Transaction, revisions: list[Revision], below: int) -> KeySet:
        if not looks_back(self._study, revisions):
            return NO_KEYS
        revision = revisions[-1]
        if revision.number not in self._taken:
            rows = results.handed_out(tx, self._study.id, 0, self._below, revision.number)
            placed = [(row.number, point) for row in rows if (point := point_of(revisions, row)) is not None]
            self._taken[revision.number] = Taken(Cube(revision.space), placed)
        return self._taken[revision.number].before(below)


def history_at(tx: Transaction, study: StudyRow, basis: int, below: int) -> SamplerView:
    """What the sampler of trial `below` saw at the study's sequence number `basis`. For one trial; else see `Past`."""
    return Past(tx, study, below).view(tx, basis, below)
