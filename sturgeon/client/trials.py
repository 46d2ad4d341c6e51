"""The routes of trials, as people see them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Literal

from sturgeon import messages as m
from sturgeon.client.connected import Connected
from sturgeon.client.requests import (
    as_dict,
    filters,
    given,
    lines_of,
    paged,
    study_path,
    trial_path,
)
from sturgeon.states import TrialState


class TrialRoutes(Connected):
    """Read, enqueue, import and correct trials."""

    def trials(
        self,
        study: str,
        state: TrialState | None = None,
        invalid: bool | None = None,
        sort: str | None = None,
        page_size: int | None = None,
        page_token: str | None = None,
        tag: str | None = None,
    ) -> m.Page[m.Trial]:
        """One page. `sort` is number, value or finished_at, with `-` in front for the largest first."""
        query = filters(state, invalid, sort) | paged(page_size, page_token) | given(tag=tag)
        return self._wire.ask(m.Page[m.Trial], "GET", f"{study_path(study)}/trials", query=query)

    def all_trials(
        self,
        study: str,
        state: TrialState | None = None,
        invalid: bool | None = None,
        sort: str | None = None,
        page_size: int | None = 1000,
    ) -> Iterator[m.Trial]:
        """The trials of all pages."""
        page_token = None
        while True:
            page = self.trials(study, state, invalid, sort, page_size, page_token)
            yield from page.items
            page_token = page.next_page_token
            if page_token is None:
                return

    def export(
        self,
        study: str,
        format: Literal["csv", "ndjson"] = "csv",
        state: TrialState | None = None,
        invalid: bool | None = None,
        sort: str | None = None,
    ) -> Iterator[str]:
        """All trials as lines of text, without line ends, as they arrive."""
        query = {"format": format} | filters(state, invalid, sort)
        with self._wire.stream(f"{study_path(study)}/trials", query) as answer:
            yield from lines_of(answer.iter_text())

    def enqueue(self, study: str, params: Mapping[str, object]) -> m.Trial:
        """A trial with parameters that a person gives; it is handed out before new ones are drawn."""
        return self._wire.ask(m.Trial, "POST", f"{study_path(study)}/trials", {"params": dict(params)}, once=True)

    def import_trials(self, study: str, trials: Iterable[m.ImportedTrial]) -> m.ImportAnswer:
        """Take over trials that another tool has finished; those that are known by their keys are not taken again."""
        body = m.ImportRequest(trials=list(trials)).model_dump(mode="json")
        return self._wire.ask(m.ImportAnswer, "POST", f"{study_path(study)}/trials:import", body)

    def trial(self, study: str, number: int) -> m.Trial:
        return self._wire.ask(m.Trial, "GET", trial_path(study, number))

    def patch_trial(self, study: str, number: int, patch: m.TrialPatch | Mapping[str, object]) -> m.Trial:
        """Write its tags and notes."""
        return self._wire.ask(m.Trial, "PATCH", trial_path(study, number), as_dict(patch), once=True)

    def trial_metrics(
        self,
        study: str,
        number: int,
        page_size: int | None = None,
        page_token: str | None = None,
        left: bool = False,
    ) -> m.Page[m.ReportedMetrics]:
        """What the trial reported, in the order of its steps; with `left` also what was before it went back."""
        query = paged(page_size, page_token) | ({"left": "true"} if left else {})
        return self._wire.ask(m.Page[m.ReportedMetrics], "GET", f"{trial_path(study, number)}/metrics", query=query)

    def requeue(self, study: str, number: int) -> m.Trial:
        """Run a failed or cancelled trial again."""
        return self._wire.ask(m.Trial, "POST", f"{trial_path(study, number)}:requeue", once=True)

    def invalidate(self, study: str, number: int, reason: str) -> m.Trial:
        """The trial's result counts for nothing from here on; it stays to be seen."""
        return self._wire.ask(m.Trial, "POST", f"{trial_path(study, number)}:invalidate", {"reason": reason}, once=True)

    def cancel(self, study: str, number: int) -> m.Trial:
        return self._wire.ask(m.Trial, "POST", f"{trial_path(study, number)}:cancel", once=True)
