"""Leases of workers: hand out from any study, renew, release."""

from __future__ import annotations

from dataclasses import replace

from server.request_context import note
from server.services import lookup, views
from server.services.idempotency import (
    IdempotencyKey,
    KeyTaken,
    answer_of,
    claim_or_replay,
    record,
    replay,
    store_answer,
)
from server.services.leases.ask import AskContext, dispatch
from server.services.leases.long_poll import Work
from server.services.leases.stacks import Dispatched, DispatchRequest, take_queued
from server.services.runs import completion, desired_state, pruning
from server.services.runs.completion import Outcome
from server.services.runs.resume import begin_again, has_lost_its_beginning
from server.services.studies import budgets
from server.services.studies.placement import Offer, needs_of, told_by
from server.services.transactions import Scope, Transactions
from server.services.views import desired_of
from server.store import events, holders, idempotency, leases, trials, unable, workers
from server.store import studies as study_rows
from server.store.engine import Database, Transaction
from server.store.json_columns import Json
from server.store.reach import EVERY_STUDY, Reach
from server.store.studies import Eligible
from server.store.trials import TrialRow
from sturgeon import messages
from sturgeon.errors import Conflict, Forbidden, LeaseLost, NotFound, TrialFinished
from sturgeon.identifiers import Fence, StudyId, TrialNumber
from sturgeon.states import TERMINAL


def lease(
    asks: AskContext, request: messages.LeaseRequest, free: Offer, lease_s: float, key: IdempotencyKey
) -> messages.Leases:
    """Hand out trials of any active study with a task that the worker gets trials of: queued ones first, then new ones
    of the study with the fewest running. free: what the request offers. Raises: IdempotencyMismatch."""
    lease_us = round(lease_s * 1_000_000)
    wanted = DispatchRequest(request.slots, request.worker, lease_us, request.stack, free)
    try:
        answer, names = _queued(asks, request, wanted, free, key)
    except KeyTaken:  # by this very request, sent twice: its answer is there now
        answer, names = _queued(asks, request, wanted, free, key)
    if answer.leases:
        return answer
    for name in names:
        try:
            answer = dispatch(asks, name, wanted, key)
        except NotFound:  # deleted meanwhile
            continue
        if answer.leases:
            return answer
    return messages.Leases(leases=[], reason="waiting")


def _queued(
    asks: AskContext, request: messages.LeaseRequest, wanted: DispatchRequest, free: Offer, key: IdempotencyKey
) -> tuple[messages.Leases, list[str]]:
    """Queued trials, or what was answered before; if none, the studies that may have new ones. Most calls find nothing:
    they claim no key. Raises: IdempotencyMismatch, KeyTaken."""
    nothing = messages.Leases(leases=[], reason="waiting")
    with asks.database.writing() as tx:
        stored = None if key.value is None else idempotency.find(tx, key.value)
        answered = None if stored is None else answer_of(key, messages.Leases, stored.request_sha256, stored.answer)
        if answered is not None and (still_given := _of_present_studies(tx, answered)).leases:
            return still_given, []
        offered = told_by(request, free.reach)
        if workers.seen(tx, request.worker, request.total_slots or request.slots, offered).drain:
            return nothing, []
        eligible, needy = _eligible(tx, free)
        queued = _take_queued(tx, eligible, needy, wanted)
        if not queued:
            return nothing, study_rows.with_new_trials_for_workers(tx, eligible)
        answer = messages.Leases(leases=_answers(tx, queued))
        if key.value is not None:
            if stored is None and idempotency.claim(tx, key.value, key.request_sha256, None) is not None:
                raise KeyTaken
            store_answer(tx, key, answer)
        return answer, []


def _eligible(tx: Transaction, free: Offer) -> tuple[Eligible, frozenset[StudyId]]:
    """The studies that the worker may get trials of, and those of them that need more than a slot."""
    needy = study_rows.with_needs(tx)
    unfit = frozenset(study_id for study_id, needs in needy.items() if not free.room_for(needs_of(needs)))
    only = None if free.only is None else tuple(sorted(free.only))
    eligible = Eligible(free.kinds, tuple(sorted(free.skip)), tuple(sorted(unfit)), only, free.reach)
    return eligible, frozenset(needy) - unfit


