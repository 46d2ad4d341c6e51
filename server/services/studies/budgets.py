"""Budgets: what a study may use, what it has used, and that it completes when that is enough.

A spent budget ends the hand-outs; trials that run finish. So epochs and seconds are exceeded by what is in flight, and
by no more; `max_trials` counts numbers and is exact.
"""

from __future__ import annotations

from typing import Any

from server.services.sampling.best import best_trials
from server.store import events, leases, studies, trials
from server.store.engine import Database, Transaction
from server.store.studies import StudyRow
from sturgeon import messages
from sturgeon.errors import BudgetSpent
from sturgeon.search import budget as rules


def budget_columns(budget: messages.Budget) -> dict[str, Any]:
    """A budget as the columns of its study have it."""
    limits = budget.model_dump(mode="json", exclude_none=True, exclude={"max_trials"})
    return {"max_trials": budget.max_trials, "limits": limits or None}


def budget_of(study: StudyRow) -> messages.Budget:
    return messages.Budget.model_validate({"max_trials": study.max_trials} | (study.limits or {}))


def patched_budget(study: StudyRow, patch: messages.BudgetPatch) -> messages.Budget:
    """The budget after a patch: what it leaves out stays, null takes a limit away."""
    given = {name: getattr(patch, name) for name in patch.model_fields_set}
    if patch.max_trials is None:
        given.pop("max_trials", None)
    return budget_of(study).model_copy(update=given)


def settle(tx: Transaction, study: StudyRow, now: int) -> StudyRow:
    """Say of the study whether its budget is spent, complete it when nothing is left to do, and make it active again
    when there is. The study's row is locked; to be called after whatever may change one of these."""
    spent = _limit_reached(tx, study)
    if spent != study.spent:
        study = studies.update(tx, study.id, spent=spent)
        if spent is not None:
            events.insert(tx, study.id, "budget_spent", now, limit=spent)
    if study.state == "active" and _is_done(tx, study):
        events.insert(tx, study.id, "state", now, state="completed", was="active", why=spent or "max_trials")
        return studies.update(tx, study.id, state="completed")
    if study.state == "completed" and not _is_done(tx, study):
        events.insert(tx, study.id, "state", now, state="active", was="completed")
        return studies.update(tx, study.id, state="active")
    return study


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


def watch(database: Database) -> None:
    """Time passes without reports: settle the studies whose seconds are limited."""
    with database.reading() as tx:
        names = [study.name for study in studies.limited(tx) if study.limits and "max_seconds" in study.limits]
    for name in names:
        with database.writing() as tx:
            study = studies.lock(tx, name)
            if study is not None:
                settle(tx, study, tx.now())
