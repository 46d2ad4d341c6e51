"""The ask, in three steps: READ what a sampler may see, DRAW without a transaction, WRITE the new trials in another.

Correctness rests on the WRITE alone: it takes the trial numbers that the samples were drawn for, or writes nothing.
"""

from __future__ import annotations

import math
import random
import time
from dataclasses import dataclass, field, replace
from typing import Final

from server.services import lookup, views
from server.services.idempotency import IdempotencyKey, claim_or_replay, store_answer
from server.services.leases.stacks import Dispatched, DispatchRequest, new_stacks, take_queued
from server.services.metrics import Counters
from server.services.runs import pruning, versions
from server.services.runs.resume import begin_again
from server.services.sampling.exhaustion import samples_left
from server.services.sampling.history import SamplerView
from server.services.sampling.sampler_pool import DrawRequest, SamplerPool, draws
from server.services.transactions import Scope
from server.services.trial_rows import new_trial, replicate_group
from server.store import floors, leases, trials
from server.store import numerics as numerics_rows
from server.store import studies as study_rows
from server.store.engine import Database, Transaction
from server.store.json_columns import Json
from server.store.studies import StudyRow
from sturgeon import messages
from sturgeon.identifiers import TrialNumber
from sturgeon.search.memo import Memo
from sturgeon.search.numerics import numerics
from sturgeon.search.registry import REGISTERED, SAMPLERS
from sturgeon.search.samplers import NOTHING, Sample, Sampler

UNIFORM: Final = SAMPLERS["random"]({}, Memo())

RACES: Final = 8
"""After so many lost races the point is drawn uniformly inside the write transaction."""


@dataclass
class AskContext:
    """What the asks of one process share."""

    database: Database
    counters: Counters
    sampler_pool: SamplerPool = field(default_factory=SamplerPool)


def ask(asks: AskContext, name: str, request: messages.AskRequest, key: IdempotencyKey) -> messages.Leases:
    """Hand out queued trials of the study, else new ones. Raises: NotFound, IdempotencyMismatch."""
    wanted = DispatchRequest(request.count, request.worker, request.lease_s * 1_000_000)
    answer = dispatch(asks, name, wanted, key)
    if request.code_version is not None and answer.leases:
        _record_code(asks, name, answer.leases, messages.RunVersions(code=request.code_version))
    return answer


def _record_code(asks: AskContext, name: str, given: list[messages.Lease], told: messages.RunVersions) -> None:
    """Store the code that the trials will run with, unless they were taken away meanwhile."""
    with asks.database.writing() as tx:
        study = lookup.lock_study(tx, name)
        rows = lookup.lock_trials(tx, study, [lease.number for lease in given])
        fences = {lease.number: lease.fence for lease in given}
        if held := [row for number, row in sorted(rows.items()) if row.fence == fences[row.number]]:
            versions.record(tx, study, held, told, tx.now())


def dispatch(asks: AskContext, name: str, wanted: DispatchRequest, key: IdempotencyKey) -> messages.Leases:
    """Lease queued trials of the study, else new ones; when there are none, the answer says why.

    Where stacks are wanted, more trials may be drawn than go out: those without stack peers are queued.
    Raises: NotFound, IdempotencyMismatch.
    """
    with asks.database.writing() as tx:
        study = lookup.lock_study(tx, name)
        if (answered := claim_or_replay(tx, key, messages.Leases, study)) is not None:
            return answered
        wanted = wanted.of(study)
        if wanted.count == 0:
            tx.rollback_at_end()
            return messages.Leases(leases=[], reason="waiting")
        scope = Scope(tx, study, tx.now(), asks.counters)
        if queued := take_queued(tx, study.id, wanted):
            return _leased(scope, queued, key)
        if (reason := _why_nothing(tx, study)) is not None:
            tx.rollback_at_end()
            return messages.Leases(leases=[], reason=reason)
        if not asks.sampler_pool.sampler_of(study).needs_history:
            return _draw_in_transaction(asks, scope, wanted, key, None)
        tx.rollback_at_end()
    return _dispatch_new(asks, study, wanted, key)


def _dispatch_new(asks: AskContext, study: StudyRow, wanted: DispatchRequest, key: IdempotencyKey) -> messages.Leases:
    """READ, DRAW and WRITE, again while other asks take the numbers first; at last a uniform point, without history."""
    fallback: messages.Fallback | None = None
    pool = asks.sampler_pool
    deadline = time.monotonic() + pool.draw_within_s
    for _ in range(RACES):
        # Held for all three steps: a thread that reads before another one writes draws for numbers that are taken.
        lock = pool.lock_of(study)
        if not lock.acquire(timeout=max(0.0, deadline - time.monotonic())):
            fallback = "slow" if pool.is_overdue(study.id) else "contention"
            break
        try:
            request = _read(asks, study.name, wanted.most)
            if isinstance(request, messages.Leases):
                return request
            samples, fallback = pool.draw(request)
            if fallback is not None:
                break
            if (answer := _write(asks, request, samples, wanted, key)) is not None:
                return answer
        finally:
            lock.release()
        time.sleep(random.uniform(0.001, 0.005))
    with asks.database.writing() as tx:
        study = lookup.lock_study(tx, study.name)
        if (answered := claim_or_replay(tx, key, messages.Leases, study)) is not None:
            return answered
        if (reason := _why_nothing(tx, study)) is not None:
            tx.rollback_at_end()
            return messages.Leases(leases=[], reason=reason)
        scope = Scope(tx, study, tx.now(), asks.counters)
        return _draw_in_transaction(asks, scope, wanted, key, fallback or "contention")


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


