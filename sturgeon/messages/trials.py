"""Trials, from the queue to the record."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AwareDatetime, Field

from sturgeon import identifiers
from sturgeon.messages.findings import DatasetSummary
from sturgeon.messages.forms import Answer, Fallback, Params, Request
from sturgeon.messages.metadata import CodeVersion, DataVersion
from sturgeon.states import Mode, TrialState
from sturgeon.values import Json, PlainText


class Desired(Answer):
    """The desired state of a trial: what the worker shall apply between two steps."""

    version: int = 0
    params: Json = Field(default_factory=dict, description="All live parameters that were changed.")
    run: Literal["run", "pause", "stop"] = "run"
    restore: int | None = Field(
        default=None, description="The step that the present rollback generation (`leg`) began at."
    )
    leg: int = Field(default=0, description="A run of an earlier leg goes back to the checkpoint of step `restore`.")
    checkpoint: int = Field(default=0, description="The newest version before which a checkpoint is to be kept.")
    why: Literal["pruned", "person", "policy", "study"] | None = None


class Change(Answer):
    """Live parameters that count from the step after `step` on."""

    step: int
    params: Json


class Resume(Answer):
    """Where a trial goes on: from the checkpoint of `number` at `step` (from the start where it has no `sha256`), with
    the changes of `timeline` made again at their steps. Desired versions above `version` are new: they count from the
    step `reached` on, which an earlier run had reported when they were asked for."""

    number: identifiers.TrialNumber
    step: int
    sha256: str | None
    version: int
    leg: int
    timeline: list[Change]
    reached: int = 0


class Parent(Answer):
    number: identifiers.TrialNumber
    step: int


class Invalid(Answer):
    reason: str
    at: AwareDatetime


class Drawn(Answer):
    """Where a trial's parameters came from. `sampler` is null for parameters that a person gave.

    Of coarse_to_fine: `round` 0 is the even coverage; `elite` is the trial around which it was drawn, in a box of
    half width 2^-`level` of the cube, both null for one from the whole space; `model` chose it among candidates.
    `fallback` says why it was drawn uniformly instead. `numerics` names what its last bits depend on.
    """

    sampler: str | None
    basis: int
    revision: int
    version: int | None = None
    round: int | None = None
    elite: int | None = None
    level: int | None = None
    model: Literal["gp", "boxes"] | None = None
    fallback: Fallback | None = None
    imported: str | None = Field(default=None, description="Of a trial of another tool: what it is called there.")
    numerics: str | None = None


class Trial(Answer):
    study: str
    number: identifiers.TrialNumber
    state: TrialState
    mode: Mode
    params: Json
    seed: int
    attempt: int
    value: float | None
    guess: float | None = Field(
        default=None, description="Of a pruned trial: what the search takes its final value to be."
    )
    metrics: dict[str, float | None]
    step: int | None
    where: str | None
    error: str | None
    worker: str | None
    parent: Parent | None
    invalid: Invalid | None
    drawn: Drawn
    group: int | None = Field(
        default=None, description="Of a study with replicates: the first of the trials with the same parameters."
    )
    created_at: AwareDatetime
    started_at: AwareDatetime | None
    finished_at: AwareDatetime | None
    desired: Desired | None = Field(default=None, description="Null until somebody, or a rule, steers the trial.")
    applied_version: int | None = Field(default=None, description="The newest version of it that the run obeys,")
    applied_step: int | None = Field(default=None, description="and how many steps were done when it began to.")
    tags: list[str] = Field(default_factory=list)
    notes: str = ""
    code_version: CodeVersion | None = Field(
        default=None, description="The code of its last run; null where it is that of the study, or not known."
    )
    data_version: DataVersion | None = Field(default=None, description="The data of its last run.")
    dataset: DatasetSummary | None = Field(
        default=None, description="What its data were read as, when one trial is read; null in lists."
    )
    findings: dict[str, AwareDatetime] = Field(
        default_factory=dict,
        description="When each finding, and people's tags, were stored last, when one trial is read;",
    )
    logs: int = Field(default=0, description="and of how many runs a log is kept.")


class EnqueueRequest(Request):
    """`POST /studies/{study}/trials`: a trial with parameters that a person gives."""

    params: Params


class InvalidateRequest(Request):
    """`POST .../{n}:invalidate`: the trial counts for nothing from here on; it stays where it can be seen."""

    reason: Annotated[PlainText, Field(min_length=1, max_length=1000)]


class ReportedMetrics(Answer):
    step: int
    epoch: float | None
    metrics: dict[str, float | None]
    fence: identifiers.Fence
    leg: int = Field(default=0, description="The version of the rollback after which it was reported; 0: before any.")
    left: bool = Field(
        default=False, description="A rollback to an earlier step abandoned this report; it counts for nothing."
    )
    at: AwareDatetime
