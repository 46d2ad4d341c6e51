"""Branches: trials that go on from the checkpoint of another trial, their parent. A fork tries several changes at once;
a promoted trial takes a caviar's trial further as a panda. The parent stays as it is.

A branch has its own copy of the checkpoint that it begins with, and the record of how that checkpoint was made. So it
needs nothing of its parent, which may be rolled back to an earlier step later.
"""

from __future__ import annotations

from collections.abc import Sequence

from server.policies import timelines
from server.request_context import note
from server.services import lookup, views
from server.services.idempotency import IdempotencyKey, claim_or_replay, store_answer
from server.services.runs.resume import initial_live_params
from server.services.studies import budgets, live_params, validation
from server.services.transactions import Scope, Transactions
from server.services.trial_rows import new_trial
from server.services.trials.checkpoints import best_first
from server.store import checkpoints, events, timeline, trials
from server.store.checkpoints import CheckpointRow
from server.store.engine import Transaction
from server.store.json_columns import Json
from server.store.studies import StudyRow
from server.store.trials import TrialRow
from sturgeon import messages
from sturgeon.errors import BudgetSpent, Contradiction, FieldProblem, NotFound, WrongState
from sturgeon.identifiers import Step, TrialNumber


def fork(
    transactions: Transactions, name: str, number: TrialNumber, request: messages.ForkRequest, key: IdempotencyKey
) -> messages.Page[messages.Trial]:
    """A queued trial for each branch, and the unchanged control after them.

    Raises: NotFound (the trial, the checkpoint), Contradiction (a change that is not live or out of range, no
    epochs left), BudgetSpent, WrongState, IdempotencyMismatch.
    """
    with transactions.on_study(name) as scope:
        tx, study = scope.tx, scope.study
        if (answered := claim_or_replay(tx, key, messages.Page[messages.Trial], study)) is not None:
            return answered
        parent = lookup.lock_trial(tx, study, number)
        checkpoint = _checkpoint(tx, study, parent, request.step, best=False)
        wanted = [branch.params for branch in request.branches]
        for place, params in enumerate(wanted):
            validation.require_live(study, parent, params, f"/branches/{place}/params")
        if request.control:
            wanted.append(_as_long_as(wanted))
        rows = make_branches(scope, parent, checkpoint, wanted, raise_budget=request.raise_budget)
        numbers = [row.number for row in rows]
        events.insert(
            tx, study.id, "forked", scope.now, number, step=checkpoint.step, branches=numbers, reason=request.reason
        )
        note(branches=numbers)
        answer = messages.Page[messages.Trial](items=[views.trial(name, row) for row in rows])
        store_answer(tx, key, answer)
        return answer


def _as_long_as(branches: Sequence[Json]) -> Json:
    """The control differs in nothing, but it trains as long as branches that all train equally long."""
    lengths = [branch.get("epochs") for branch in branches]
    return {"epochs": lengths[0]} if lengths[0] is not None and len(set(lengths)) == 1 else {}


def promote(
    transactions: Transactions, name: str, number: TrialNumber, request: messages.PromoteRequest, key: IdempotencyKey
) -> messages.Trial:
    """A queued panda that goes on from the trial's best checkpoint, or from the one of a step. Raises as `fork`."""
    with transactions.on_study(name) as scope:
        tx, study = scope.tx, scope.study
        if (answered := claim_or_replay(tx, key, messages.Trial, study)) is not None:
            return answered
        parent = lookup.lock_trial(tx, study, number)
        checkpoint = _checkpoint(tx, study, parent, request.step, best=True)
        validation.require_live(study, parent, request.params)
        [row] = make_branches(scope, parent, checkpoint, [request.params], raise_budget=request.raise_budget)
        detail = {"step": checkpoint.step, "panda": row.number, "reason": request.reason}
        events.insert(tx, study.id, "promoted", scope.now, number, **detail)
        note(panda=row.number)
        answer = views.trial(name, row)
        store_answer(tx, key, answer)
        return answer


def _checkpoint(tx: Transaction, study: StudyRow, parent: TrialRow, step: Step | None, *, best: bool) -> CheckpointRow:
    """Raises: NotFound."""
    choices = [choice for choice in checkpoints.of_trial(tx, parent.id) if choice.is_whole]
    if step is not None:
        choices = [choice for choice in choices if choice.step == step]
    if not choices:
        which = "no checkpoint" if step is None else f"no checkpoint at step {step}"
        raise NotFound(f"Trial {parent.number} of {study.name} has {which} to go on from.")
    return best_first(choices, study.direction)[0] if best and step is None else choices[-1]


