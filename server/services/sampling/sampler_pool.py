"""The samplers of a server process: they draw without a transaction, for no longer than an ask may wait."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from concurrent.futures import TimeoutError as TooSlow
from dataclasses import dataclass, field
from threading import Lock
from typing import Final

import structlog

from server.services.sampling.draw_threads import DrawThreads
from server.services.sampling.history import SamplerView, Snapshot, history_now
from server.services.sampling.tally import Tally, tally_now
from server.store.engine import Transaction
from server.store.studies import StudyRow
from sturgeon import messages
from sturgeon.identifiers import StudyId, TrialNumber
from sturgeon.search.memo import Memo
from sturgeon.search.registry import SAMPLERS
from sturgeon.search.samplers import Build, Running, Sample, Sampler
from sturgeon.threads import note_failure, reason_of

DRAW_WITHIN_S: Final = 2.0
"""A sampler that takes longer is not waited for."""

MOST_CACHED: Final = 64
"""The number of studies that have a cache, of a few megabytes at most each."""

log = structlog.get_logger()


@dataclass(frozen=True)
class DrawRequest:
    """The next `count` samples of a study, to be drawn from what the sampler sees at the `seq` of the study's row."""

    study: StudyRow
    sampler: Sampler
    count: int
    view: SamplerView

    @property
    def numbers(self) -> list[TrialNumber]:
        """The trial number of each sample; of replicates the number of the first."""
        start, step = self.study.next_number, self.study.replicates
        return [TrialNumber(number) for number in range(start, start + self.count * step, step)]


def sample_number(study: StudyRow, number: TrialNumber) -> int:
    """The sampler's own number for the sample of a trial; replicates of one sample leave no gap in this sequence."""
    return number // study.replicates


@dataclass
class StudyCache:
    """What a process has computed and read of a study, for the next draw. It saves work and changes no result.

    made: when the study was created, and its seed. They tell it from a deleted study that had the same id: SQLite uses
    ids again. refitted: the round that was refitted last, see `round_of`.
    """

    made: tuple[int, int]
    memo: Memo = field(default_factory=Memo)
    lock: Lock = field(default_factory=Lock)
    snapshot: Snapshot | None = None
    tally: Tally | None = None
    refitted: tuple[int, int] | None = None
    _guard: Lock = field(default_factory=Lock)

    def keep_snapshot(self, read: Snapshot) -> None:
        """Keep what was read, unless a later read is kept: threads that read beside each other end in any order."""
        with self._guard:
            if self.snapshot is None or self.snapshot.at <= read.at:
                self.snapshot = read

    def keep_tally(self, read: Tally) -> None:
        """As `keep_snapshot`."""
        with self._guard:
            if self.tally is None or self.tally.at <= read.at:
                self.tally = read


