"""A history and the record that it left, as checks look at them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from functools import cached_property
from typing import Final

from sturgeon.states import REQUEUEABLE, TERMINAL
from tests.soak.faults import PastFault
from tests.soak.history import Try
from tests.soak.record import Record, Row

CLOCK_STEP_S: Final = 3600
"""By so much faults put the database's clock forward and back; times are compared without it."""
BEFORE_S: Final = 300
"""What is written so long before the load begins, or within the rest of an hour after that, gets its right time."""
LONGEST_MINUTES: Final = 50
FINAL: Final = tuple(state for state in TERMINAL if state not in REQUEUEABLE)
"""States that no person ends either."""

TrialKey = tuple[str, int]


class Case:
    """A history, the record that it left, and the faults that came. began, ended: of the load, in seconds since 1970.

    damaged: names of files of checkpoints that a fault has deleted or changed. worker_studies: those that workers run.
    """

    def __init__(
        self,
        tries: list[Try],
        record: Record,
        faults: list[PastFault] | None = None,
        *,
        began: float = 0.0,
        ended: float = 0.0,
        damaged: frozenset[str] = frozenset(),
        worker_studies: frozenset[str] = frozenset(),
    ) -> None:
        self.tries, self.record, self.faults = tries, record, faults or []
        self.began, self.ended, self.damaged, self.worker_studies = began, ended, damaged, worker_studies

    @cached_property
    def acknowledged(self) -> list[Try]:
        return [one for one in self.tries if one.is_acknowledged]

    @cached_property
    def study_names(self) -> dict[int, str]:
        return {row["id"]: row["name"] for row in self.record.studies}

    @cached_property
    def trials(self) -> dict[TrialKey, Row]:
        return {(self.study_names[row["study_id"]], row["number"]): row for row in self.record.trials}

    @cached_property
    def keys(self) -> dict[int, TrialKey]:
        """The trial of each id."""
        return {row["id"]: key for key, row in self.trials.items()}

    @cached_property
    def reports(self) -> dict[tuple[TrialKey, int, int], list[Row]]:
        """By trial, fence and step; one for each rollback generation."""
        found = defaultdict(list)
        for row in self.record.reports:
            found[self.keys[row["trial_id"]], row["fence"], row["step"]].append(row)
        return found

    @cached_property
    def events(self) -> Mapping[TrialKey, list[str]]:
        """The kinds of each trial's events."""
        found = defaultdict(list)
        for row in self.record.events:
            if row["number"] is not None:
                found[self.study_names[row["study_id"]], row["number"]].append(row["kind"])
        return found

    @cached_property
    def requests(self) -> Mapping[str, list[Try]]:
        """The tries of each request, in the order in which they were sent."""
        found = defaultdict(list)
        for one in self.tries:
            found[one.request].append(one)
        return found

    @cached_property
    def leases(self) -> Mapping[TrialKey, list[tuple[int, Try]]]:
        """Each trial's fences, with the answer that gave it out."""
        found = defaultdict(list)
        for one in self.acknowledged:
            for lease in (one.answer or {}).get("leases", ()):
                found[lease["study"], lease["number"]].append((lease["fence"], one))
        return found

    @cached_property
    def versions(self) -> set[tuple[int, int]]:
        """Each entry of the timelines, as the trial's id and its version."""
        return {(row["trial_id"], row["version"]) for row in self.record.timeline}

    @cached_property
    def kept_checkpoints(self) -> set[tuple[int, int, str]]:
        """Each of them as the trial's id, its step and its hash."""
        return {(row["trial_id"], row["step"], row["sha256"]) for row in self.record.checkpoints}

    @cached_property
    def newest_checkpoints(self) -> Mapping[int, int]:
        """The step of the newest checkpoint, by the trial's id."""
        return {row["trial_id"]: row["step"] for row in sorted(self.record.checkpoints, key=lambda row: row["step"])}

    def row(self, one: Try, number: int | None = None) -> Row | None:
        """The trial that a try is about, or that of this number."""
        wanted = one.number if number is None else number
        return None if wanted is None else self.trials.get((one.study, wanted))

    def time(self, microseconds: int) -> float:
        """A time of the database in seconds since 1970, whatever its clock was put forward or back."""
        since = (microseconds / 1e6 - self.began + BEFORE_S) % CLOCK_STEP_S
        return self.began + since - BEFORE_S
