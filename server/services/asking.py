"""The ask: READ what a sampler may see, THINK without a transaction, WRITE the new trials in one.

Correctness rests on the WRITE alone: it takes the numbers that were thought for, or nothing.
"""

from __future__ import annotations

import random
import time
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as TooSlow
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, Final

import structlog

from server.search.samplers import (
    NOTHING,
    SAMPLERS,
    Running,
    Sample,
    Sampler,
    trial_seed,
    uniform_point,
)
from server.services import answers, studies
from server.services.counters import Counters
from server.services.history import Seen, history_at
from server.services.once import Once, keep, recall
from server.services.stacking import Hand, Placed, new_stacks, take_queued
from server.store import studies as study_rows
from server.store import trials
from server.store.engine import Database, Transaction
from server.store.studies import StudyRow
from sturgeon import messages
from sturgeon.space import Space

RACES: Final = 8
"""After so many lost races the point is drawn uniformly inside the write transaction."""

THINK_S: Final = 2.0
"""A sampler that takes longer is not waited for."""

log = structlog.get_logger()


@dataclass
class Asking:
    """What the asks of one process share: the samplers, a lock a study (it saves work, no more), the counters."""

    database: Database
    counters: Counters
    samplers: dict[str, Sampler] = field(default_factory=lambda: dict(SAMPLERS))
    think_s: float = THINK_S
    _threads: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(4, "sampler"))
    _locks: dict[int, Lock] = field(default_factory=dict)

    def lock_of(self, study_id: int) -> Lock:
        return self._locks.setdefault(study_id, Lock())

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    def think(self, plan: Plan) -> tuple[list[Sample], messages.Fallback | None]:
        """One sample a number of the plan, each seeing those before it as running; or why there is none."""
        future: Future[list[Sample]] = self._threads.submit(_samples, plan)
        try:
            return future.result(timeout=self.think_s), None
        except TooSlow:
            future.cancel()
            log.warning("sampler is slow", sampler=plan.sampler.name, study=plan.study.name)
            return [], "slow"
        except Exception:
            log.exception("sampler failed", sampler=plan.sampler.name, study=plan.study.name)
            return [], "error"


@dataclass(frozen=True)
class Plan:
    """What a THINK works on: the numbers t .. t + count - 1 of a study, as seen at `basis`."""

    study: StudyRow
    sampler: Sampler
    count: int
    seen: Seen


def ask(asking: Asking, name: str, request: messages.AskRequest, once: Once) -> messages.Leases:
    """Hand out queued trials of the study, else new ones. Raises NotFound, IdempotencyMismatch."""
    return hand_out(asking, name, Hand(request.count, request.worker, request.lease_s * 1_000_000), once)


def hand_out(asking: Asking, name: str, hand: Hand, once: Once) -> messages.Leases:
    """Lease queued trials of the study, else new ones; when there are none, the answer says why.

    Where stacks are wanted more trials are drawn than may go out: those without mates are queued.
    """
    with asking.database.writing() as tx:
        study = studies.required(tx, name, lock=True)
        if (answered := recall(tx, once, messages.Leases)) is not None:
            return answered
        now = tx.now()
        if queued := take_queued(tx, study.id, hand, now):
            return _leased(tx, once, study, queued, now)
        if (reason := _why_nothing(study)) is not None:
            tx.rollback_at_end()
            return messages.Leases(leases=[], reason=reason)
        if not asking.samplers[study.sampler].needs_history:
            return _draw_here(asking, tx, study, hand, once, None, now)
        tx.rollback_at_end()
    return _hand_out_thought(asking, study.id, name, hand, once)


def _hand_out_thought(asking: Asking, study_id: int, name: str, hand: Hand, once: Once) -> messages.Leases:
    """READ, THINK, WRITE, again while others are faster; at last a uniform point that needs no history."""
    fallback: messages.Fallback | None = None
    for _ in range(RACES):
        # All three steps: who read before another thread's write has thought for numbers that are gone.
        with asking.lock_of(study_id):
            plan = _read(asking, name, hand.most)
            if isinstance(plan, messages.Leases):
                return plan
            samples, fallback = asking.think(plan)
            if fallback is not None:
                break
            if (answer := _write(asking, plan, samples, hand, once)) is not None:
                return answer
        time.sleep(random.uniform(0.001, 0.005))
    with asking.database.writing() as tx:
        study = studies.required(tx, name, lock=True)
        if (answered := recall(tx, once, messages.Leases)) is not None:
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
    return "budget" if study.next_number >= study.max_trials else None