def make_branches(
    scope: Scope,
    parent: TrialRow,
    checkpoint: CheckpointRow,
    wanted: Sequence[Json],
    *,
    raise_budget: bool,
) -> list[TrialRow]:
    """Queued pandas that go on from the parent's checkpoint, one for each change. The study's row is locked.

    Raises: Contradiction (no epochs left), WrongState, BudgetSpent.
    """
    tx, study, now = scope.tx, scope.study, scope.now
    entries = timeline.of_trial(tx, parent.id)
    base = parent.params | timelines.overrides(entries, checkpoint)
    for place, params in enumerate(wanted):
        _require_epochs_left(study, base | params, checkpoint, place)
    _require_numbers_left(scope, len(wanted), raise_budget=raise_budget)
    origin = {
        "mode": "panda",
        "seed": parent.seed,
        "group_number": None,
        "origin": origin_of(parent, checkpoint, entries),
    }
    child_of = {"parent_number": parent.number, "parent_step": checkpoint.step}
    numbers = [TrialNumber(study.next_number + place) for place in range(len(wanted))]
    rows = trials.insert(
        tx,
        [
            new_trial(study, number, base | params, tuple(parent.point), now) | origin | child_of
            for number, params in zip(numbers, wanted, strict=True)
        ],
    )
    for row in rows:
        _give_checkpoint(scope, row, checkpoint)
    scope.update_study(next_number=study.next_number + len(wanted))
    budgets.settle(scope)
    return rows


def _give_checkpoint(scope: Scope, child: TrialRow, checkpoint: CheckpointRow) -> None:
    """The child's first checkpoint is its parent's; it shares the blob."""
    values = {name: getattr(checkpoint, name) for name in ("step", "epoch", "value", "sha256", "size")}
    checkpoints.replace(
        scope.tx, values | {"trial_id": child.id, "created_at": scope.now, "version": 0, "pinned": True}
    )


def _require_epochs_left(study: StudyRow, params: Json, checkpoint: CheckpointRow, place: int) -> None:
    if not study.trains or checkpoint.epoch is None:
        return
    epochs = live_params.task_fields(study, params)["epochs"]
    if checkpoint.epoch >= epochs:
        detail = f"epochs: the checkpoint has done all {epochs}; write more, for example {2 * epochs}"
        raise Contradiction(
            f"Branch {place} has nothing left to train: {detail}.", (FieldProblem("/params/epochs", detail),)
        )


def _require_numbers_left(scope: Scope, count: int, *, raise_budget: bool) -> None:
    """Raises: WrongState, BudgetSpent."""
    study = scope.study
    if study.state in ("stopped", "cancelled"):
        raise WrongState(f"The study {study.name} is {study.state}; it takes no more trials.")
    budgets.require_left(study)
    if raise_budget:
        scope.update_study(max_trials=study.max_trials + count)
    elif study.next_number + count > study.max_trials:
        left = study.max_trials - study.next_number
        raise BudgetSpent(
            f"{count} trials do not fit into the budget of {study.name}, {left} of {study.max_trials} are left: add "
            '"raise_budget": true, or raise max_trials.'
        )


def origin_of(parent: TrialRow, checkpoint: CheckpointRow, entries: Sequence[timeline.EntryRow]) -> Json:
    """How a checkpoint was made, from the root of its lineage: what the root began with, and all changes since."""
    root = parent.origin or {"number": parent.number, "params": parent.params, "schedule": []}
    return root | {"schedule": [*root["schedule"], *own_schedule(parent, entries, checkpoint)]}


def own_schedule(
    trial: TrialRow, entries: Sequence[timeline.EntryRow], checkpoint: CheckpointRow | None = None
) -> list[tuple[int, Json]]:
    """(step, params) of the changes that the trial itself made; its first is what makes it differ from its parent."""
    first = [] if trial.parent_step is None else [(trial.parent_step, initial_live_params(trial))]
    return [*first, *timelines.schedule(timelines.in_force(entries, checkpoint))]
