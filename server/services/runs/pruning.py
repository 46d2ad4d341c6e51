"""Pruning: when a report comes in, whether the trial shall stop; when it has, what the search takes it to have scored.

A decision rests on what the database holds when the report is written, under the study's lock: the trial's best score
so far, the best score of the others, and their scores at the epoch where the rule looks. No curve is read.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from server.services.runs import desired_state
from server.services.runs.curve import present_run_reports
from server.services.transactions import Scope
from server.services.views import desired_of
from server.store import events, reports, rung_scores, trials
from server.store.engine import Transaction
from server.store.reports import ReportRow
from server.store.studies import StudyRow
from server.store.trials import TrialRow
from sturgeon import messages
from sturgeon.direction import sign_of
from sturgeon.search import pruning as rules
from sturgeon.search.pruning import Settings


def settings_of(study: StudyRow, trial: TrialRow) -> Settings:
    """The study's rule for this trial. A panda is one model that people watch: no rule stops it."""
    given = messages.Pruning.model_validate(study.pruning)
    rule = given.rule if given.rule is not None and trial.mode != "panda" else "none"
    epochs = given.epochs or math.inf
    if study.task is not None:
        epochs = trial.params.get("epochs", study.task["epochs"])
    return Settings(rule, epochs, given.eta or rules.ETA, given.grace, given.power or rules.POWER)


def may_look(study: StudyRow, trial: TrialRow, reported: Sequence[messages.Report]) -> bool:
    """Whether the rule looks at the trial for one of these reports, if it is new: then the study is to be locked."""
    if not reported:
        return False
    newest = max(epoch_of(report) for report in reported)
    return rules.look(settings_of(study, trial), trial.run_epoch or 0.0, newest) is not None


def epoch_of(report: messages.Report | ReportRow) -> float:
    """Own code that reports no epochs counts its steps."""
    return report.step if report.epoch is None else report.epoch


def best_of(study: StudyRow, reported: Sequence[messages.Report]) -> float | None:
    """The best score of these reports, less is better; None when none has the study's metric."""
    sign = sign_of(study.direction)
    scores = [score for one in reported if (score := one.metrics.get(study.metric)) is not None]
    return min((sign * score for score in scores), default=None)


def consider(scope: Scope, trial: TrialRow, before: TrialRow, new: Sequence[messages.Report]) -> TrialRow:
    """Look at the trial for each of its new reports; if the rule says so, request that it stops.

    before: the trial without these reports. The rows of the study and the trial are locked.
    """
    tx, study = scope.tx, scope.study
    settings = settings_of(study, trial)
    if settings.rule == "none" or desired_of(trial).run == "stop":
        return trial
    epoch, mine = before.run_epoch or 0.0, math.inf if before.best_score is None else before.best_score
    for one in sorted(new, key=lambda report: report.step):
        looked_at = rules.look(settings, epoch, epoch_of(one))
        epoch = max(epoch, epoch_of(one))
        score = best_of(study, [one])
        mine = mine if score is None else min(mine, score)
        if looked_at is None:
            continue
        verdict = _judge(tx, study, trial, settings, looked_at, mine)
        if verdict.stop:
            detail = {"why": "pruned", "rule": settings.rule, "epoch": looked_at, "reason": verdict.why}
            events.insert(tx, study.id, "stop", scope.now, trial.number, **detail)
            return desired_state.request_change(tx, trial, "pruned", run="stop")
    return trial


def _judge(
    tx: Transaction, study: StudyRow, trial: TrialRow, settings: Settings, epoch: int, mine: float
) -> rules.Verdict:
    if settings.rule == "curve":
        best = trials.best_so_far(tx, study.id, sign_of(study.direction), trial.id)
        return rules.judge(settings, epoch, mine, [], math.inf if best is None else best)
    rung_scores.insert(tx, study.id, epoch, trial.id, mine if math.isfinite(mine) else None)
    others = rung_scores.others(tx, study.id, epoch, trial.id)
    return rules.judge(settings, epoch, mine, [math.inf if other is None else other for other in others], math.inf)


def predict_value(tx: Transaction, study: StudyRow, trial: TrialRow, value: float | None) -> float | None:
    """What a pruned trial would have scored at its end, in the study's metric: its last score times the median ratio
    of final to then of the latest complete trials. None when it reported nothing finite."""
    curve = {
        epoch_of(one): score
        for one in present_run_reports(tx, study, trial)
        if (score := one.metrics.get(study.metric)) is not None
    }
    if not curve:
        return value
    last = max(curve)
    over_runs = study.task is not None
    complete = reports.of_complete_trials_at(tx, study.id, last, study.metric, over_runs=over_runs)
    return rules.guessed_final({0: curve[last]}, [{0: then, 1: final} for then, final in complete])
