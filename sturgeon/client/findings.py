"""The routes of what a run finds out about its model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sturgeon import messages as m
from sturgeon.client.connected import Connected
from sturgeon.client.requests import (
    trial_path,
)
from sturgeon.values import Json


class FindingRoutes(Connected):
    """Store and read findings."""

    def put_finding(self, study: str, number: int, kind: m.FindingKind, fence: int, body: Mapping[str, object]) -> None:
        """Upload a finding of a run about its model."""
        self._wire.send("PUT", f"{trial_path(study, number)}/{kind}", dict(body), query={"fence": fence})

    def diagnosis(self, study: str, number: int) -> Json:
        """Bias, variance and data mismatch of the trial's model, with what to try next."""
        return self._json(f"{trial_path(study, number)}/diagnosis")

    def errors(self, study: str, number: int) -> Json:
        """The misclassified examples with their tags, the table of tags with ceilings, the confusion matrix."""
        return self._json(f"{trial_path(study, number)}/errors")

    def tag_errors(self, study: str, number: int, tags: Mapping[str, Sequence[str]]) -> Json:
        """Tag misclassified examples by hand, by their rows; an empty list takes a row's tags back."""
        body = {"tags": {row: list(given) for row, given in tags.items()}}
        answer: Json = self._wire.send("PUT", f"{trial_path(study, number)}/errors/tags", body, once=True).json()
        return answer

    def _json(self, path: str) -> Json:
        answer: Json = self._wire.send("GET", path).json()
        return answer