def _read(asking: Asking, name: str, count: int) -> Plan | messages.Leases:
    with asking.database.reading() as tx:
        study = studies.required(tx, name)
        if (reason := _why_nothing(study)) is not None:
            return messages.Leases(leases=[], reason=reason)
        count = min(count, study.max_trials - study.next_number)
        return Plan(study, asking.samplers[study.sampler], count, history_at(tx, study, study.seq, study.next_number))


def _samples(plan: Plan) -> list[Sample]:
    """A sample a number, each seeing those before it as running."""
    found: list[Sample] = []
    space, history = plan.seen
    running = history.running
    for number in range(plan.study.next_number, plan.study.next_number + plan.count):
        sample = plan.sampler.draw(space, plan.study.seed, number, history._replace(running=running))
        if len(sample.point) != len(space.searched) or not all(0.0 <= u <= 1.0 for u in sample.point):
            raise ValueError(f"the sampler {plan.sampler.name} left the unit cube: {sample.point}")
        found.append(sample)
        running = (*running, Running(number, sample.point))
    return found


def _write(asking: Asking, plan: Plan, samples: list[Sample], hand: Hand, once: Once) -> messages.Leases | None:
    """The trials that were thought of, running; None when another transaction took their numbers."""
    with asking.database.writing() as tx:
        if not study_rows.take_numbers(tx, plan.study, plan.count):
            tx.rollback_at_end()
            return None
        if (answered := recall(tx, once, messages.Leases)) is not None:
            tx.rollback_at_end()
            return answered
        asking.counters.drawn(plan.sampler.name, None, plan.count)
        return _inserted(tx, plan.study, samples, None, hand, once, tx.now())


def _draw_here(
    asking: Asking,
    tx: Transaction,
    study: StudyRow,
    hand: Hand,
    once: Once,
    fallback: messages.Fallback | None,
    now: int,
) -> messages.Leases:
    """Draw inside the write transaction, which holds the study's lock: points that need no history."""
    count = min(hand.most, study.max_trials - study.next_number)
    if not study_rows.take_numbers(tx, study, count):
        raise AssertionError("the locked study changed")
    sampler = asking.samplers[study.sampler]
    space = Space.model_validate(study.space)
    samples = [
        sampler.draw(space, study.seed, number, NOTHING)
        if fallback is None
        else Sample(uniform_point(study.seed, number, len(space.searched)))
        for number in range(study.next_number, study.next_number + count)
    ]
    asking.counters.drawn(sampler.name, fallback, count)
    return _inserted(tx, study, samples, fallback, hand, once, now)


def _inserted(
    tx: Transaction,
    study: StudyRow,
    samples: list[Sample],
    fallback: messages.Fallback | None,
    hand: Hand,
    once: Once,
    now: int,
) -> messages.Leases:
    space = Space.model_validate(study.space)
    leased = {
        "state": "running",
        "fence": 1,
        "lease_us": hand.lease_us,
        "lease_until": now + hand.lease_us,
        "worker": hand.worker,
        "started_at": now,
    }
    params = [space.decode(sample.point) for sample in samples]
    stacks = new_stacks(params, hand)
    rows = []
    for number, (sample, given, stack) in enumerate(zip(samples, params, stacks, strict=True), study.next_number):
        origin = {"round": sample.round, "elite": sample.elite, "level": sample.level, "fallback": fallback}
        drawn = {name: value for name, value in origin.items() if value is not None}
        trial = new_trial(study, number, given, sample.point, now) | {"sampler": study.sampler, "drawn": drawn}
        rows.append(trial if stack is None else trial | leased)
    inserted = zip(trials.insert(tx, rows), stacks, strict=True)
    going = [Placed(row, stack if hand.stack > 1 else None) for row, stack in inserted if stack is not None]
    return _leased(tx, once, study, going, now)


def new_trial(
    study: StudyRow, number: int, params: dict[str, Any], point: tuple[float, ...], now: int
) -> dict[str, Any]:
    """The row of a trial that waits to be handed out, with parameters that a person gave."""
    return {
        "study_id": study.id,
        "number": number,
        "state": "queued",
        "mode": study.mode,
        "params": params,
        "point": list(point),
        "seed": trial_seed(study.seed, number),
        "attempt": 0,
        "fence": 0,
        "lease_us": None,
        "lease_until": None,
        "reported": False,
        "alone": False,
        "worker": None,
        "metrics": {},
        "sampler": None,
        "basis_seq": study.seq,
        "revision": study.revision,
        "drawn": {},
        "group_number": None,
        "created_at": now,
        "started_at": None,
    }


def _leased(tx: Transaction, once: Once, study: StudyRow, going: list[Placed], now: int) -> messages.Leases:
    answer = messages.Leases(leases=[answers.lease(study, *placed) for placed in going])
    keep(tx, once, answer, now)
    return answer
