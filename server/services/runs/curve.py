"""The curve of a trial: which of its reports count.

A train task, and own code with checkpoints, goes on from its checkpoint on another worker, so its curve is made of the
reports of several runs; of own code not of those before it began from the start again. Own code without checkpoints
starts again, so its latest run counts alone. A study without a task does not say which of them its code is: the latest
run of a trial counts alone until one has gone on from a checkpoint (`begun_fence` tells). A rollback abandons the
reports after its target: they stay readable, and count for nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

from server.services.views import desired_of
from server.store import reports, timeline
from server.store.engine import Transaction
from server.store.reports import ReportRow, Segment
from server.store.studies import StudyRow
from server.store.trials import TrialRow
from sturgeon.direction import sign_of
from sturgeon.identifiers import Fence

FIRST_PAGE, LARGEST_PAGE = 8, 512


def counted_reports(
    tx: Transaction, study: StudyRow, row: TrialRow, after_step: int = -1, size: int | None = None
) -> list[ReportRow]:
    """The reports that count, in the order of their steps; of own code that starts again those of the latest run that
    reported."""
    if _is_of_all_runs(study, row):
        return reports.curve(tx, row.id, applied_rollbacks(tx, row), after_step, size, since=row.begun_fence)
    latest = reports.latest_run(tx, row.id)
    return [] if latest is None else reports.of_run(tx, row.id, latest, after_step, size)


def is_of_all_runs(study: StudyRow, *, steered: bool, begun_fence: Fence | None) -> bool:
    """Whether a trial's curve is made of the reports of all its runs since `begun_fence`, not of the latest alone."""
    return study.goes_on or steered or (study.task is None and begun_fence is not None)


def _is_of_all_runs(study: StudyRow, row: TrialRow) -> bool:
    return is_of_all_runs(study, steered=row.desired is not None, begun_fence=row.begun_fence)


def present_run_reports(tx: Transaction, study: StudyRow, row: TrialRow) -> list[ReportRow]:
    """As `counted_reports`; of own code that starts again what it reported under its present fence."""
    if _is_of_all_runs(study, row):
        return counted_reports(tx, study, row)
    return reports.of_run(tx, row.id, row.fence)


def best_score_up_to(tx: Transaction, study: StudyRow, row: TrialRow, step: int) -> float | None:
    """The best score, less is better, of the reports that count up to a step; None where there is none."""
    sign = sign_of(study.direction)
    scores = (report.metrics.get(study.metric) for report in counted_reports(tx, study, row) if report.step <= step)
    return min((sign * score for score in scores if score is not None), default=None)


class StoredCurve:
    """The curve of a trial as it stands now: `present_run_reports`, read no further than is asked for.

    A segment's reports count up to the step at which a later run began, up to the first step of a later segment, and up
    to the step that a later rollback went back to. So only the newest segments have to be known for what is at the
    curve's end.
    """

    def __init__(self, tx: Transaction, study: StudyRow, row: TrialRow) -> None:
        self._tx = tx
        self._row = row
        self._fence = None if _is_of_all_runs(study, row) else row.fence
        self._known: list[tuple[Segment, int]] = []
        self._begins = reports.LARGEST  # where the known segments begin
        self._is_whole = False

    @property
    def is_of_one_run(self) -> bool:
        """Whether the present run's reports count alone."""
        return self._fence is not None

    def segments(self) -> Iterator[tuple[Segment, int]]:
        """(segment, the step from which on its reports do not count any more), the newest first."""
        place = 0
        while place < len(self._known) or self._read_another():
            yield self._known[place]
            place += 1

    def _read_another(self) -> bool:
        """Whether there is a segment before those that are known."""
        newer = self._known[-1][0] if self._known else None
        segment = None if self._is_whole else self._segment_before(newer)
        if segment is None:
            self._is_whole = True
            return False
        if newer is not None and segment.fence != newer.fence:
            self._begins = min(self._begins, newer.ends_earlier_runs)
        self._known.append((segment, min(self._begins, self._gone_back_to(segment) + 1)))
        self._begins = min(self._begins, segment.first_step)
        return True

    def _segment_before(self, newer: Segment | None) -> Segment | None:
        return reports.segment_before(self._tx, self._row.id, newer, self._fence, since=self._row.begun_fence)

    def _gone_back_to(self, segment: Segment) -> int:
        if self._row.desired is None:
            return reports.LARGEST - 1
        restore = timeline.least_restore_after(self._tx, self._row.id, segment.rollback_generation)
        return reports.LARGEST - 1 if restore is None else restore

    def after(self, step: int) -> Iterator[ReportRow]:
        """The reports of later steps, in their order."""
        wanted: list[tuple[Segment, range]] = []
        for segment, end in self.segments():
            wanted.append((segment, range(step + 1, end)))
            if segment.first_step <= step + 1:  # those before it end here
                break
        for segment, steps in reversed(wanted):
            yield from self._pages(segment, steps, newest_first=False)

    def up_to(self, step: int) -> Iterator[ReportRow]:
        """The reports up to a step, the last first."""
        for segment, end in self.segments():
            yield from self._pages(segment, range(min(end, step + 1)), newest_first=True)

    @cached_property
    def newest(self) -> ReportRow | None:
        return next(self.up_to(reports.LARGEST - 1), None)

    def _pages(self, segment: Segment, steps: range, *, newest_first: bool) -> Iterator[ReportRow]:
        size = FIRST_PAGE
        while steps:
            rows = reports.of_segment(self._tx, self._row.id, segment, steps, size, newest_first=newest_first)
            yield from rows
            if len(rows) < size:
                return
            last, size = rows[-1].step, min(2 * size, LARGEST_PAGE)
            steps = range(steps.start, last) if newest_first else range(last + 1, steps.stop)


def applied_rollbacks(tx: Transaction, row: TrialRow) -> list[tuple[int, int]]:
    """(version, step gone back to) of the rollbacks that the trial's runs have made."""
    return [] if row.desired is None else timeline.rollbacks(tx, row.id)


def rollback_generation_of(tx: Transaction, row: TrialRow, version: int | None) -> int:
    """The rollback generation that a report belongs to: the version of the last rollback up to the version that was in
    force. Without a version the last one that was acknowledged counts."""
    newest = desired_of(row).leg
    version = (row.applied_version or 0) if version is None else version
    if version >= newest:
        return newest
    return max((back for back, _ in applied_rollbacks(tx, row) if back <= version), default=0)


def is_abandoned(row: ReportRow, gone_back: list[tuple[int, int]]) -> bool:
    """Whether a rollback to an earlier step abandoned this report."""
    return any(version > row.rollback_generation and row.step > step for version, step in gone_back)
