"""Every metric of one trial, thinned, with what was changed while it ran."""

from __future__ import annotations

from collections.abc import Sequence

from server.policies.curve import epoch_of
from server.services import lookup
from server.services.runs.curve import counted_reports
from server.services.shown.thinning import kept
from server.store import timeline
from server.store.engine import Database
from server.store.reports import ReportRow
from server.store.timeline import EntryRow
from sturgeon import messages
from sturgeon.identifiers import TrialNumber
from sturgeon.plots.trial_curves import metric_groups


def read_trial_curves(database: Database, name: str, number: TrialNumber, points: int) -> messages.TrialCurves:
    """Each curve of at most so many points. Raises: NotFound."""
    with database.reading() as tx:
        study = lookup.get_study(tx, name)
        trial = lookup.get_trial(tx, study, number)
        counted = counted_reports(tx, study, trial)
        entries = timeline.of_trial(tx, trial.id)
    found = messages.TrialCurves(
        study=name,
        number=number,
        state=trial.state,
        objective=study.metric,
        axis="epoch" if not counted or any(one.epoch is not None for one in counted) else "step",
        metrics={metric: _curve(counted, metric, points) for metric in _metrics(counted)},
        interventions=[_intervention(entry, counted) for entry in entries],
    )
    groups = [messages.MetricGroup(name=name, metrics=members) for name, members in metric_groups(found).items()]
    return found.model_copy(update={"groups": groups})


def _metrics(counted: Sequence[ReportRow]) -> list[str]:
    return list(dict.fromkeys(name for report in counted for name in report.metrics))


def _curve(counted: Sequence[ReportRow], metric: str, most: int) -> messages.MetricCurve:
    pairs = [(epoch_of(one), value) for one in counted if (value := one.metrics.get(metric)) is not None]
    places = kept([value for _, value in pairs], most)
    return messages.MetricCurve(
        epochs=[pairs[place][0] for place in places], values=[pairs[place][1] for place in places]
    )


def _intervention(entry: EntryRow, counted: Sequence[ReportRow]) -> messages.Intervention:
    return messages.Intervention(
        epoch=None if entry.from_step is None else _epoch_at(entry.from_step, counted),
        step=entry.from_step,
        version=entry.version,
        kind=entry.verb,
        change=entry.params,
        restore=entry.restore,
        by=entry.actor,
        reason=entry.reason,
        state=entry.state,
    )


def _epoch_at(step: int, counted: Sequence[ReportRow]) -> float:
    """The epoch at a step, on the line between the reports beside it; beyond the last one as far as along the curve."""
    before, before_epoch = 0, 0.0
    for report in counted:
        if report.step >= step:
            share = (step - before) / (report.step - before) if report.step > before else 1.0
            return before_epoch + share * (epoch_of(report) - before_epoch)
        before, before_epoch = report.step, epoch_of(report)
    return before_epoch * step / before if before else float(step)
