"""Trials that ended in another tool: they get numbers, dates and curves here, and samplers see them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from server.request_context import note
from server.services import views
from server.services.runs import pruning
from server.services.studies import budgets
from server.services.transactions import Scope, Transactions
from server.services.trial_rows import new_trial
from server.store import events, reports, trials
from server.store import studies as study_rows
from server.store.json_columns import Json
from server.store.trials import TrialRow
from sturgeon import messages
from sturgeon.direction import best_value
from sturgeon.errors import BudgetSpent, Contradiction, FieldProblem, Problem, WrongState
from sturgeon.identifiers import TrialNumber
from sturgeon.messages import ImportedOne, ImportedTrial
from sturgeon.space import Space

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def import_trials(transactions: Transactions, name: str, asked: Sequence[ImportedTrial]) -> messages.ImportAnswer:
    """Take over trials, in one transaction. One that does not fit the study is answered with its reason; one that is
    known by its key is not taken again.

    Raises: NotFound, WrongState (a panda's study, one with replicates, or one that has ended), BudgetSpent (max_trials
    leaves too few numbers).
    """
    with transactions.on_study(name) as scope:
        _require_takes_trials(scope)
        known = trials.imported(scope.tx, scope.study.id)
        new = list({trial.key: trial for trial in asked if trial.key not in known}.values())
        answers = _import_all(scope, new)
        if any(answer.number is not None for answer in answers.values()):
            count = sum(answer.number is not None for answer in answers.values())
            events.insert(scope.tx, scope.study.id, "imported", scope.now, trials=count)
            note(trials=count)
            budgets.settle(scope)
    before = {key: ImportedOne(key=key, number=number, known=True) for key, number in known.items()}
    return messages.ImportAnswer(items=[(before | answers)[trial.key] for trial in asked])


def _require_takes_trials(scope: Scope) -> None:
    study = scope.study
    if study.mode == "panda" or study.replicates > 1:
        which = "steers one model" if study.mode == "panda" else "has replicates"
        raise WrongState(f"The study {study.name} {which}: it takes no trials of other tools.")
    if study.state not in ("active", "paused", "completed"):
        raise WrongState(f"The study {study.name} is {study.state}; it takes no more trials.")


def _import_all(scope: Scope, asked: Sequence[ImportedTrial]) -> dict[str, ImportedOne]:
    """Raises: BudgetSpent."""
    space = views.space_of(scope.study)
    answers: dict[str, ImportedOne] = {}
    rows: list[tuple[Json, ImportedTrial]] = []
    number = scope.study.next_number
    for trial in asked:
        try:
            rows.append((_row(scope, space, TrialNumber(number + len(rows)), trial), trial))
        except Problem as problem:
            answers[trial.key] = ImportedOne(key=trial.key, code=problem.code, detail=problem.message)
    if number + len(rows) > scope.study.max_trials:
        raise BudgetSpent(
            f"{len(rows)} trials need numbers from {number} on, and max_trials is {scope.study.max_trials}; raise it "
            f"to at least {number + len(rows)}."
        )
    if rows:
        scope.update_study(next_number=number + len(rows))
        inserted = trials.insert(scope.tx, [row for row, _ in rows])
        for stored, (_, trial) in zip(inserted, rows, strict=True):
            _add_curve(scope, stored, trial)
            answers[trial.key] = ImportedOne(key=trial.key, number=stored.number)
    return answers


def _row(scope: Scope, space: Space, number: TrialNumber, trial: ImportedTrial) -> Json:
    """The row of a trial that has ended.

    Raises: Contradiction (it does not fit the space, has no value, ends before it begins, or reports a step twice).
    """
    if trial.finished_at < trial.started_at:
        raise Contradiction("finished_at is before started_at.")
    if len({report.step for report in trial.reports}) < len(trial.reports):
        raise Contradiction("Two reports have the same step.")
    point = space.place(trial.params)
    if point is None:
        space.encode(trial.params)  # raises, and says why
        raise Contradiction("The parameters do not fit the space.")
    value = _value(scope, trial)
    params = {name: trial.params.get(name, drawn) for name, drawn in space.decode(point).items()}
    return new_trial(scope.study, number, params, point, scope.now) | {
        "state": trial.state,
        "value": value,
        "metrics": trial.metrics,
        "step": trial.step,
        "error": trial.error,
        "drawn": {"imported": trial.key},
        "left_seq": study_rows.next_seq(scope.tx, scope.study.id),
        "created_at": _microseconds(trial.started_at),
        "started_at": _microseconds(trial.started_at),
        "finished_at": _microseconds(trial.finished_at),
    }


def _value(scope: Scope, trial: ImportedTrial) -> float | None:
    """The trial's value, as `Outcome` has it. Raises: Contradiction (a complete trial has none)."""
    if trial.state in ("diverged", "failed"):
        return None
    metric = scope.study.metric
    curve = sorted(trial.reports, key=lambda report: report.step)
    scores = [report.metrics.get(metric) for report in curve] + [trial.metrics.get(metric)]
    present = [score for score in scores if score is not None]
    value = best_value(present, scope.study.direction) if scope.study.reduce == "best" else scores[-1]
    if value is None and trial.state == "pruned" and present:
        value = present[-1]
    if value is None and trial.state == "complete":
        sentence = f"a complete trial needs the study's metric {metric} as a finite number"
        raise Contradiction(sentence.capitalize() + ".", (FieldProblem("/metrics", sentence),))
    return value


def _add_curve(scope: Scope, row: TrialRow, trial: ImportedTrial) -> None:
    """Store the trial's reports, evenly spread between its dates; of a pruned one also its predicted value."""
    start, end = _microseconds(trial.started_at), _microseconds(trial.finished_at)
    curve = sorted(trial.reports, key=lambda report: report.step)
    if curve:
        reports.insert(
            scope.tx,
            [
                {
                    "trial_id": row.id,
                    "fence": row.fence,
                    "rollback_generation": 0,
                    "step": report.step,
                    "epoch": report.epoch,
                    "metrics": report.metrics,
                    "at": start + (end - start) * place // len(curve),
                }
                for place, report in enumerate(curve, 1)
            ],
        )
    if row.state == "pruned":
        predicted = pruning.predict_value(scope.tx, scope.study, row, row.value)
        trials.update(scope.tx, row, predicted_value=predicted)


def _microseconds(at: datetime) -> int:
    return (at - _EPOCH) // timedelta(microseconds=1)
