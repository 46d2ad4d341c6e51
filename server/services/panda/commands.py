"""What people do with a running model: change its parameters, pause, resume, stop, keep a checkpoint, go back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from server.services import lookup, views
from server.services.idempotency import IdempotencyKey, claim_or_replay, store_answer
from server.services.panda import policy_runner
from server.services.runs import completion, desired_state
from server.services.runs.resume import checkpoint_at, newest_checkpoint, pin_rollback_target, reachable_checkpoints
from server.services.studies import budgets, validation
from server.services.transactions import Scope, Transactions
from server.services.views import desired_of
from server.store import events, proposals, trials
from server.store.engine import Transaction
from server.store.json_columns import Json
from server.store.proposals import ProposalRow
from server.store.studies import StudyRow
from server.store.trials import TrialRow
from sturgeon import messages
from sturgeon.errors import Contradiction, FieldProblem, NotFound, PreconditionFailed, TrialFinished, WrongState
from sturgeon.identifiers import Step, TrialNumber
from sturgeon.states import TERMINAL
from sturgeon.training import TRAIN_METRICS


@dataclass(frozen=True)
class SteeringRequest:
    """Which trial is to be steered, and why. seen: the version that the sender has seen (`If-Match`); None for any."""

    study: str
    number: TrialNumber
    seen: int | None
    key: IdempotencyKey
    reason: str


Decide = Callable[[Scope, TrialRow], TrialRow]


def _steer(transactions: Transactions, request: SteeringRequest, decide: Decide) -> messages.Steered:
    """Raises: NotFound, TrialFinished, PreconditionFailed, IdempotencyMismatch, and what `decide` raises."""
    with transactions.on_study(request.study) as scope:
        if (answered := claim_or_replay(scope.tx, request.key, messages.Steered, scope.study)) is not None:
            return answered
        row = lookup.lock_trial(scope.tx, scope.study, request.number)
        require_steerable(scope.study, row, request.seen)
        answer = views.steered(decide(scope, row))
        store_answer(scope.tx, request.key, answer)
        return answer


def require_steerable(study: StudyRow, row: TrialRow, seen: int | None) -> None:
    """Raises: TrialFinished; PreconditionFailed when somebody steered since `seen`."""
    if row.state in TERMINAL:
        again = "requeue it to train it again, or " if row.state in ("failed", "cancelled") else ""
        raise TrialFinished(
            f"Trial {row.number} is {row.state}; {again}promote or fork it to go on from one of its checkpoints."
        )
    version = views.version_of(study, row)
    if seen is not None and seen != version:
        raise PreconditionFailed(
            f"Trial {row.number} is at version {version} of its desired state, not {seen}: somebody steered it "
            "meanwhile. Look at its timeline and decide again."
        )


def change(
    transactions: Transactions, request: SteeringRequest, params: Json, guard: messages.Guard | None
) -> messages.Steered:
    """Change live parameters. Raises: as `_steer`, and Contradiction for what cannot change or is out of range."""

    def decide(scope: Scope, row: TrialRow) -> TrialRow:
        validation.require_live(scope.study, row, params)
        if guard is not None:
            require_guard(scope.study, guard)
        watch = None if guard is None else guard.model_dump()
        keep = policy_runner.keeps_checkpoints(scope.study, row)
        return desired_state.request_change(
            scope.tx, row, "person", params=params, guard=watch, keep=keep, reason=request.reason
        )

    return _steer(transactions, request, decide)


def require_guard(study: StudyRow, guard: messages.Guard, pointer: str = "/guard/metric") -> None:
    """Raises: Contradiction for a metric of which nobody knows which way is worse."""
    known = TRAIN_METRICS if study.trains else (study.metric,)
    if guard.metric not in {study.metric, *known}:
        detail = f"metric: write one of {', '.join(dict.fromkeys([study.metric, *known]))}"
        raise Contradiction(f"The guard cannot watch that: {detail}.", (FieldProblem(pointer, detail),))


def pause(transactions: Transactions, request: SteeringRequest) -> messages.Steered:
    """The run leaves a checkpoint and gives its slot back; a trial that waits is paused at once.

    Raises: as `_steer`.
    """

    def decide(scope: Scope, row: TrialRow) -> TrialRow:
        if desired_of(row).run == "pause":
            raise WrongState(f"Trial {row.number} is paused, or about to be.")
        row = desired_state.request_change(scope.tx, row, "person", run="pause", reason=request.reason)
        return trials.transition(scope.tx, row, "paused") if row.state == "queued" else row

    return _steer(transactions, request, decide)


def resume(transactions: Transactions, request: SteeringRequest) -> messages.Steered:
    """A paused trial waits for a worker again; a pause or a stop that was not obeyed yet is taken back.

    Raises: as `_steer`, and WrongState when there is nothing to resume.
    """

    def decide(scope: Scope, row: TrialRow) -> TrialRow:
        if desired_of(row).run == "run":
            raise WrongState(f"Trial {row.number} is {row.state} and is not to pause or stop; nothing to resume.")
        row = desired_state.request_change(scope.tx, row, "person", run="run", reason=request.reason)
        return trials.transition(scope.tx, row, "queued") if row.state == "paused" else row

    return _steer(transactions, request, decide)


def stop(transactions: Transactions, request: SteeringRequest) -> messages.Steered:
    """The run finishes its epoch and tells its result; what nobody runs ends at once. Raises: as `_steer`."""

    def decide(scope: Scope, row: TrialRow) -> TrialRow:
        if desired_of(row).run == "stop":
            raise WrongState(f"Trial {row.number} is about to stop.")
        row = desired_state.request_change(scope.tx, row, "person", run="stop", reason=request.reason)
        if row.state == "running":
            return row
        outcome = completion.outcome_of_stopped(scope.tx, scope.study, row)
        assert outcome is not None
        row = completion.finish(scope, row, outcome, raise_fence=True)
        events.insert(scope.tx, scope.study.id, "stop", scope.now, row.number, why="person", reason=request.reason)
        budgets.settle(scope)
        return row

    return _steer(transactions, request, decide)


def checkpoint(transactions: Transactions, request: SteeringRequest) -> messages.Steered:
    """The run leaves a checkpoint that no rule drops. Raises: as `_steer`, and WrongState where nobody runs it."""

    def decide(scope: Scope, row: TrialRow) -> TrialRow:
        if row.state != "running":
            raise WrongState(f"Trial {row.number} is {row.state}: there is no run that could leave a checkpoint.")
        return desired_state.request_change(scope.tx, row, "person", keep=True, reason=request.reason)

    return _steer(transactions, request, decide)


def rollback(transactions: Transactions, request: SteeringRequest, step: Step | None, params: Json) -> messages.Steered:
    """Back to a checkpoint, from there with other parameters. Raises: as `_steer`, NotFound (no such checkpoint), and
    Contradiction as `change`."""

    def decide(scope: Scope, row: TrialRow) -> TrialRow:
        validation.require_live(scope.study, row, params)
        back = going_back(scope.tx, row, step)
        return desired_state.request_change(scope.tx, row, "person", params=params, back=back, reason=request.reason)

    return _steer(transactions, request, decide)


def going_back(tx: Transaction, row: TrialRow, step: Step | None) -> desired_state.RollbackTarget:
    """The rollback to the checkpoint of a step (None: the newest; 0: the start), which no rule drops from now on.

    Raises: NotFound.
    """
    kept = newest_checkpoint(tx, row) if step is None else checkpoint_at(tx, row, step)
    if kept is None and (step or row.parent_number is not None):
        steps = ", ".join(str(one.step) for one in reachable_checkpoints(tx, row)) or "none"
        wanted = "any step" if step is None else f"step {step}"
        raise NotFound(f"Trial {row.number} has no checkpoint of {wanted} to go back to; it has: {steps}.")
    return pin_rollback_target(tx, row, kept)


def accept(transactions: Transactions, request: SteeringRequest, proposal: int) -> messages.Steered:
    """Do what a policy proposed. Raises: as `_steer`, NotFound (no such proposal, or its checkpoint is gone), and
    WrongState when it is not open any more."""

    def decide(scope: Scope, row: TrialRow) -> TrialRow:
        found = _open_proposal(scope.tx, row, proposal)
        validation.require_live(scope.study, row, found.params)
        back = None if found.restore is None else going_back(scope.tx, row, Step(found.restore))
        run: desired_state.Run | None = "run" if row.state == "paused" else None
        reason = " ".join(filter(None, [found.reason, request.reason]))
        by = scope.tx.actor
        told: Json = {"actor": f"policy:{found.policy}, accepted by {by.name}", "actor_token": by.token_id}
        proposals.update(scope.tx, found.id, state="accepted", version=desired_of(row).version + 1)
        kept = policy_runner.keeps_checkpoints(scope.study, row)
        row = desired_state.request_change(
            scope.tx, row, "policy", params=found.params, back=back, run=run, keep=kept, reason=reason, **told
        )
        return trials.transition(scope.tx, row, "queued") if row.state == "paused" else row

    return _steer(transactions, request, decide)


def dismiss(transactions: Transactions, name: str, number: TrialNumber, proposal: int) -> messages.Proposal:
    """Do not; once or twice. Raises: NotFound, WrongState when it is not open any more."""
    with transactions.on_study(name) as scope:
        tx, study = scope.tx, scope.study
        row = lookup.lock_trial(tx, study, number)
        found = proposals.find(tx, row.id, proposal)
        if found is not None and found.state == "dismissed":
            return views.proposal(found)
        found = _open_proposal(tx, row, proposal)
        return views.proposal(proposals.update(tx, found.id, state="dismissed"))


def _open_proposal(tx: Transaction, row: TrialRow, proposal: int) -> ProposalRow:
    found = proposals.find(tx, row.id, proposal)
    if found is None:
        raise NotFound(f"Trial {row.number} has no proposal {proposal}.")
    if found.state != "open":
        raise WrongState(f"The proposal {proposal} is {found.state}; only an open one can be accepted or dismissed.")
    return found
