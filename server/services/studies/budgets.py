"""Budgets: what a study may use and has used, and the study's completion when its budget is spent.

Nothing is handed out of a spent budget, but running trials go on to their end. So a study exceeds its limits of epochs
and seconds by what those trials still use. `max_trials` is exact: it limits the trial numbers that are given out.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any, Final

from server.services.isolation import isolated
from server.services.sampling.best import best_trials
from server.services.sampling.exhaustion import is_exhausted, may_be_exhausted
from server.services.transactions import Scope, Transactions
from server.services.views import budget_of
from server.store import amounts, events, leases, studies, trials
from server.store.engine import Transaction
from server.store.json_columns import Json
from server.store.studies import StudyRow
from sturgeon import messages
from sturgeon.errors import BudgetSpent, NotFound
from sturgeon.search import budget as rules
from sturgeon.states import StudyState

DUTY: Final = "budget watch"


def budget_columns(budget: messages.Budget) -> Json:
    """The columns of a study that store its budget."""
    limits = budget.model_dump(mode="json", exclude_none=True, exclude={"max_trials"})
    return {"max_trials": budget.max_trials, "limits": limits or None}


def patched_budget(study: StudyRow, patch: messages.BudgetPatch) -> messages.Budget:
    """The budget after a patch. A field that the patch leaves out stays; null removes a limit."""
    changes = {name: getattr(patch, name) for name in patch.model_fields_set}
    if patch.max_trials is None:
        changes.pop("max_trials", None)
    return budget_of(study).model_copy(update=changes)


def settle(scope: Scope) -> StudyRow:
    """Bring the study's `spent` and its state in line with its budget. The study's row is locked.

    A study with nothing left to do is completed; a completed study with something to do is active again. To be called
    after every change of a budget, of what is used of it, or of the states of trials.
    """
    spent = _limit_reached(scope.tx, scope.study)
    if spent != scope.study.spent:
        scope.update_study(spent=spent)
        if spent is not None:
            events.insert(scope.tx, scope.study.id, "budget_spent", scope.now, limit=spent)
    if scope.study.state == "active" and _is_done(scope.tx, scope.study):
        return _move(scope, "completed", why=spent or _why_nothing_is_left(scope.study))
    if scope.study.state == "completed" and not _is_done(scope.tx, scope.study):
        return _move(scope, "active")
    return scope.study


def _move(scope: Scope, state: StudyState, **why: Any) -> StudyRow:
    events.insert(scope.tx, scope.study.id, "state", scope.now, state=state, was=scope.study.state, **why)
    return scope.update_study(state=state)


def _is_done(tx: Transaction, study: StudyRow) -> bool:
    """Whether nothing runs and nothing may begin. When the budget is spent, queued trials wait for more of it."""
    if study.spent is not None:
        return not leases.any_running(tx, study.id)
    draws_no_more = study.mode == "panda" or _all_numbers_given(study)
    # First what the study's row says: each tell asks.
    if not (draws_no_more or may_be_exhausted(study)) or trials.any_unfinished(tx, study.id):
        return False
    return draws_no_more or is_exhausted(tx, study)


def _why_nothing_is_left(study: StudyRow) -> str:
    """Why a study within its budget is done: of a panda, its trials have ended; else no more trials are drawn."""
    if _all_numbers_given(study):
        return "max_trials"
    return "trials_ended" if study.mode == "panda" else "exhausted"


def _all_numbers_given(study: StudyRow) -> bool:
    return study.next_number + study.replicates > study.max_trials


def _limit_reached(tx: Transaction, study: StudyRow) -> str | None:
    if study.limits is None:
        return None
    budget = budget_of(study)
    used = amounts.of_studies(tx, [study.id])[study.id]
    limits = rules.Limits(budget.max_epochs, budget.max_seconds)
    spent = rules.Spent(used.epochs, used.seconds, None)
    if budget.stop_when is not None:
        limits, spent = _with_goal(tx, study, budget.stop_when, limits, spent)
    return rules.enough(limits, spent)


def _with_goal(
    tx: Transaction, study: StudyRow, goal: messages.StopWhen, limits: rules.Limits, spent: rules.Spent
) -> tuple[rules.Limits, rules.Spent]:
    """Add the goal to the limits. A metric that is to rise above its limit is negated, so that it is to fall below. Of
    replicates, the mean is to reach the goal."""
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
    """Raises: BudgetSpent."""
    if study.spent is not None:
        raise BudgetSpent(f"The budget of {study.name} is spent ({study.spent}); raise it to go on.")


def is_watched(study: StudyRow) -> bool:
    """Whether a report alone may spend the budget: then the report locks the study."""
    return study.limits is not None and not study.limits.keys().isdisjoint({"max_epochs", "max_seconds"})


def watch(transactions: Transactions) -> None:
    """Settle the studies whose seconds are limited and in which a trial runs: time passes without reports, too. Each
    study on its own."""
    with transactions.database.reading() as tx:
        names = [study.name for study in studies.limited(tx) if study.limits and "max_seconds" in study.limits]
    for name in names:
        # NotFound: the study was deleted meanwhile.
        with isolated(DUTY, study=name), suppress(NotFound), transactions.on_study(name) as scope:
            settle(scope)
