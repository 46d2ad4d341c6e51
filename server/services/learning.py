"""What a study's sampler learns when results come in: done in the background, so that neither tells nor asks wait."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from queue import SimpleQueue
from threading import Lock, Thread
from typing import Any, NamedTuple

import structlog

from server.search.coarse_to_fine import Options
from server.search.numerics import numerics
from server.search.rounds import round_at
from server.search.samplers import Finished
from server.search.scores import round_starts
from server.services import studies
from server.services.history import Seen, history_at
from server.services.thinking import Thinking
from server.store import numerics as numerics_rows
from server.store import rounds as round_rows
from server.store import space_revisions
from server.store import studies as study_rows
from server.store.engine import Database, Transaction
from server.store.rounds import RoundRow
from server.store.studies import StudyRow
from sturgeon.errors import NotFound, Unavailable

log = structlog.get_logger()


class Learner:
    """One thread a process that learns from new results, a study at a time; many results of a study are learnt from
    at once."""

    def __init__(self, database: Database, thinking: Thinking) -> None:
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
                    learn(self._database, self._thinking, study.name)
            except NotFound:
                pass
            except Unavailable as error:
                log.warning("database is away", thread="learner", reason=error.message)
            except Exception:
                log.exception("learning failed", study=study_id)


class Learnt(NamedTuple):
    """A study as its sampler sees it now; `round` draws, under `revision`, and learnt from results of that hash."""

    study: StudyRow
    seen: Seen
    round: int
    learnt_from: str


def learn(database: Database, thinking: Thinking, name: str) -> Learnt:
    """Prepare the next draw, and keep the rounds that have begun since somebody looked. Raises NotFound."""
    with database.reading() as tx:
        study = studies.required(tx, name)
        seen = thinking.history_now(tx, study)
        began = _first_number(tx, study)
        rows = round_rows.of_study(tx, study.id)
    known = [(row.number, row.learnt_from) for row in rows if row.revision == study.revision]
    if study.sampler == "coarse_to_fine" and not thinking.is_overdue(study.id):
        with thinking.lock_of(study.id):
            thinking.sampler_of(study).prepare(seen.space, study.seed, seen.history)
    starts = round_starts(len(seen.space.searched), len(seen.history.finished))
    found = Learnt(study, seen, len(starts), _hash(seen.history.finished[: starts[-1]]) if starts else "")
    if study.sampler == "coarse_to_fine":
        _keep(database, found, starts, began, known)
    return found


def _first_number(tx: Transaction, study: StudyRow) -> int:
    """The round that ruled when the space was last revised, at least 1: earlier ones never drew in this space."""
    if study.revision == 0:
        return 1
    seq = space_revisions.until(tx, study.id, study.seq)[-1].seq
    space, history = history_at(tx, study, seq, study.next_number)
    return max(1, len(round_starts(len(space.searched), len(history.finished))))


def _keep(database: Database, found: Learnt, starts: Sequence[int], began: int, known: list[tuple[int, str]]) -> None:
    """Keep the rounds that are not known. One that is over stays as it was first seen; the one that draws now has
    begun again when what it learnt from has changed, as by an invalidated trial."""
    study, finished = found.study, found.seen.history.finished
    over = {number for number, _ in known}
    todo = [number for number in range(began, found.round) if number not in over]
    if found.round and (found.round, found.learnt_from) not in known:
        todo.append(found.round)
    options = Options(**study.sampler_options)
    rows = []
    for number in todo:
        first = finished[: starts[number - 1]]
        body: dict[str, Any] = round_at(found.seen.space, study.seed, first, number, options)._asdict()
        body["boxes"] = [box._asdict() for box in body["boxes"]]
        rows.append((number, _hash(first), body))
    if not rows:
        return
    with database.writing() as tx:
        # The study may be gone: its rounds would stand alone.
        if (now_row := studies.required(tx, study.name, lock=True)).id != study.id:
            return
        numerics_rows.record(tx, *numerics())
        now = tx.now()
        for number, learnt_from, body in rows:
            row = RoundRow(now_row.id, study.revision, number, learnt_from, body, numerics().fingerprint, now)
            round_rows.keep(tx, row)


def _hash(first: tuple[Finished, ...]) -> str:
    return hashlib.sha256(repr(first).encode()).hexdigest()[:32]
