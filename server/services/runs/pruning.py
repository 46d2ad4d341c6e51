"""Pruning: whether a report stops its trial, and which final score the search assumes of a stopped trial.

The decision is made when the report is written, under the study's lock, from what is stored then: the trial's best
score so far, the best score of the others, and their scores at the epoch where the rule looks. No curve is read; of a
trial that is behind, one earlier report.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from server.policies.curve import epoch_of
from server.services.runs import desired_state
from server.services.runs.curve import StoredCurve, present_run_reports
from server.services.transactions import Scope
from server.services.views import desired_of
from server.store import events, reports, rung_scores, trials
from server.store.engine import Transaction
from server.store.json_columns import Json
from server.store.reports import ReportRow
from server.store.studies import StudyRow
from server.store.trials import TrialRow
from sturgeon import messages
from sturgeon.direction import sign_of
from sturgeon.search import pruning as rules
from sturgeon.search.pruning import Earlier, Settings
from sturgeon.states import Mode


def settings_of(study: StudyRow, trial: TrialRow) -> Settings:
    """The study's pruning as it applies to this trial. No rule stops a panda: people watch it."""
    return _settings(study, trial.mode, trial.params)


def _settings(study: StudyRow, mode: Mode, params: Json) -> Settings:
    pruning = messages.Pruning.model_validate(study.pruning)
    rule = pruning.rule if pruning.rule is not None and mode != "panda" else "none"
    epochs: float = pruning.epochs or math.inf
    if study.task is not None and study.task["epochs"] is not None:
        epochs = (study.task | params)["epochs"] if study.trains else study.task["epochs"]
    return Settings(rule, epochs, pruning.eta or rules.ETA, pruning.grace, pruning.power or rules.POWER)


def looks_of(study: StudyRow, mode: Mode, params: Json) -> messages.Looks | None:
    """Where the rule looks at a trial with these parameters, for whoever runs it; None where none does."""
    if study.pruning.get("rule") is None:
        return None
    settings = _settings(study, mode, params)
    if settings.rule == "none":
        return None
    epochs = None if math.isinf(settings.epochs) else settings.epochs
    return messages.Looks(rule=settings.rule, epochs=epochs, eta=settings.eta, grace=settings.first_look)


def may_look(study: StudyRow, trial: TrialRow, reported: Sequence[messages.Report]) -> bool:
    """Whether the rule looks at the trial for one of these reports, if it is new. Then the report locks the study."""
    looked = _looked(settings_of(study, trial), trial.run_epoch or 0.0, reported)
    return any(looked_at is not None for _, looked_at in looked)


def _looked(
    settings: Settings, epoch: float, reported: Sequence[messages.Report]
) -> Iterator[tuple[messages.Report, int | None]]:
    """Each report of a trial that was at this epoch, in order, and the epoch for which the rule looks at it."""
    for report in sorted(reported, key=lambda report: report.step):
        yield report, rules.look(settings, epoch, epoch_of(report))
        epoch = max(epoch, epoch_of(report))


def best_of(study: StudyRow, reported: Sequence[messages.Report]) -> float | None:
    """The best score of these reports, less is better; None when none has the study's metric."""
    sign = sign_of(study.direction)
    scores = [score for report in reported if (score := report.metrics.get(study.metric)) is not None]
    return min((sign * score for score in scores), default=None)


def consider(scope: Scope, trial: TrialRow, before: TrialRow, new: Sequence[messages.Report]) -> TrialRow:
    """Apply the rule to each of the trial's new reports; where it says so, request that the trial stops.

    A trial whose reports reach its end is not stopped, but others are compared with it. before: the trial without these
    reports. The rows of the study and the trial are locked.
    """
    tx, study = scope.tx, scope.study
    settings = settings_of(study, trial)
    if settings.rule == "none" or desired_of(trial).run == "stop":
        return trial
    own_best = math.inf if before.best_score is None else before.best_score
    is_at_end = any(epoch_of(report) >= settings.epochs for report in new)
    for report, looked_at in _looked(settings, before.run_epoch or 0.0, new):
        score = best_of(study, [report])
        own_best = own_best if score is None else min(own_best, score)
        if looked_at is None:
            continue
        verdict = _judge(tx, study, trial, settings, looked_at, report.step, own_best)
        if verdict.stop and not is_at_end:
            detail = {"why": "pruned", "rule": settings.rule, "epoch": looked_at, "reason": verdict.why}
            events.insert(tx, study.id, "stop", scope.now, trial.number, **detail)
            return desired_state.request_change(tx, trial, "pruned", run="stop")
    return trial


def _judge(
    tx: Transaction, study: StudyRow, trial: TrialRow, settings: Settings, epoch: int, step: int, own_best: float
) -> rules.Verdict:
    if settings.rule == "curve":
        best = trials.best_so_far(tx, study.id, sign_of(study.direction), trial.id)
        incumbent = math.inf if best is None else best
        return rules.judge(settings, epoch, own_best, [], incumbent, lambda: _earlier(tx, study, trial, step))
    rung_scores.insert(tx, study.id, epoch, trial.id, own_best if math.isfinite(own_best) else None)
    others = rung_scores.others(tx, study.id, epoch, trial.id)
    return rules.judge(settings, epoch, own_best, [math.inf if other is None else other for other in others], math.inf)


def _earlier(tx: Transaction, study: StudyRow, trial: TrialRow, step: int) -> Earlier | None:
    """What it had scored at a third of its steps, or at the last report before that has a score."""
    for report in StoredCurve(tx, study, trial).up_to(step // rules.BACK):
        if (score := report.metrics.get(study.metric)) is not None:
            return Earlier(epoch_of(report), sign_of(study.direction) * score)
    return None


def predict_value(tx: Transaction, study: StudyRow, trial: TrialRow, value: float | None) -> float | None:
    """The score that a pruned trial would have had at its end, in the study's metric; None when it reported none.

    It is the trial's last score times a ratio: the median, over the latest complete trials, of the final score to the
    score at the same epoch. While these are few, it is the forecast of the rule `curve`.
    """
    scored = [
        (report, score)
        for report in present_run_reports(tx, study, trial)
        if (score := report.metrics.get(study.metric)) is not None
    ]
    if not scored:
        return value
    report, score = max(scored, key=lambda one: epoch_of(one[0]))
    epoch = epoch_of(report)
    over_runs = None if study.task is None else study.goes_on
    complete = reports.of_complete_trials_at(tx, study.id, epoch, study.metric, over_runs=over_runs)
    by_rule = _forecast(tx, study, trial, report, min(score for _, score in scored))
    return rules.predicted_final({0: score}, [{0: then, 1: final} for then, final in complete], by_rule)


def _forecast(tx: Transaction, study: StudyRow, trial: TrialRow, last: ReportRow, best: float) -> float | None:
    """The forecast of the rule `curve`; None of another, where a score is not positive, or before the end of an epoch:
    by (0 / epochs)^power whatever ended at once would be perfect."""
    settings = settings_of(study, trial)
    if settings.rule != "curve" or math.isinf(settings.epochs) or best <= 0 or epoch_of(last) < 1:
        return None
    return rules.forecast(settings, epoch_of(last), best, _earlier(tx, study, trial, last.step))