def _take_queued(
    tx: Transaction, eligible: Eligible, needy: frozenset[StudyId], wanted: DispatchRequest
) -> list[Dispatched]:
    """Queued trials, the oldest first. Those of a study with needs go out by themselves: what they take together has
    to fit."""
    if not needy:
        return take_queued(tx, eligible, wanted)
    first = leases.first_waiting(tx, eligible)
    if first is None:
        return []
    if first in needy:
        study = study_rows.by_id(tx, [first])[first]
        return take_queued(tx, first, wanted.of(study))
    plain = tuple(sorted({*eligible.unfit, *needy}))
    return take_queued(tx, replace(eligible, unfit=plain), wanted)


def _of_present_studies(tx: Transaction, answered: messages.Leases) -> messages.Leases:
    """Without the leases of studies that were deleted since; another study may have the name by now."""
    floors = study_rows.fence_floors(tx, {lease.study for lease in answered.leases})
    present = [lease for lease in answered.leases if lease.fence > floors.get(lease.study, lease.fence)]
    return messages.Leases(leases=present)


def _answers(tx: Transaction, dispatched: list[Dispatched]) -> list[messages.Lease]:
    study_of = study_rows.by_id(tx, {placed.row.study_id for placed in dispatched})
    return [
        views.lease(
            study,
            *placed,
            resume=begin_again(tx, study, placed.row),
            looks=pruning.looks_of(study, placed.row.mode, placed.row.params),
        )
        for placed in dispatched
        for study in (study_of[placed.row.study_id],)
    ]


def work_that_waits(database: Database) -> list[Work]:
    """The studies of which workers could get trials now."""
    with database.reading() as tx:
        queued, new = leases.queued_for_workers(tx), study_rows.new_trials_for_workers(tx)
        found = study_rows.demands(tx, {*queued, *new})
    left = {study_id: queued.get(study_id, 0) + new.get(study_id, 0) for study_id in found}
    return [
        Work(study.name, study.kind, needs_of(study.needs), left[study_id], study.source)
        for study_id, study in sorted(found.items())
    ]


def renew(database: Database, request: messages.RenewRequest, reach: Reach = EVERY_STUDY) -> messages.RenewAnswer:
    """Extend those of these leases that the worker still holds; say of the others why they are lost. Of a study beyond
    the reach of the worker's token that is what is said of one that is not there."""
    with database.writing(urgent=True) as tx:  # late, it costs running trials their leases
        drain = workers.seen(tx, request.worker).drain
        named = [(held.study, held.number) for held in request.held if reach.includes(held.study)]
        locked = lookup.lock_leased(tx, named)
        rows = [locked.get((held.study, held.number)) for held in request.held]
        renewed = leases.renew_all(tx, list(zip(rows, (held.fence for held in request.held), strict=True)))
        newest = {row.id: row for row in renewed if row is not None}  # a trial may be named twice
        answer = messages.RenewAnswer(held=[], lost=[], drain=drain)
        for held, before, row in zip(request.held, rows, renewed, strict=True):
            if row is None:
                reason = _why_lost(tx, before, held.fence)
                answer.lost.append(messages.Lost(study=held.study, number=held.number, reason=reason))
            else:
                newest[row.id] = _acknowledged(tx, newest[row.id], held)
                answer.held.append(_renewed(held, newest[row.id]))
    return answer


def _acknowledged(tx: Transaction, row: TrialRow, held: messages.Held) -> TrialRow:
    try:
        return desired_state.acknowledge(tx, row, held.applied_version, held.applied_step)
    except Conflict:  # an error in one trial must not cost the others their leases
        return row


def _renewed(held: messages.Held, row: TrialRow) -> messages.Renewed:
    assert row.lease_us is not None
    return messages.Renewed(
        study=held.study,
        number=held.number,
        fence=held.fence,
        lease_s=row.lease_us / 1e6,
        desired=desired_of(row),
    )


def _why_lost(tx: Transaction, row: TrialRow | None, fence: Fence) -> messages.WhyLost:
    if row is None or row.state == "cancelled":
        return "cancelled"
    return "taken" if row.fence > fence or holders.is_anothers(tx, row, fence) else "expired"


