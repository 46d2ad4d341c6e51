"""The curve of a trial: which of its reports count.

A train task goes on from its checkpoint on another worker, so its curve is made of the reports of several runs; one's
own code starts again, and its latest run counts alone. Reports after a step that a run went back to are left: they
stay readable, and count for nothing.
"""

from __future__ import annotations

from server.services.views import desired_of
from server.store import reports, timeline
from server.store.engine import Transaction
from server.store.reports import ReportRow
from server.store.studies import StudyRow
from server.store.trials import TrialRow


def counted_reports(
    tx: Transaction, study: StudyRow, row: TrialRow, after_step: int = -1, size: int | None = None
) -> list[ReportRow]:
    """The reports that count, in the order of their steps; of one's own code those of the latest run that reported."""
    if study.task is not None or row.desired is not None:
        return reports.curve(tx, row.id, applied_rollbacks(tx, row), after_step, size)
    latest = reports.latest_run(tx, row.id)
    return [] if latest is None else reports.of_run(tx, row.id, latest, after_step, size)


def present_run_reports(tx: Transaction, study: StudyRow, row: TrialRow) -> list[ReportRow]:
    """As `of`; of one's own code what it reported under its present fence."""
    if study.task is not None or row.desired is not None:
        return counted_reports(tx, study, row)
    return reports.of_run(tx, row.id, row.fence)


def applied_rollbacks(tx: Transaction, row: TrialRow) -> list[tuple[int, int]]:
    """(version, step gone back to) of the rollbacks that the trial's runs have made."""
    return [] if row.desired is None else timeline.rollbacks(tx, row.id)


def rollback_generation_of(tx: Transaction, row: TrialRow, version: int | None) -> int:
    """Which leg a report belongs to, by the version that was in force: that of the last rollback up to there. Without
    a version it is the last that was acknowledged."""
    newest = desired_of(row).leg
    version = (row.applied_version or 0) if version is None else version
    if version >= newest:
        return newest
    return max((back for back, _ in applied_rollbacks(tx, row) if back <= version), default=0)


def is_abandoned(row: ReportRow, gone_back: list[tuple[int, int]]) -> bool:
    """Whether the run went back behind this report."""
    return any(version > row.rollback_generation and row.step > step for version, step in gone_back)
