"""The ask: an answer that was given before, else queued trials, else new ones, in one transaction that locks the study.

A sampler that draws quickly does so within that transaction. One that takes longer goes on without it, and a second
transaction writes the trials if their numbers are still free: correctness rests on the numbers alone.
"""

from __future__ import annotations

import math
import random
import time
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import Final

from server.services import lookup, views
from server.services.idempotency import IdempotencyKey, KeyTaken, answer_of, claim_answered
from server.services.leases.new_trials import insert_leased
from server.services.leases.stacks import Dispatched, DispatchRequest, take_queued
from server.services.metrics import Counters
from server.services.runs import pruning, versions
from server.services.runs.resume import begin_again
from server.services.sampling.exhaustion import samples_left
from server.services.sampling.history import SamplerView
from server.services.sampling.sampler_pool import Drawing, DrawRequest, SamplerPool, draws
from server.services.transactions import Scope
from server.store import leases
from server.store import studies as study_rows
from server.store.engine import Database, Transaction
from server.store.studies import StudyRow
from sturgeon import messages
from sturgeon.search.memo import Memo
from sturgeon.search.registry import REGISTERED, SAMPLERS
from sturgeon.search.samplers import NOTHING, Sample, Sampler

UNIFORM: Final = SAMPLERS["random"]({}, Memo())

NOTHING_TOLD: Final = messages.RunVersions()

RACES: Final = 8
"""After so many lost races the point is drawn uniformly inside the write transaction."""

LOCK_WITHIN_S: Final = 0.02
DRAW_WITHIN_S: Final = 0.1
"""A transaction that locks the study waits so long for another thread that draws for it, and for a draw. Nobody takes
the numbers meanwhile. It is a moment for whoever else wants to write, and many times what a fitted model takes."""


@dataclass
class AskContext:
    """What the asks of one process share."""

    database: Database
    counters: Counters
    sampler_pool: SamplerPool = field(default_factory=SamplerPool)


@dataclass(frozen=True)
class Ask:
    """A request for trials of one study."""

    asks: AskContext
    name: str
    wanted: DispatchRequest
    key: IdempotencyKey
    told: messages.RunVersions


def ask(asks: AskContext, name: str, request: messages.AskRequest, key: IdempotencyKey) -> messages.Leases:
    """Hand out queued trials of the study, else new ones. Raises: NotFound, IdempotencyMismatch."""
    wanted = DispatchRequest(request.count, request.worker, request.lease_s * 1_000_000)
    return dispatch(asks, name, wanted, key, messages.RunVersions(code=request.code_version))


def dispatch(
    asks: AskContext,
    name: str,
    wanted: DispatchRequest,
    key: IdempotencyKey,
    told: messages.RunVersions = NOTHING_TOLD,
) -> messages.Leases:
    """Lease queued trials of the study, else new ones; when there are none, the answer says why. told: the code that
    they will run with.

    Where stacks are wanted, more trials may be drawn than go out: those without stack peers are queued.
    Raises: NotFound, IdempotencyMismatch.
    """
    one = Ask(asks, name, wanted, key, told)
    with asks.counters.ask_seconds.time():
        try:
            return _dispatch(one)
        except KeyTaken:
            return _dispatch(one)


def _dispatch(one: Ask) -> messages.Leases:
    """Again while other transactions take the numbers of a slow draw first; at last a uniform point."""
    pool = one.asks.sampler_pool
    deadline = time.monotonic() + pool.draw_within_s
    fallback: messages.Fallback = "contention"
    for race in range(RACES):
        with ExitStack() as locked:
            step: messages.Leases | Drawing | StudyRow | None = _in_one_transaction(one, locked, is_first=race == 0)
            if isinstance(step, StudyRow):  # another thread draws for it for longer, or there is much to read
                if not _lock(pool, step, locked, deadline - time.monotonic()):
                    fallback = "slow" if pool.is_overdue(step.id) else "contention"
                    break
                _read(one)
                step = _in_one_transaction(one, locked, has_lock=True)
            if isinstance(step, Drawing):
                samples, failed = pool.drawn_by(step)
                if failed is not None:
                    fallback = failed
                    break
                step = _write(one, step.request, samples)
            if isinstance(step, messages.Leases):
                return step
        time.sleep(random.uniform(0.001, 0.005))
    step = _in_one_transaction(one, ExitStack(), fallback=fallback)
    assert isinstance(step, messages.Leases)
    return step


