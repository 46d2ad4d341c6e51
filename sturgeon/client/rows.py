"""The routes of what tables and pictures are made of: rows and curves."""

from __future__ import annotations

from collections.abc import Sequence

from sturgeon import messages as m
from sturgeon.client.connected import Connected
from sturgeon.client.requests import given, study_path, trial_path


class RowRoutes(Connected):
    """Read many trials and their curves at once."""

    def overview(self) -> m.Overview:
        """All studies at a glance, the newest first."""
        return self._wire.ask(m.Overview, "GET", "/v1/studies:overview")

    def rows(self, study: str, since: str | None = None) -> m.Table:
        """The trials as flat rows; `since`, the cursor of an earlier answer, those that have changed after it."""
        return self._wire.ask(m.Table, "GET", f"{study_path(study)}/rows", query=given(since=since))

    def curves(
        self,
        study: str,
        points: int | None = None,
        metric: str | None = None,
        numbers: Sequence[int] | None = None,
        since: str | None = None,
    ) -> m.Curves:
        """One metric, by default the study's, of up to 1,000 trials, each curve in at most so many points."""
        chosen = None if numbers is None else ",".join(map(str, numbers))
        query = given(points=points, metric=metric, numbers=chosen, since=since)
        return self._wire.ask(m.Curves, "GET", f"{study_path(study)}/curves", query=query)

    def trial_curves(self, study: str, number: int, points: int | None = None) -> m.TrialCurves:
        """Every metric of a trial, and what was changed while it ran."""
        return self._wire.ask(m.TrialCurves, "GET", f"{trial_path(study, number)}/curves", query=given(points=points))
