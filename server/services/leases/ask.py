"""The ask: READ what a sampler may see, THINK without a transaction, WRITE the new trials in one.

Correctness rests on the WRITE alone: it takes the numbers that were thought for, or nothing.
"""

from __future__ import annotations

import math
import random
import time
from dataclasses import dataclass, field
from typing import Any, Final

from server.services import views
from server.services.idempotency import IdempotencyKey, claim_or_replay, store_answer
from server.services.leases.stacks import Dispatched, DispatchRequest, new_stacks, take_queued
from server.services.metrics import Counters
from server.services.runs.resume import resume_of
from server.services.sampling.history import SamplerView
from server.services.sampling.sampler_pool import DrawRequest, SamplerPool, sample_number
from server.services.studies import lifecycle
from server.services.trial_rows import new_trial, replicate_group
from server.store import numerics as numerics_rows
from server.store import studies as study_rows
from server.store import trials
from server.store.engine import Database, Transaction
from server.store.studies import StudyRow
from sturgeon import messages
from sturgeon.search.numerics import numerics
from sturgeon.search.samplers import NOTHING, Sample, uniform_point
from sturgeon.space import Space

RACES: Final = 8
"""After so many lost races the point is drawn uniformly inside the write transaction."""


@dataclass
class AskContext:
    """What the asks of one process share."""

    database: Database
    counters: Counters
    thinking: SamplerPool = field(default_factory=SamplerPool)


def ask(asking: AskContext, name: str, request: messages.AskRequest, once: IdempotencyKey) -> messages.Leases:
    """Hand out queued trials of the study, else new ones. Raises NotFound, IdempotencyMismatch."""
    return dispatch(asking, name, DispatchRequest(request.count, request.worker, request.lease_s * 1_000_000), once)


def dispatch(asking: AskContext, name: str, hand: DispatchRequest, once: IdempotencyKey) -> messages.Leases:
    """Lease queued trials of the study, else new ones; when there are none, the answer says why.

    Where stacks are wanted more trials are drawn than may go out: those without mates are queued.
    """
    with asking.database.writing() as tx:
        study = lifecycle.required(tx, name, lock=True)
        if (answered := claim_or_replay(tx, once, messages.Leases)) is not None:
            return answered
        now = tx.now()
        if queued := take_queued(tx, study.id, hand, now):
            return _leased(tx, once, study, queued, now)
        if (reason := _why_nothing(study)) is not None:
            tx.rollback_at_end()
            return messages.Leases(leases=[], reason=reason)
        if not asking.thinking.sampler_of(study).needs_history:
            return _draw_here(asking, tx, study, hand, once, None, now)
        tx.rollback_at_end()
    return _hand_out_thought(asking, study, hand, once)


def _hand_out_thought(
    asking: AskContext, study: StudyRow, hand: DispatchRequest, once: IdempotencyKey
) -> messages.Leases:
    """READ, THINK, WRITE, again while others are faster; at last a uniform point that needs no history."""
    fallback: messages.Fallback | None = None
    thinking = asking.thinking
    deadline = time.monotonic() + thinking.think_s
    for _ in range(RACES):
        # All three steps: who read before another thread's write has thought for numbers that are gone.
        lock = thinking.lock_of(study)
        if not lock.acquire(timeout=max(0.0, deadline - time.monotonic())):
            fallback = "slow" if thinking.is_overdue(study.id) else "contention"
            break
        try:
            plan = _read(asking, study.name, hand.most)
            if isinstance(plan, messages.Leases):
                return plan
            samples, fallback = thinking.think(plan)
            if fallback is not None:
                break
            if (answer := _write(asking, plan, samples, hand, once)) is not None:
                return answer
        finally:
            lock.release()
        time.sleep(random.uniform(0.001, 0.005))
    with asking.database.writing() as tx:
        study = lifecycle.required(tx, study.name, lock=True)
        if (answered := claim_or_replay(tx, once, messages.Leases)) is not None:
            return answered
        if (reason := _why_nothing(study)) is not None:
            tx.rollback_at_end()
            return messages.Leases(leases=[], reason=reason)
        return _draw_here(asking, tx, study, hand, once, fallback or "contention", tx.now())


def _why_nothing(study: StudyRow) -> Any:
    if study.state == "paused":
        return "paused"
    if study.state != "active":
        return "finished"
    if study.mode == "panda":  # its trials are begun by people
        return "waiting"
    return "budget" if study.spent is not None or _most_samples(study, study.replicates) == 0 else None