def _lock(pool: SamplerPool, study: StudyRow, locked: ExitStack, within_s: float) -> bool:
    """Hold the study's lock of this process until `locked` ends: a thread that draws before another one's trials are
    written draws for numbers that are taken."""
    lock = pool.lock_of(study)
    if not lock.acquire(timeout=max(0.0, within_s)):
        return False
    locked.callback(lock.release)
    return True


def _read(one: Ask) -> None:
    """Read what the sampler sees, without holding up whoever writes: of a study with many results that takes long."""
    with one.asks.database.reading() as tx:
        one.asks.sampler_pool.history_now(tx, lookup.get_study(tx, one.name))


def _in_one_transaction(
    one: Ask,
    locked: ExitStack,
    *,
    is_first: bool = False,
    has_lock: bool = False,
    fallback: messages.Fallback | None = None,
) -> messages.Leases | Drawing | StudyRow:
    """The answer. Else nothing is written: a draw that takes longer; or the study, where another thread draws for it or
    all results are to be read.

    is_first: it looks for queued trials. fallback: draw uniformly, for this reason.
    Raises: NotFound, IdempotencyMismatch, KeyTaken.
    """
    with one.asks.database.writing() as tx:
        study, has_queued, stored = lookup.lock_for_ask(tx, one.name, one.key.value)
        if stored is not None:
            tx.rollback_at_end()
            return answer_of(one.key, messages.Leases, *stored)
        one = replace(one, wanted=one.wanted.of(study))
        if one.wanted.count == 0:
            return _nothing(tx, "waiting")
        scope = Scope(tx, study, tx.now(), one.asks.counters)
        why_nothing = _why_nothing(tx, study)
        # `has_queued` may be older than the lock. So before it is said that there is nothing, it is looked for.
        looks = (is_first and has_queued) or why_nothing is not None
        if looks and (queued := take_queued(tx, study.id, one.wanted)):
            return _leased(one, scope, queued)
        if why_nothing is not None:
            return _nothing(tx, why_nothing)
        pool = one.asks.sampler_pool
        if fallback is not None or not pool.sampler_of(study).needs_history:
            return _draw_in_transaction(one, scope, fallback)
        if not (has_lock or (pool.knows_history(study) and _lock(pool, study, locked, LOCK_WITHIN_S))):
            tx.rollback_at_end()
            return study
        return _draw_with_history(one, scope)


def _draw_with_history(one: Ask, scope: Scope) -> messages.Leases | Drawing:
    pool, study = one.asks.sampler_pool, scope.study
    if pool.is_overdue(study.id):
        return _draw_in_transaction(one, scope, "slow")
    count = _most_samples(study, one.wanted.most)
    drawing = pool.begin(DrawRequest(study, pool.sampler_of(study), count, pool.history_now(scope.tx, study)))
    if not drawing.is_over(DRAW_WITHIN_S):
        scope.tx.rollback_at_end()
        return drawing
    samples, fallback = pool.drawn_by(drawing)
    if fallback is not None:
        return _draw_in_transaction(one, scope, fallback)
    return _insert(one, scope, drawing.request, samples, None)


def _nothing(tx: Transaction, reason: messages.WhyNothing) -> messages.Leases:
    tx.rollback_at_end()
    return messages.Leases(leases=[], reason=reason)


def _why_nothing(tx: Transaction, study: StudyRow) -> messages.WhyNothing | None:
    if study.state == "paused":
        return "paused"
    if study.state != "active":
        return "finished"
    if study.mode == "panda":  # its trials are not drawn for whoever asks
        return "waiting"
    if study.spent is not None:
        return "budget"
    return None if _most_samples(study, study.replicates) else _no_more(tx, study, "budget")


def _no_more(tx: Transaction, study: StudyRow, reason: messages.WhyNothing) -> messages.WhyNothing:
    """Why there are no new trials any more: a trial that still runs may fail, or be given back, and run again."""
    return "waiting" if leases.any_running(tx, study.id) else reason


