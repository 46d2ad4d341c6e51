"""Refits: the model of a study is fitted anew in the background when a round begins, so that neither tells nor asks
wait for it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from queue import SimpleQueue
from threading import Lock, Thread
from typing import Final, NamedTuple

from server.services import lookup
from server.services.isolation import isolated
from server.services.sampling.history import SamplerView, round_of
from server.services.sampling.past import history_at
from server.services.sampling.sampler_pool import SamplerPool
from server.services.sampling.tally import Tally
from server.store import numerics as numerics_rows
from server.store import rounds as round_rows
from server.store import studies as study_rows
from server.store.engine import ChangedStudies, Database
from server.store.rounds import RoundRow
from server.store.studies import StudyRow
from sturgeon.errors import NotFound
from sturgeon.identifiers import StudyId
from sturgeon.search.coarse_to_fine import Options
from sturgeon.search.numerics import numerics
from sturgeon.search.results import Results
from sturgeon.search.rounds import round_at
from sturgeon.search.samplers import evidence_of
from sturgeon.search.scores import round_starts
from sturgeon.threads import supervised

THREAD: Final = "refit"


class Refitter:
    """A thread that fits the models anew when a round may begin, one study at a time.

    A round begins with every 15 % more results; in between an ask takes new ones into the model at little cost. What
    comes in while a study waits for its turn is one refit. A study that fails does not hold up the others.
    """

    def __init__(self, database: Database, sampler_pool: SamplerPool) -> None:
        self._database, self._sampler_pool = database, sampler_pool
        self._todo: SimpleQueue[StudyId | None] = SimpleQueue()
        self._waiting: set[StudyId] = set()
        self._nothing_to_fit: set[StudyId] = set()  # a study keeps its sampler; each of its results comes by here
        self._guard = Lock()
        self._thread: Thread | None = None
        database.on_commit(self.enqueue)

    def start(self) -> None:
        """Start the thread. After an unexpected error it goes on with the next study."""
        self._thread = supervised(THREAD, self._run, on_failure=lambda _error: True)

    def enqueue(self, changed: ChangedStudies) -> None:
        """Refit these studies soon where a round may begin by what has changed. Returns at once."""
        may = {study_id for study_id, seq in changed.items() if self._sampler_pool.may_begin_round(study_id, seq)}
        if not may:
            return
        with self._guard:
            new = may - self._waiting - self._nothing_to_fit
            self._waiting |= new
        for study_id in new:
            self._todo.put(study_id)

    def stop(self) -> None:
        """End the thread after the refit that it is in. What still waits is left to the next ask."""
        self._todo.put(None)
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        while (study_id := self._todo.get()) is not None:
            with self._guard:
                self._waiting.discard(study_id)
            # NotFound: the study was deleted meanwhile.
            with isolated(THREAD, study=study_id), suppress(NotFound):
                self._refit(study_id)

    def _refit(self, study_id: StudyId) -> None:
        with self._database.reading() as tx:
            study = study_rows.by_id(tx, [study_id]).get(study_id)
        if study is None:
            self._sampler_pool.forget(study_id)
        elif study.sampler == "coarse_to_fine":
            refit(self._database, self._sampler_pool, study.name)
        else:
            with self._guard:
                self._nothing_to_fit.add(study_id)


class RefitResult(NamedTuple):
    """A study as its sampler sees it now.

    round: the number of the round that draws now. learnt_from: the hash of the results that this round began with.
    """

    study: StudyRow
    view: SamplerView
    round: int
    learnt_from: str


def refit(database: Database, sampler_pool: SamplerPool, name: str) -> RefitResult:
    """Prepare the next draw, and store the round that draws now. Raises: NotFound.

    A round begins again when the results that it began with change, for instance when a trial becomes invalid.
    """
    with database.reading() as tx:
        study = lookup.get_study(tx, name)
        view = sampler_pool.history_now(tx, study)
        known = round_rows.known(tx, study.id, study.revision)
    number, first = _latest(view)
    result = RefitResult(study, view, number, _hash(first))
    if study.sampler != "coarse_to_fine":
        return result
    if not sampler_pool.is_overdue(study.id):
        with sampler_pool.lock_of(study):
            sampler_pool.sampler_of(study).prepare(view.space, study.seed, view.history)
    if number and (number, result.learnt_from) not in known:
        _store_rounds(database, study, [_row(study, view, study.revision, study.seq)])
    sampler_pool.cache_of(study).refitted = round_of(
        study.revision, evidence_of(view.history, len(view.space.searched))
    )
    return result


def recover_rounds(database: Database, study: StudyRow, tally: Tally) -> None:
    """Store the rounds that have drawn trials but were not stored, since a process had no time to, or was stopped."""
    with database.reading() as tx:
        known = {(row.revision, row.number) for row in round_rows.of_study(tx, study.id)}
        rows = []
        for (revision, number), drawn in tally.rounds.items():
            if number and (revision, number) not in known:
                view = history_at(tx, study, drawn.basis, drawn.last)
                # Round 1 draws already when it has half of the results that it is to learn from.
                if _latest(view)[0] == number:
                    rows.append(_row(study, view, revision, drawn.basis))
    _store_rounds(database, study, rows)


def _latest(view: SamplerView) -> tuple[int, Results]:
    """The number of the round that draws now, 0 before the first, and the results that it began with, or the selection
    of them."""
    dimensions = len(view.space.searched)
    evidence = evidence_of(view.history, dimensions)
    return len(round_starts(dimensions, evidence.total)), evidence.first


def _row(study: StudyRow, view: SamplerView, revision: int, seq: int) -> RoundRow:
    number, first = _latest(view)
    options = Options(**study.sampler_options)
    start = evidence_of(view.history, len(view.space.searched)).rounds[-1].start
    body = round_at(view.space, study.seed, first, number, options, start).body()
    return RoundRow(study.id, revision, number, _hash(first), seq, body, numerics().fingerprint, at=0)


def _store_rounds(database: Database, study: StudyRow, rows: Sequence[RoundRow]) -> None:
    if not rows:
        return
    with database.writing() as tx:
        # The study may have been deleted, and another one created under its name.
        if lookup.lock_study(tx, study.name).id != study.id:
            return
        numerics_rows.record(tx, *numerics())
        now = tx.now()
        for row in rows:
            round_rows.insert(tx, replace(row, at=now))


def _hash(first: Results) -> str:
    return hashlib.sha256(first.content).hexdigest()[:32]
