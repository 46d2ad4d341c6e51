"""Pruning: when a report comes in, whether the trial shall stop; when it has, what the search takes it to have scored.

A decision rests on what the database holds when the report is written, under the study's lock: its own reports, the
best complete trial, and the standings of the others at the epoch where the rule looks.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from server.search import pruning as rules
from server.search.pruning import Settings
from server.services import steering
from server.store import events, reports, standings, trials
from server.store.engine import Transaction
from server.store.reports import ReportRow
from server.store.studies import StudyRow
from server.store.trials import TrialRow
from sturgeon import messages


def settings_of(study: StudyRow, trial: TrialRow) -> Settings:
    """The study's rule for this trial. A panda is one model that people watch: no rule stops it."""
    given = messages.Pruning.model_validate(study.pruning)
    rule = given.rule if given.rule is not None and trial.mode != "panda" else "none"
    epochs = given.epochs or math.inf
    if study.task is not None:
        epochs = trial.params.get("epochs", study.task["epochs"])
    return Settings(rule, epochs, given.eta or rules.ETA, given.grace)


def may_look(study: StudyRow, trial: TrialRow, reported: Sequence[messages.Report]) -> bool:
    """Whether the rule looks at the trial for one of these reports, if it is new: then the study is to be locked."""
    if not reported:
        return False
    newest = max(epoch_of(report) for report in reported)
    return rules.look(settings_of(study, trial), trial.run_epoch or 0.0, newest) is not None


def epoch_of(report: messages.Report | ReportRow) -> float:
    """Own code that reports no epochs counts its steps."""
    return report.step if report.epoch is None else report.epoch


def consider(
    tx: Transaction, study: StudyRow, trial: TrialRow, before: float, new_steps: Sequence[int], now: int
) -> TrialRow:
    """Look at the trial for each of its new reports, the first of which comes after `before` epochs; if the rule says
    so, wish it to stop. The rows of the study and the trial are locked."""
    settings = settings_of(study, trial)
    if settings.rule == "none" or not new_steps or steering.of(trial).run == "stop":
        return trial
    run: list[ReportRow] | None = None
    for step in sorted(new_steps):
        run = run or _run(tx, trial, settings, len(new_steps))
        until = [one for one in run if one.step <= step]
        reached = epoch_of(until[-1])
        epoch = rules.look(settings, before, reached)
        before = max(before, reached)
        if epoch is None:
            continue
        verdict = _judge(tx, study, trial, settings, epoch, until)
        if verdict.stop:
            detail = {"why": "pruned", "rule": settings.rule, "epoch": epoch, "reason": verdict.why}
            events.insert(tx, study.id, "stop", now, trial.number, **detail)
            return steering.desire(tx, trial, "pruned", run="stop")
    return trial


def _run(tx: Transaction, trial: TrialRow, settings: Settings, new: int) -> list[ReportRow]:
    """The reports that the rule needs: the curve reads the last few, the others the best so far."""
    if settings.rule == "curve":
        return reports.last_of_run(tx, trial.id, trial.fence, rules.RECENT + new)
    return reports.of_run(tx, trial.id, trial.fence)


def _judge(
    tx: Transaction,
    study: StudyRow,
    trial: TrialRow,
    settings: Settings,
    epoch: int,
    until: Sequence[ReportRow],
) -> rules.Verdict:
    sign = 1.0 if study.direction == "minimize" else -1.0
    own = [None if (score := one.metrics.get(study.metric)) is None else sign * score for one in until]
    if settings.rule == "curve":
        best = trials.least(tx, study.id, None, sign)
        return rules.judge(settings, epoch, own, [], math.inf if best is None else best)
    mine = rules.best_of(own)
    standings.insert(tx, study.id, epoch, trial.id, mine if math.isfinite(mine) else None)
    others = standings.others(tx, study.id, epoch, trial.id)
    return rules.judge(settings, epoch, own, [math.inf if other is None else other for other in others], math.inf)


def guess(tx: Transaction, study: StudyRow, trial: TrialRow) -> float | None:
    """What a pruned trial would have scored at its end, in the study's metric: its last score times the median ratio
    of final to then of the latest complete trials. None when it reported nothing finite."""
    curve = {
        epoch_of(one): score
        for one in reports.of_run(tx, trial.id, trial.fence)
        if (score := one.metrics.get(study.metric)) is not None
    }
    if not curve:
        return trial.value
    last = max(curve)
    complete = reports.of_complete_trials_at(tx, study.id, last, study.metric)
    return rules.guessed_final({0: curve[last]}, [{0: then, 1: final} for then, final in complete])