def _most_samples(study: StudyRow, trials_wanted: int) -> int:
    """How many samples to draw for so many trials: replicates beyond them are queued, and the budget parts none."""
    left = study.max_trials - study.next_number
    return min(math.ceil(trials_wanted / study.replicates), left // study.replicates)


def _read(asking: AskContext, name: str, count: int) -> DrawRequest | messages.Leases:
    with asking.database.reading() as tx:
        study = lifecycle.required(tx, name)
        if (reason := _why_nothing(study)) is not None:
            return messages.Leases(leases=[], reason=reason)
        seen = asking.thinking.history_now(tx, study)
        return DrawRequest(study, asking.thinking.sampler_of(study), _most_samples(study, count), seen)


def _write(
    asking: AskContext, plan: DrawRequest, samples: list[Sample], hand: DispatchRequest, once: IdempotencyKey
) -> messages.Leases | None:
    """The trials that were thought of, running; None when another transaction took their numbers."""
    with asking.database.writing() as tx:
        if not study_rows.take_numbers(tx, plan.study, len(samples) * plan.study.replicates):
            tx.rollback_at_end()
            return None
        if (answered := claim_or_replay(tx, once, messages.Leases)) is not None:
            tx.rollback_at_end()
            return answered
        tx.after_commit(asking.counters.drawn, plan.sampler.name, None, len(samples) * plan.study.replicates)
        return _inserted(tx, plan, samples, None, hand, once, tx.now())


def _draw_here(
    asking: AskContext,
    tx: Transaction,
    study: StudyRow,
    hand: DispatchRequest,
    once: IdempotencyKey,
    fallback: messages.Fallback | None,
    now: int,
) -> messages.Leases:
    """Draw inside the write transaction, which holds the study's lock: points that need no history."""
    seen = SamplerView(Space.model_validate(study.space), NOTHING)
    plan = DrawRequest(study, asking.thinking.sampler_of(study), _most_samples(study, hand.most), seen)
    samples: list[Sample] = []
    if fallback is None:
        samples, fallback = asking.thinking.think(plan)
    if fallback is not None:
        dimensions = len(plan.seen.space.searched)
        samples = [Sample(uniform_point(study.seed, sample_number(study, n), dimensions)) for n in plan.numbers]
    if not study_rows.take_numbers(tx, study, len(samples) * study.replicates):
        raise AssertionError("the locked study changed")
    tx.after_commit(asking.counters.drawn, plan.sampler.name, fallback, len(samples) * study.replicates)
    return _inserted(tx, plan, samples, fallback, hand, once, now)


def _inserted(
    tx: Transaction,
    plan: DrawRequest,
    samples: list[Sample],
    fallback: messages.Fallback | None,
    hand: DispatchRequest,
    once: IdempotencyKey,
    now: int,
) -> messages.Leases:
    study = plan.study
    leased = {
        "state": "running",
        "fence": 1,
        "lease_us": hand.lease_us,
        "lease_until": now + hand.lease_us,
        "worker": hand.worker,
        "started_at": now,
    }
    replicated = [sample for sample in samples for _ in range(study.replicates)]
    params = [plan.seen.space.decode(sample.point) for sample in replicated]
    stacks = new_stacks(params, hand)
    numerics_rows.record(tx, *numerics())
    rows = []
    for number, (sample, given, stack) in enumerate(zip(replicated, params, stacks, strict=True), study.next_number):
        origin = {
            "sampler": plan.sampler.name,
            "drawn": _origin(plan, sample, fallback),
            "numerics": numerics().fingerprint,
        }
        together = replicate_group(study, number, study.next_number)
        trial = new_trial(study, number, given, sample.point, now) | origin | together
        rows.append(trial if stack is None else trial | leased)
    inserted = zip(trials.insert(tx, rows), stacks, strict=True)
    going = [Dispatched(row, stack if hand.stack > 1 else None) for row, stack in inserted if stack is not None]
    return _leased(tx, once, study, going, now)


def _origin(plan: DrawRequest, sample: Sample, fallback: messages.Fallback | None) -> dict[str, Any]:
    """Where a sample came from, as it is kept: what there is of it."""
    origin = sample._asdict() | {"version": plan.sampler.version, "fallback": fallback}
    return {name: value for name, value in origin.items() if value is not None and name != "point"}


def _leased(
    tx: Transaction, once: IdempotencyKey, study: StudyRow, going: list[Dispatched], now: int
) -> messages.Leases:
    answer = messages.Leases(
        leases=[views.lease(study, *placed, resume=resume_of(tx, study, placed.row)) for placed in going]
    )
    store_answer(tx, once, answer, now)
    return answer
