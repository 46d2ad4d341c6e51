"""The routes of what tables and pictures are made of: rows and curves."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import BinaryIO, Literal

from sturgeon import messages as m
from sturgeon.client.connected import Connected
from sturgeon.client.requests import given, lines_of, study_path, trial_path
from sturgeon.errors import BrokenOff
from sturgeon.values import Json


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

    def metrics(self, study: str, format: Literal["csv", "ndjson"] = "ndjson") -> Iterator[str]:
        """Every report of all trials that counts, as lines of text, without line ends, as they arrive."""
        with self._wire.stream(f"{study_path(study)}/metrics", {"format": format}) as answer:
            yield from lines_of(answer.iter_text())

    def download_metrics(self, study: str, file: BinaryIO, format: Literal["csv", "ndjson", "parquet"]) -> None:
        """Write every report of all trials that counts into an empty file that was opened for bytes."""
        self._wire.download(f"{study_path(study)}/metrics", {"format": format}, file, math.inf)

    def plot(self, study: str, kind: str, number: int | None = None, width: int | None = None, **options: str) -> Json:
        """The specification of a picture of a study, or of a trial, with its data, in Vega-Lite or Vega."""
        path = study_path(study) if number is None else trial_path(study, number)
        query = given(width=width, **options)
        spec: Json = self._wire.send("GET", f"{path}/plots/{kind}", query=query).json()
        return spec

    def stream(self, study: str | None = None, since: str | None = None) -> Iterator[m.StreamEvent]:
        """What changes of a study, or of all, as it comes; from the cursor `since` on, or from now. After a break it
        goes on where it was, as long as the client's patience lasts. It ends with NotFound when the study is deleted.
        """
        path = "/v1/stream" if study is None else f"{study_path(study)}/stream"
        while True:
            try:
                with self._wire.stream(path, given(since=since)) as answer:
                    for event in events_of(lines_of(answer.iter_text())):
                        since = event.cursor or since
                        yield event
            except BrokenOff:
                pass
            self._wire.rest()


def events_of(lines: Iterable[str]) -> Iterator[m.StreamEvent]:
    """The server-sent events in the lines of a stream. Comments are left out."""
    fields: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(":")
        if line and name:
            fields[name] = value.removeprefix(" ")
        elif not line and "data" in fields:
            yield m.StreamEvent(
                event=fields.get("event", "message"), cursor=fields.get("id"), data=json.loads(fields["data"])
            )
            fields = {}
