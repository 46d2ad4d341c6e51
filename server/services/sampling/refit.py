"""What a study's sampler learns when results come in: done in the background, so that neither tells nor asks wait."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from queue import SimpleQueue
from threading import Lock, Thread
from typing import Any, NamedTuple

import structlog

from server.services.sampling.history import SamplerView, history_at
from server.services.sampling.sampler_pool import SamplerPool
from server.services.studies import lifecycle
from server.store import numerics as numerics_rows
from server.store import rounds as round_rows
from server.store import studies as study_rows
from server.store import trials
from server.store.engine import Database
from server.store.rounds import RoundRow
from server.store.studies import StudyRow
from server.store.trials import DrawnRow
from sturgeon.errors import NotFound, Unavailable
from sturgeon.search.coarse_to_fine import Options
from sturgeon.search.numerics import numerics
from sturgeon.search.rounds import round_at
from sturgeon.search.samplers import Finished
from sturgeon.search.scores import round_starts

log = structlog.get_logger()


class Refitter:
    """One thread a process that learns from new results, a study at a time; many results of a study are learnt from
    at once."""

    def __init__(self, database: Database, thinking: SamplerPool) -> None:
        self._database, self._thinking = database, thinking
        self._todo: SimpleQueue[int | None] = SimpleQueue()
        self._waiting: set[int] = set()
        self._guard = Lock()
        self._thread = Thread(target=self._run, name="learner", daemon=True)
        database.on_change = self.heard_of

    def start(self) -> None:
        self._thread.start()

    def heard_of(self, study_ids: set[int]) -> None:
        """Something changed of what the samplers of these studies see. Returns at once."""
        with self._guard:
            new = study_ids - self._waiting
            self._waiting |= new
        for study_id in new:
            self._todo.put(study_id)

    def stop(self) -> None:
        """What waits is left to the next ask."""
        self._todo.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (study_id := self._todo.get()) is not None:
            with self._guard:
                self._waiting.discard(study_id)
            try:
                with self._database.reading() as tx:
                    study = study_rows.by_id(tx, [study_id]).get(study_id)
                if study is None:
                    self._thinking.forget(study_id)
                elif study.sampler == "coarse_to_fine":
                    refit(self._database, self._thinking, study.name)
            except NotFound:
                pass
            except Unavailable as error:
                log.warning("database is away", thread="learner", reason=error.message)
            except Exception:
                log.exception("learning failed", study=study_id)


class RefitResult(NamedTuple):
    """A study as its sampler sees it now; `round` draws, under the study's revision, and learnt from results of that
    hash."""

    study: StudyRow
    seen: SamplerView
    round: int
    learnt_from: str


def refit(database: Database, thinking: SamplerPool, name: str) -> RefitResult:
    """Prepare the next draw, and keep the round that draws now. It has begun again when what it learnt from has
    changed, as by an invalidated trial. Raises NotFound."""
    with database.reading() as tx:
        study = lifecycle.required(tx, name)
        seen = thinking.history_now(tx, study)
        known = round_rows.known(tx, study.id, study.revision)
    number, first = _latest(seen)
    learnt = RefitResult(study, seen, number, _hash(first))
    if study.sampler != "coarse_to_fine":
        return learnt
    if not thinking.is_overdue(study.id):
        with thinking.lock_of(study):
            thinking.sampler_of(study).prepare(seen.space, study.seed, seen.history)
    if number and (number, learnt.learnt_from) not in known:
        _keep(database, study, [_row(study, seen, study.revision, study.seq)])
    return learnt


def recover_rounds(database: Database, study: StudyRow) -> None:
    """Keep the rounds in which trials were drawn, but which this or a stopped process had no time to keep."""
    with database.reading() as tx:
        known = {(row.revision, row.number) for row in round_rows.of_study(tx, study.id)}
        last_of: dict[tuple[int, int], DrawnRow] = {}
        for trial in trials.drawn(tx, study.id):
            last_of[trial.revision, trial.drawn.get("round") or 0] = trial
        rows = []
        for (revision, number), trial in last_of.items():
            if number and (revision, number) not in known:
                seen = history_at(tx, study, trial.basis_seq, trial.number)
                # Round 1 draws already when half of the results that it shall learn from are there.
                if _latest(seen)[0] == number:
                    rows.append(_row(study, seen, revision, trial.basis_seq))
    _keep(database, study, rows)


def _latest(seen: SamplerView) -> tuple[int, tuple[Finished, ...]]:
    """The number of the round that draws, 0 before the first, and the results that it began with."""
    starts = round_starts(len(seen.space.searched), len(seen.history.finished))
    return len(starts), seen.history.finished[: starts[-1]] if starts else ()


def _row(study: StudyRow, seen: SamplerView, revision: int, seq: int) -> RoundRow:
    number, first = _latest(seen)
    options = Options(**study.sampler_options)
    body: dict[str, Any] = round_at(seen.space, study.seed, first, number, options)._asdict()
    body["boxes"] = [box._asdict() for box in body["boxes"]]
    return RoundRow(study.id, revision, number, _hash(first), seq, body, numerics().fingerprint, at=0)


def _keep(database: Database, study: StudyRow, rows: Sequence[RoundRow]) -> None:
    if not rows:
        return
    with database.writing() as tx:
        # The study may be gone: its rounds would stand alone.
        if lifecycle.required(tx, study.name, lock=True).id != study.id:
            return
        numerics_rows.record(tx, *numerics())
        now = tx.now()
        for row in rows:
            round_rows.keep(tx, replace(row, at=now))


def _hash(first: tuple[Finished, ...]) -> str:
    return hashlib.sha256(repr(first).encode()).hexdigest()[:32]
