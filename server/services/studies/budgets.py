"""Budgets: what a study may use, what it has used, and that it completes when that is enough.

A spent budget ends the hand-outs; trials that run finish. So epochs and seconds are exceeded by what is in flight, and
by no more; `max_trials` counts numbers and is exact.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any, Final

from server.services.isolation import isolated
from server.services.sampling.best import best_trials
from server.services.transactions import Scope, Transactions
from server.services.views import budget_of
from server.store import events, leases, studies, trials
from server.store.engine import Transaction
from server.store.studies import StudyRow
from sturgeon import messages
from sturgeon.errors import BudgetSpent, NotFound
from sturgeon.search import budget as rules
from sturgeon.states import StudyState

DUTY: Final = "budget watch"


def budget_columns(budget: messages.Budget) -> dict[str, Any]:
    """A budget as the columns of its study have it."""
    limits = budget.model_dump(mode="json", exclude_none=True, exclude={"max_trials"})
    return {"max_trials": budget.max_trials, "limits": limits or None}


def patched_budget(study: StudyRow, patch: messages.BudgetPatch) -> messages.Budget:
    """The budget after a patch: what it leaves out stays, null takes a limit away."""
    given = {name: getattr(patch, name) for name in patch.model_fields_set}
    if patch.max_trials is None:
        given.pop("max_trials", None)
    return budget_of(study).model_copy(update=given)


def settle(scope: Scope) -> StudyRow:
    """Bring the study's `spent` and state in line with its budget: complete it when nothing is left to do, make it
    active again when there is. To be called after whatever may change one of these. The study's row is locked."""
    spent = _limit_reached(scope.tx, scope.study)
    if spent != scope.study.spent:
        scope.update_study(spent=spent)
        if spent is not None:
            events.insert(scope.tx, scope.study.id, "budget_spent", scope.now, limit=spent)
    if scope.study.state == "active" and _is_done(scope.tx, scope.study):
        return _move(scope, "completed", why=spent or "max_trials")
    if scope.study.state == "completed" and not _is_done(scope.tx, scope.study):
        return _move(scope, "active")
    return scope.study


def _move(scope: Scope, state: StudyState, **why: Any) -> StudyRow:
    events.insert(scope.tx, scope.study.id, "state", scope.now, state=state, was=scope.study.state, **why)
    return scope.update_study(state=state)


def _is_done(tx: Transaction, study: StudyRow) -> bool:
    """Nothing runs, and nothing may begin any more. Beyond a spent budget the queue waits for more of it."""
    if study.spent is not None:
        return not leases.any_running(tx, study.id)
    all_given_out = study.mode == "panda" or study.next_number + study.replicates > study.max_trials
    return all_given_out and not trials.any_unfinished(tx, study.id)


def _limit_reached(tx: Transaction, study: StudyRow) -> str | None:
    if study.limits is None:
        return None
    budget = budget_of(study)
    used = studies.amounts(tx, [study.id])[study.id]
    limits = rules.Limits(budget.max_epochs, budget.max_seconds)
    spent = rules.Spent(used.epochs, used.seconds, None)
    if budget.stop_when is not None:
        limits, spent = _with_goal(tx, study, budget.stop_when, limits, spent)
    return rules.enough(limits, spent)


def _with_goal(
    tx: Transaction, study: StudyRow, goal: messages.StopWhen, limits: rules.Limits, spent: rules.Spent
) -> tuple[rules.Limits, rules.Spent]:
    """What is to rise above a limit is to fall below it with the sign turned. Of replicates the mean is to reach it."""
    sign = 1.0 if goal.below is not None else -1.0
    limit = goal.below if goal.below is not None else goal.above
    assert limit is not None
    if goal.metric not in (None, study.metric):
        best = trials.least(tx, study.id, goal.metric, sign)
    elif study.replicates > 1:
        top = best_trials(tx, study, 1)
        best = sign * top[0].value if top else None
    else:
        best = trials.least(tx, study.id, None, sign)
    return limits._replace(below=sign * limit), spent._replace(best=best)


def require_left(study: StudyRow) -> None:
    """Raises BudgetSpent."""
    if study.spent is not None:
        raise BudgetSpent(f"The budget of {study.name} is spent ({study.spent}); raise it to go on.")


def is_watched(study: StudyRow) -> bool:
    """Whether a report alone may spend the budget: then the study is to be locked."""
    return study.limits is not None and not study.limits.keys().isdisjoint({"max_epochs", "max_seconds"})


def watch(transactions: Transactions) -> None:
    """Settle the studies whose seconds are limited: time passes without reports, too. Each study on its own."""
    with transactions.database.reading() as tx:
        names = [study.name for study in studies.limited(tx) if study.limits and "max_seconds" in study.limits]
    for name in names:
        # NotFound: the study was deleted meanwhile.
        with isolated(DUTY, study=name), suppress(NotFound), transactions.on_study(name) as scope:
            settle(scope)
