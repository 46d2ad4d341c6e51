"""Trials that another tool has finished, and a study takes over."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, AwareDatetime, BeforeValidator, Field

from sturgeon import identifiers
from sturgeon.messages.forms import Answer, Epoch, Metrics, Params, Request, Step
from sturgeon.strictness import Sized
from sturgeon.values import PlainText, bad_form

SourceKey = Annotated[PlainText, Field(min_length=1, max_length=300)]


def _as_text(at: object) -> object:
    """Numbers are no dates: nothing says whether they are seconds. Raises: ValueError."""
    if not isinstance(at, str | datetime):
        raise bad_form("write a date as 2026-11-27T13:30:00Z")
    return at


def _of_computers(at: datetime) -> datetime:
    if at < datetime(1970, 1, 1, tzinfo=UTC):
        raise ValueError("write a date of 1970-01-01T00:00:00Z or later")
    return at


Moment = Annotated[AwareDatetime, Field(strict=False), BeforeValidator(_as_text), AfterValidator(_of_computers)]


class ImportedReport(Request):
    """A point of the trial's curve."""

    step: Step
    epoch: Epoch | None = None
    metrics: Metrics


class ImportedTrial(Request):
    """A trial that ended elsewhere. `key` names it there: what is imported already is not imported again."""

    key: SourceKey = Field(description="For example optuna:STUDY/17.")
    params: Params
    state: Literal["complete", "pruned", "diverged", "failed"]
    metrics: Metrics = Field(default_factory=dict, description="With the study's metric, if the trial is complete.")
    step: Step | None = None
    error: Annotated[PlainText, Field(max_length=10_000)] | None = None
    started_at: Moment
    finished_at: Moment
    reports: Annotated[list[ImportedReport], Sized(10_000)] = Field(default_factory=list)


class ImportRequest(Request):
    """`POST /studies/{study}/trials:import`."""

    trials: Annotated[list[ImportedTrial], Sized(500, least=1)]


class ImportedOne(Answer):
    """What became of one trial: its number; or `code` and `detail`, if the study cannot take it."""

    key: str
    number: identifiers.TrialNumber | None = None
    known: bool = Field(default=False, description="It was imported before, and nothing was changed.")
    code: str | None = None
    detail: str | None = None


class ImportAnswer(Answer):
    items: list[ImportedOne]