def release(
    transactions: Transactions,
    name: str,
    number: TrialNumber,
    request: messages.ReleaseRequest,
    idempotency_key: IdempotencyKey,
) -> messages.Trial:
    """Give a trial back: it is queued again, and no attempt is spent. Where a pause was requested it is paused, where a
    stop was requested it ends. The same release again gets the same answer, whatever has become of the trial.

    Raises: NotFound, LeaseLost; without a fence TrialFinished, IdempotencyMismatch, Forbidden (a token that is only for
    work takes a trial from another one).
    """
    with transactions.on_study(name) as scope:
        row = lookup.lock_trial(scope.tx, scope.study, number)
        if request.fence is None:
            return _take_back(scope, row, request, idempotency_key)
        key = IdempotencyKey.of_run_end(row, request.fence, "release", request)
        if not holders.is_held(scope.tx, row, request.fence):
            is_own = not holders.is_anothers(scope.tx, row, request.fence)
            if is_own and (answered := replay(scope.tx, key, messages.Trial)) is not None:
                return answered
            raise LeaseLost(f"The lease of trial {number} is not yours any more; there is nothing to release.")
        if request.unable is not None:
            _note_unable(scope, row, request.unable)
        answer = views.trial(name, _release(scope, row, alone=request.alone))
        record(scope.tx, key, answer, scope.study)
        return answer


def _take_back(scope: Scope, row: TrialRow, request: messages.ReleaseRequest, key: IdempotencyKey) -> messages.Trial:
    """A person takes a trial from its holder. One that nobody holds stays as it is."""
    if (answered := claim_or_replay(scope.tx, key, messages.Trial, scope.study)) is not None:
        return answered
    if row.state in TERMINAL:
        raise TrialFinished(f"Trial {row.number} is {row.state} already; there is nothing to release.")
    if row.state == "running":
        if not (scope.tx.actor.takes_back or scope.tx.actor.acts_for(row.leased_to)):
            raise Forbidden(
                f"Trial {row.number} is leased to another token; to take it away, yours needs the scope write as well."
            )
        if request.unable is not None:
            _note_unable(scope, row, request.unable)
        note(action="trial.release")
        events.insert(scope.tx, scope.study.id, "released", scope.now, row.number, worker=row.worker)
        row = _release(scope, row, alone=request.alone, raise_fence=True)
    answer = views.trial(scope.study.name, row)
    store_answer(scope.tx, key, answer)
    return answer


def _note_unable(scope: Scope, row: TrialRow, reason: str) -> None:
    """Keep that the trial's worker cannot run the study; an event tells of each reason once."""
    if row.worker is None:
        return
    noted = unable.note(scope.tx, scope.study.id, row.worker, reason)
    if noted.count == 1:
        events.insert(scope.tx, scope.study.id, "unable", scope.now, row.number, worker=row.worker, reason=reason)


def _release(scope: Scope, row: TrialRow, *, alone: bool, raise_fence: bool = False) -> TrialRow:
    """raise_fence: refuse whatever the holder still sends."""
    spent = {"spent_us": leases.spent_us(scope.tx, row)}
    stopped = completion.outcome_of_stopped(scope.tx, scope.study, row) or _outcome_without_beginning(scope, row)
    if stopped is not None:
        ended = stopped._replace(columns=stopped.columns | spent)
        row = completion.finish(scope, row, ended, raise_fence=raise_fence)
    else:
        # Without `lease_until` the released run cannot come back; a run whose lease ran out can.
        released: Json = {"lease_until": None, "worker": None, "unstackable": row.unstackable or alone}
        state = completion.state_after_return(row)
        row = trials.transition(scope.tx, row, state, raise_fence=raise_fence, **released | spent)
    budgets.settle(scope)
    return row


def _outcome_without_beginning(scope: Scope, row: TrialRow) -> Outcome | None:
    """How a branch ends whose first checkpoint is lost: nobody could go on with it."""
    if not has_lost_its_beginning(scope.tx, row):
        return None
    error = f"The checkpoint of step {row.parent_step}, with which this branch begins, is gone or damaged."
    return Outcome("failed", {"error": error})