def _read(asks: AskContext, name: str, count: int) -> DrawRequest | messages.Leases:
    with asks.database.reading() as tx:
        study = lookup.get_study(tx, name)
        if (reason := _why_nothing(tx, study)) is not None:
            return messages.Leases(leases=[], reason=reason)
        view = asks.sampler_pool.history_now(tx, study)
        return DrawRequest(study, asks.sampler_pool.sampler_of(study), _most_samples(study, count), view)


def _write(
    asks: AskContext, request: DrawRequest, samples: list[Sample], wanted: DispatchRequest, key: IdempotencyKey
) -> messages.Leases | None:
    """The drawn trials, running; None when another transaction took their numbers."""
    with asks.database.writing() as tx:
        if not study_rows.take_numbers(tx, request.study, len(samples) * request.study.replicates):
            tx.rollback_at_end()
            return None
        if (answered := claim_or_replay(tx, key, messages.Leases, request.study)) is not None:
            tx.rollback_at_end()
            return answered
        scope = Scope(tx, request.study, tx.now(), asks.counters)
        return _insert(scope, request, samples, None, wanted, key)


def _draw_in_transaction(
    asks: AskContext,
    scope: Scope,
    wanted: DispatchRequest,
    key: IdempotencyKey,
    fallback: messages.Fallback | None,
) -> messages.Leases:
    """Draw points that need no results inside the write transaction, which holds the study's lock: what is taken by
    earlier trials cannot change meanwhile."""
    study, pool = scope.study, asks.sampler_pool
    sampler = pool.sampler_of(study)
    view = _taken_view(pool, scope, sampler if fallback is None else UNIFORM)
    count, left = _most_samples(study, wanted.most), samples_left(study, view)
    if left == 0:
        scope.tx.rollback_at_end()
        return messages.Leases(leases=[], reason=_no_more(scope.tx, study, "exhausted"))
    request = DrawRequest(study, sampler, count if left is None else min(count, left), view)
    samples: list[Sample] = []
    if fallback is None:
        samples, fallback = pool.draw(request)
    if fallback is not None:
        samples = list(draws(replace(request, sampler=UNIFORM)))
    if not study_rows.take_numbers(scope.tx, study, len(samples) * study.replicates):
        raise AssertionError("the locked study changed")
    return _insert(scope, request, samples, fallback, wanted, key)


def _taken_view(pool: SamplerPool, scope: Scope, sampler: Sampler) -> SamplerView:
    """What a sampler sees that needs no results: which points are taken, where draws might repeat them."""
    space = views.space_of(scope.study)
    if sampler.looks_back(space) or REGISTERED[scope.study.sampler].ends:
        return pool.history_now(scope.tx, scope.study)
    return SamplerView(space, NOTHING)


def _insert(
    scope: Scope,
    request: DrawRequest,
    samples: list[Sample],
    fallback: messages.Fallback | None,
    wanted: DispatchRequest,
    key: IdempotencyKey,
) -> messages.Leases:
    """Write the new trials: those that go out as running, the others as queued."""
    study = scope.study
    drawn = len(samples) * study.replicates
    scope.tx.after_commit(scope.counters.drawn, request.sampler.name, fallback, drawn)
    numerics_rows.record(scope.tx, *numerics())
    replicated = [sample for sample in samples for _ in range(study.replicates)]
    params = [request.view.space.decode(sample.point) for sample in replicated]
    stacks = new_stacks(params, wanted)
    lease = _first_lease(scope.tx, wanted)
    rows = []
    for place, (sample, decoded, stack) in enumerate(zip(replicated, params, stacks, strict=True)):
        number = TrialNumber(study.next_number + place)
        row = new_trial(study, number, decoded, sample.point, scope.now)
        row |= _origin(request, sample, fallback) | replicate_group(study, number, study.next_number)
        rows.append(row if stack is None else row | lease)
    inserted = zip(trials.insert(scope.tx, rows), stacks, strict=True)
    dispatched = [Dispatched(row, stack if wanted.stack > 1 else None) for row, stack in inserted if stack is not None]
    return _leased(scope, dispatched, key, are_new=True)


def _origin(request: DrawRequest, sample: Sample, fallback: messages.Fallback | None) -> Json:
    """The columns that say how a sample was drawn."""
    drawn = sample._asdict() | {"version": request.sampler.version, "fallback": fallback}
    return {
        "sampler": request.sampler.name,
        "drawn": {name: value for name, value in drawn.items() if value is not None and name != "point"},
        "numerics": numerics().fingerprint,
    }


def _first_lease(tx: Transaction, wanted: DispatchRequest) -> Json:
    return {
        "state": "running",
        "fence": floors.fence(tx) + 1,
        "lease_us": wanted.lease_us,
        "lease_until": tx.steady_now() + wanted.lease_us,
        "worker": wanted.worker,
        "started_at": tx.now(),
    }


def _leased(
    scope: Scope, dispatched: list[Dispatched], key: IdempotencyKey, *, are_new: bool = False
) -> messages.Leases:
    """are_new: the trials were drawn just now, so they have no run to go on from."""
    resumes = [None if are_new else begin_again(scope.tx, scope.study, row) for row, _ in dispatched]
    leases = [
        views.lease(scope.study, row, stack, resume=resume, looks=pruning.looks_of(scope.study, row))
        for (row, stack), resume in zip(dispatched, resumes, strict=True)
    ]
    answer = messages.Leases(leases=leases)
    store_answer(scope.tx, key, answer)
    return answer