def _most_samples(study: StudyRow, trials_wanted: int) -> int:
    """How many samples to draw for so many trials. Replicates beyond them are queued; the budget parts none."""
    remaining = study.max_trials - study.next_number
    return min(math.ceil(trials_wanted / study.replicates), remaining // study.replicates)


def _write(one: Ask, request: DrawRequest, samples: list[Sample]) -> messages.Leases | None:
    """The drawn trials, running; None when another transaction took their numbers."""
    with one.asks.database.writing() as tx:
        study, _, stored = lookup.lock_for_ask(tx, one.name, one.key.value)
        if stored is not None:
            tx.rollback_at_end()
            return answer_of(one.key, messages.Leases, *stored)
        if study.id != request.study.id or not _take_numbers(tx, request, len(samples)):
            tx.rollback_at_end()
            return None
        scope = Scope(tx, request.study, tx.now(), one.asks.counters)
        one = replace(one, wanted=one.wanted.of(study))
        return _leased_new(one, scope, request, samples, None)


def _draw_in_transaction(one: Ask, scope: Scope, fallback: messages.Fallback | None) -> messages.Leases:
    """Draw points that need no results inside the write transaction, which holds the study's lock: what is taken by
    earlier trials cannot change meanwhile."""
    study, pool = scope.study, one.asks.sampler_pool
    sampler = pool.sampler_of(study)
    view = _taken_view(pool, scope, sampler if fallback is None else UNIFORM)
    count, left = _most_samples(study, one.wanted.most), samples_left(study, view)
    if left == 0:
        return _nothing(scope.tx, _no_more(scope.tx, study, "exhausted"))
    request = DrawRequest(study, sampler, count if left is None else min(count, left), view)
    samples: list[Sample] = []
    if fallback is None:
        samples, fallback = pool.draw(request)
    if fallback is not None:
        samples = list(draws(replace(request, sampler=UNIFORM)))
    return _insert(one, scope, request, samples, fallback)


def _taken_view(pool: SamplerPool, scope: Scope, sampler: Sampler) -> SamplerView:
    """What a sampler sees that needs no results: which points are taken, where draws might repeat them."""
    space = views.space_of(scope.study)
    if sampler.looks_back(space) or REGISTERED[scope.study.sampler].ends:
        return pool.history_now(scope.tx, scope.study)
    return SamplerView(space, NOTHING)


def _insert(
    one: Ask, scope: Scope, request: DrawRequest, samples: list[Sample], fallback: messages.Fallback | None
) -> messages.Leases:
    """Write the new trials; the study is locked, as it was when they were drawn."""
    if not _take_numbers(scope.tx, request, len(samples)):
        raise AssertionError("the locked study changed")
    return _leased_new(one, scope, request, samples, fallback)


def _take_numbers(tx: Transaction, request: DrawRequest, samples: int) -> bool:
    return study_rows.take_numbers(tx, request.study, samples * request.study.replicates)


def _leased_new(
    one: Ask, scope: Scope, request: DrawRequest, samples: list[Sample], fallback: messages.Fallback | None
) -> messages.Leases:
    drawn = len(samples) * scope.study.replicates
    scope.tx.after_commit(scope.counters.drawn, request.sampler.name, fallback, drawn)
    first = scope.study.next_number
    code = versions.noted(scope.tx, scope.study, first, one.told, scope.now)
    answer = messages.Leases(leases=insert_leased(scope, request, samples, fallback, one.wanted, code))
    claim_answered(scope.tx, one.key, answer, scope.study)
    return answer


def _leased(one: Ask, scope: Scope, dispatched: list[Dispatched]) -> messages.Leases:
    """Queued trials, which may have run before."""
    versions.record(scope.tx, scope.study, [row for row, _ in dispatched], one.told, scope.now)
    leases = [
        views.lease(
            scope.study,
            row,
            stack,
            resume=begin_again(scope.tx, scope.study, row),
            looks=pruning.looks_of(scope.study, row.mode, row.params),
        )
        for row, stack in dispatched
    ]
    answer = messages.Leases(leases=leases)
    claim_answered(scope.tx, one.key, answer, scope.study)
    return answer
