"""What a worker and the server say to each other about a trial that runs."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, FiniteFloat

from sturgeon import identifiers
from sturgeon.messages.forms import (
    LARGEST_STACK,
    MOST_LEASES,
    Answer,
    Count,
    Epoch,
    Fence,
    Metrics,
    Number,
    Request,
    Step,
    StudyName,
    Version,
    WorkerName,
)
from sturgeon.messages.trials import Desired, Resume, Trial
from sturgeon.states import ToldState
from sturgeon.strictness import Sized
from sturgeon.values import Json, PlainText


class AskRequest(Request):
    """`POST /studies/{study}/trials:ask`: for people and scripts; the lease is long."""

    count: Count = 1
    worker: WorkerName = "curl"
    lease_s: Annotated[int, Field(ge=10, le=604_800)] = 3600


class LeaseRequest(Request):
    """`POST /leases`: for workers; the lease is short and is renewed."""

    worker: WorkerName
    slots: Count = Field(default=1, description="How many slots are free: so many trials, or stacks, are wanted.")
    total_slots: Count | None = Field(
        default=None, description="How many slots the worker has, busy ones included; shown in the list of workers."
    )
    wait: Annotated[FiniteFloat, Field(ge=0, le=30)] = 0.0
    stack: Annotated[int, Field(ge=1, le=LARGEST_STACK)] = Field(
        default=1, description="Each slot may take so many trials of one shape, which train side by side."
    )


class Lease(Answer):
    study: str
    number: identifiers.TrialNumber
    fence: identifiers.Fence
    attempt: int
    seed: int
    params: Json
    task: Json | None
    lease_s: float
    desired: Desired
    resume: Resume | None = None
    stack: int | None = Field(default=None, description="Leases of one answer with the same number are of one shape.")


WhyNothing = Literal["paused", "budget", "exhausted", "waiting", "finished"]


class Leases(Answer):
    """What was handed out; when that is nothing, `reason` says why."""

    leases: list[Lease]
    reason: WhyNothing | None = None


class Held(Request):
    study: StudyName
    number: Number
    fence: Fence
    applied_version: Version | None = None
    applied_step: Step | None = None


class RenewRequest(Request):
    """`POST /leases:renew`: all leases that a worker holds, in one call."""

    worker: WorkerName
    held: Annotated[list[Held], Sized(MOST_LEASES)]


class Renewed(Answer):
    study: str
    number: identifiers.TrialNumber
    fence: identifiers.Fence
    lease_s: float
    desired: Desired


WhyLost = Literal["expired", "cancelled", "taken"]


class Lost(Answer):
    study: str
    number: identifiers.TrialNumber
    reason: WhyLost


class RenewAnswer(Answer):
    held: list[Renewed]
    lost: list[Lost]
    drain: bool


class Report(Request):
    step: Step
    epoch: Epoch | None = None
    metrics: Metrics


class RunEvent(Request):
    """What happened to a run beside its metrics; told twice under the same key it happened once.

    portion_refused: a file of its stream cannot be trained on. drift: a portion is not like those before it.
    """

    kind: Literal["portion_refused", "drift"]
    key: Annotated[PlainText, Field(min_length=1, max_length=200)]
    reason: Annotated[PlainText, Field(min_length=1, max_length=2000)]
    portion: Annotated[PlainText, Field(max_length=300)] | None = None
    sha256: Annotated[PlainText, Field(max_length=64)] | None = None
    portion_number: Annotated[int, Field(ge=0, le=2**53)] | None = None
    tests: Annotated[list[Literal["inputs", "labels", "error"]], Sized(3)] = Field(default_factory=list)


class ReportRequest(Request):
    """`POST .../{n}:report`: intermediate metrics; renews the lease."""

    fence: Fence
    reports: Annotated[list[Report], Sized(1000)]
    events: Annotated[list[RunEvent], Sized(100)] = Field(default_factory=list)
    applied_version: Version | None = None
    applied_step: Step | None = None


class ReportAnswer(Answer):
    desired: Desired


class TellRequest(Request):
    """`POST .../{n}:tell`: the end of a trial."""

    fence: Fence
    state: ToldState = "complete"
    metrics: Metrics = Field(default_factory=dict)
    step: Step | None = None
    where: Annotated[PlainText, Field(max_length=200)] | None = Field(
        default=None, description="Where in the run it happened, for example the layer that diverged."
    )
    error: Annotated[PlainText, Field(max_length=10_000)] | None = None


class TellOne(TellRequest):
    number: Number


class TellManyRequest(Request):
    tells: Annotated[list[TellOne], Sized(1000, least=1)]


class ToldOne(Answer):
    """The outcome of one tell of many: the trial, or the problem's code and sentence."""

    number: identifiers.TrialNumber
    trial: Trial | None = None
    code: str | None = None
    detail: str | None = None


class TellManyAnswer(Answer):
    items: list[ToldOne]


class ReleaseRequest(Request):
    """`POST .../{n}:release`: give a leased trial back; it runs again elsewhere."""

    fence: Fence
    alone: bool = Field(default=False, description="From now on the trial is handed out without stack peers.")