@dataclass
class SamplerPool:
    """The samplers of one process, with a lock and a cache for each study. Both only save work: every draw would be the
    same without them."""

    samplers: dict[str, Build] = field(default_factory=lambda: dict(SAMPLERS))
    draw_within_s: float = DRAW_WITHIN_S
    _caches: OrderedDict[int, StudyCache] = field(default_factory=OrderedDict)
    _overdue: set[int] = field(default_factory=set)
    _guard: Lock = field(default_factory=Lock)
    _threads: DrawThreads = field(default_factory=DrawThreads)

    def lock_of(self, study: StudyRow) -> Lock:
        """Held by a thread that draws for the study, or refits its model."""
        return self.cache_of(study).lock

    def sampler_of(self, study: StudyRow, memo: Memo | None = None) -> Sampler:
        """The study's sampler, with the memo of the study's cache, or with another `memo`."""
        build = self.samplers[study.sampler]
        return build(study.sampler_options, self.cache_of(study).memo if memo is None else memo)

    def history_now(self, tx: Transaction, study: StudyRow) -> SamplerView:
        """What the study's sampler sees now. Only what is new since this process's last read is read."""
        cache = self.cache_of(study)
        view, snapshot = history_now(tx, study, cache.snapshot)
        cache.keep_snapshot(snapshot)
        return view

    def may_begin_round(self, study_id: StudyId, seq: int | None) -> bool:
        """Whether a round may begin by what has changed up to the study's sequence number `seq`: without a look at the
        database, which alone says how much of it were results. seq: None where earlier results have changed."""
        with self._guard:
            cache = self._caches.get(study_id)
        if cache is None or cache.snapshot is None or seq is None:
            return True
        return cache.refitted != cache.snapshot.round or cache.snapshot.may_begin_round(seq)

    def knows_history(self, study: StudyRow) -> bool:
        """Whether `history_now` has little to read: what is new since it was called in this process."""
        snapshot = self.cache_of(study).snapshot
        return snapshot is not None and snapshot.revisions[-1].number == study.revision

    def tally_now(self, tx: Transaction, study: StudyRow) -> Tally:
        """What each round has drawn and found so far. Only what is new since this process's last read is read."""
        cache = self.cache_of(study)
        tally = tally_now(tx, study, cache.tally)
        cache.keep_tally(tally)
        return tally

    def cache_of(self, study: StudyRow) -> StudyCache:
        """The study's cache, an empty one where there is none yet."""
        made = (study.created_at, study.seed)
        with self._guard:
            cache = self._caches.get(study.id)
            if cache is None or cache.made != made:
                cache = self._caches[study.id] = StudyCache(made)
            self._caches.move_to_end(study.id)
            self._evict()
            return cache

    def _evict(self) -> None:
        """Keep MOST_CACHED caches, those that were used last, and beyond them only those whose lock is held."""
        idle = [study_id for study_id, cache in self._caches.items() if not cache.lock.locked()]
        for study_id in idle[: max(0, len(self._caches) - MOST_CACHED)]:
            del self._caches[study_id]

    def forget(self, study_id: StudyId) -> None:
        """Drop what is cached of a study that was deleted."""
        with self._guard:
            self._caches.pop(study_id, None)

    def is_overdue(self, study_id: StudyId) -> bool:
        """Whether a draw for the study still runs that was given up as too slow."""
        return study_id in self._overdue

    def draw(self, request: DrawRequest) -> tuple[list[Sample], messages.Fallback | None]:
        """The samples of the request, or the first of them where the time is up; without any, the reason."""
        if self.is_overdue(request.study.id):
            return [], "slow"
        return self.drawn_by(self.begin(request))

    def begin(self, request: DrawRequest) -> Drawing:
        """Draw the samples of the request: at once, or in another thread where that might be slow."""
        drawing = Drawing(request)
        if request.sampler.is_quick(request.view.space):
            drawing.run()
        else:
            self._threads.run(drawing.run)
        return drawing

    def drawn_by(self, drawing: Drawing) -> tuple[list[Sample], messages.Fallback | None]:
        """As `draw`, of one that has begun."""
        if not drawing.is_over(self.draw_within_s):
            study = drawing.request.study
            self._overdue.add(study.id)
            drawing.when_over(lambda: self._overdue.discard(study.id))
            log.warning("sampler is slow", sampler=drawing.request.sampler.name, study=study.name)
        samples, has_failed = drawing.so_far()
        if has_failed:
            return [], "error"
        return samples, None if samples else "slow"


class Drawing:
    """Samples that are being drawn."""

    def __init__(self, request: DrawRequest) -> None:
        self.request = request
        self._drawn: list[Sample] = []
        self._over: Future[None] = Future()

    def run(self) -> None:
        """Draw them. A failure is logged and counted, and raises nothing."""
        try:
            for sample in draws(self.request):
                self._drawn.append(sample)
        except BaseException as error:
            about = log.bind(sampler=self.request.sampler.name, study=self.request.study.name)
            note_failure("sampler", error, about)
            self._over.set_exception(error if isinstance(error, Exception) else RuntimeError(reason_of(error)))
        else:
            self._over.set_result(None)

    def is_over(self, within_s: float) -> bool:
        """Whether all are drawn, or one could not be. It waits for that no longer than so many seconds."""
        try:
            self._over.exception(timeout=max(0.0, within_s))
        except TooSlow:
            return False
        return True

    def when_over(self, step: Callable[[], None]) -> None:
        """Call `step` when all are drawn, or one could not be; at once if that is so."""
        self._over.add_done_callback(lambda _: step())

    def so_far(self) -> tuple[list[Sample], bool]:
        """Those that are drawn; and whether one could not be."""
        return self._drawn[: self.request.count], self._over.done() and self._over.exception() is not None


def draws(request: DrawRequest) -> Iterator[Sample]:
    """The samples of the request, each of which sees those before it as running.

    Raises: ValueError (a point lies outside of the cube).
    """
    space, history = request.view
    running = history.running
    for number in request.numbers:
        own_number = sample_number(request.study, number)
        view = history._replace(running=running)
        sample = request.sampler.draw(space, request.study.seed, own_number, view)
        if len(sample.point) != len(space.searched) or not all(0.0 <= u <= 1.0 for u in sample.point):
            raise ValueError(f"the sampler {request.sampler.name} left the unit cube: {sample.point}")
        yield sample
        running = (*running, Running(number, sample.point))
