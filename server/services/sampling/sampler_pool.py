"""THINK: a study's sampler at work, without a transaction, and for no longer than an ask may wait."""

from __future__ import annotations

from collections import OrderedDict
from concurrent.futures import Future
from concurrent.futures import TimeoutError as TooSlow
from dataclasses import dataclass, field
from threading import Lock, Thread
from typing import Final

import structlog

from server.services.sampling.history import SamplerView, Snapshot, history_now
from server.store.engine import Transaction
from server.store.studies import StudyRow
from sturgeon import messages
from sturgeon.search.memo import Memo
from sturgeon.search.registry import SAMPLERS, Build, SamplerOptions
from sturgeon.search.samplers import Running, Sample, Sampler

THINK_S: Final = 2.0
"""A sampler that takes longer is not waited for."""

MOST_KEPT: Final = 64
"""Studies whose work is kept: a few megabytes each at most."""

log = structlog.get_logger()


@dataclass(frozen=True)
class DrawRequest:
    """What a THINK works on: the next `count` samples of a study, as seen at its row's seq."""

    study: StudyRow
    sampler: Sampler
    count: int
    seen: SamplerView

    @property
    def numbers(self) -> range:
        """Of each sample the number of its trial, of replicates of the first."""
        start, step = self.study.next_number, self.study.replicates
        return range(start, start + self.count * step, step)


def sample_number(study: StudyRow, number: int) -> int:
    """The sampler's own number for the sample of a trial, of replicates the first: they leave no gap in a sequence."""
    return number // study.replicates


@dataclass
class StudyCache:
    """Work of a process on a study, for the next time; without it all comes out the same.

    `of`: when the study was made, and its seed. SQLite gives the number of a deleted study to the next one, and another
    process may have deleted it.
    """

    of: tuple[int, int]
    memo: Memo = field(default_factory=Memo)
    lock: Lock = field(default_factory=Lock)
    snapshot: Snapshot | None = None


@dataclass
class SamplerPool:
    """What the thoughts of one process share: the samplers, and of each study a lock and what is kept of it. These two
    save work, no more: whoever thinks without them thinks the same."""

    samplers: dict[str, Build] = field(default_factory=lambda: dict(SAMPLERS))
    think_s: float = THINK_S
    _kept: OrderedDict[int, StudyCache] = field(default_factory=OrderedDict)
    _overdue: set[int] = field(default_factory=set)
    _guard: Lock = field(default_factory=Lock)

    def lock_of(self, study: StudyRow) -> Lock:
        """Whoever holds it draws, or learns, alone for the study in this process."""
        return self.kept_of(study).lock

    def sampler_of(self, study: StudyRow, memo: Memo | None = None) -> Sampler:
        """The study's sampler, with what it learnt before, or with another `memo`."""
        build = self.samplers[study.sampler]
        return build(SamplerOptions(**study.sampler_options), self.kept_of(study).memo if memo is None else memo)

    def history_now(self, tx: Transaction, study: StudyRow) -> SamplerView:
        """What the study's sampler may see now; of what this process has read before it reads only what is new."""
        kept = self.kept_of(study)
        seen, kept.snapshot = history_now(tx, study, kept.snapshot)
        return seen

    def kept_of(self, study: StudyRow) -> StudyCache:
        of = (study.created_at, study.seed)
        with self._guard:
            kept = self._kept.get(study.id)
            if kept is None or kept.of != of:
                kept = self._kept[study.id] = StudyCache(of)
            self._kept.move_to_end(study.id)
            self._let_go()
            return kept

    def _let_go(self) -> None:
        """Keep no more than so many, those that were used last; and those that somebody holds."""
        idle = [study_id for study_id, kept in self._kept.items() if not kept.lock.locked()]
        for study_id in idle[: max(0, len(self._kept) - MOST_KEPT)]:
            del self._kept[study_id]

    def forget(self, study_id: int) -> None:
        """The study is gone."""
        with self._guard:
            self._kept.pop(study_id, None)

    def is_overdue(self, study_id: int) -> bool:
        """A thought of the study's that nobody waits for any more still goes on."""
        return study_id in self._overdue

    def think(self, plan: DrawRequest) -> tuple[list[Sample], messages.Fallback | None]:
        """The first samples of the plan, all of them if there is time; or why there is none."""
        if self.is_overdue(plan.study.id):
            return [], "slow"
        found: list[Sample] = []
        over: Future[None] = Future()
        # A thread of its own, which does not hold up others, nor the end of the process, when it does not end.
        Thread(target=_think, args=(plan, found, over), name="sampler", daemon=True).start()
        try:
            over.result(timeout=self.think_s)
        except TooSlow:
            self._overdue.add(plan.study.id)
            over.add_done_callback(lambda _: self._overdue.discard(plan.study.id))
            log.warning("sampler is slow", sampler=plan.sampler.name, study=plan.study.name, found=len(found))
        except Exception:
            log.exception("sampler failed", sampler=plan.sampler.name, study=plan.study.name)
            return [], "error"
        samples = found[: plan.count]
        return samples, None if samples else "slow"


def _think(plan: DrawRequest, found: list[Sample], over: Future[None]) -> None:
    """The samples of the plan, each seeing those before it as running."""
    try:
        space, history = plan.seen
        running = history.running
        for number in plan.numbers:
            place = sample_number(plan.study, number)
            sample = plan.sampler.draw(space, plan.study.seed, place, history._replace(running=running))
            if len(sample.point) != len(space.searched) or not all(0.0 <= u <= 1.0 for u in sample.point):
                raise ValueError(f"the sampler {plan.sampler.name} left the unit cube: {sample.point}")
            found.append(sample)
            running = (*running, Running(number, sample.point))
    except Exception as error:
        over.set_exception(error)
    else:
        over.set_result(None)
