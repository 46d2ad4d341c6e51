"""Messages between a worker and the server about running trials."""

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
    Label,
    Metrics,
    Number,
    Request,
    Step,
    StudyName,
    Version,
    WorkerName,
)
from sturgeon.messages.metadata import CodeVersion
from sturgeon.messages.tasks import Needs, TaskKind
from sturgeon.messages.trials import Desired, Resume, Trial
from sturgeon.states import Mode, ToldState
from sturgeon.strictness import Sized
from sturgeon.values import Json, PlainText


class AskRequest(Request):
    """`POST /studies/{study}/trials:ask`: for people and scripts; the lease is a long one."""

    count: Count = 1
    worker: WorkerName = "curl"
    lease_s: Annotated[int, Field(ge=10, le=604_800)] = 3600
    code_version: CodeVersion | None = Field(default=None, description="The commit of the code that will run.")


class LeaseRequest(Request):
    """`POST /leases`: for workers; leases are short and have to be renewed."""

    worker: WorkerName
    slots: Count = Field(
        default=1, description="The number of free slots, and so of the trials or stacks that are wanted."
    )
    total_slots: Count | None = Field(
        default=None,
        description="The number of all slots of the worker, busy ones included; shown in the list of workers.",
    )
    wait: Annotated[FiniteFloat, Field(ge=0, le=30)] = Field(
        default=0.0, description="How many seconds the answer may wait for work; the server may answer sooner."
    )
    stack: Annotated[int, Field(ge=1, le=LARGEST_STACK)] = Field(
        default=1, description="How many trials of one shape a slot takes; they train side by side."
    )
    kinds: Annotated[list[TaskKind], Sized(10)] = Field(
        default=["train"], description="The kinds of tasks that the worker runs."
    )
    gpus: Annotated[int, Field(ge=0, le=64)] = Field(default=0, description="GPUs that are free now.")
    memory_gb: Annotated[FiniteFloat, Field(ge=0, le=100_000)] | None = Field(
        default=None, description="Memory that is free now; null: as much as any trial needs."
    )
    total_gpus: Annotated[int, Field(ge=0, le=64)] = Field(
        default=0, description="All of its GPUs, busy ones included."
    )
    total_memory_gb: Annotated[FiniteFloat, Field(ge=0, le=100_000)] | None = None
    labels: Annotated[list[Label], Sized(100)] = Field(default_factory=list)
    skip: Annotated[list[StudyName], Sized(1000)] = Field(
        default_factory=list, description="Studies that the worker cannot run for now; it gets no trials of them."
    )
    only: Annotated[list[StudyName], Sized(1000, least=1)] | None = Field(
        default=None, description="The worker gets trials of these studies alone; null: of any."
    )


class Looks(Answer):
    """Where the study's pruning rule looks at the trial: the answer to a report there may stop it. `eta` and `grace`
    are those of `Pruning`, with its defaults; `epochs` is the length of the whole trial, null where it is not known."""

    rule: Literal["curve", "asha", "median"]
    epochs: float | None = None
    eta: int
    grace: int


class Lease(Answer):
    study: str
    number: identifiers.TrialNumber
    fence: identifiers.Fence
    attempt: int
    seed: int
    params: Json
    mode: Mode = "caviar"
    task: Json | None
    needs: Needs = Field(default_factory=Needs, description="What the study needs of the worker.")
    lease_s: float
    desired: Desired
    resume: Resume | None = None
    looks: Looks | None = Field(default=None, description="Null where no rule stops the trial.")
    stack: int | None = Field(
        default=None, description="Leases of one answer that have the same number are of one shape."
    )


WhyNothing = Literal["paused", "budget", "exhausted", "waiting", "finished"]


class Leases(Answer):
    """The leases that were handed out; if there are none, `reason` says why."""

    leases: list[Lease]
    reason: WhyNothing | None = None


class Held(Request):
    study: StudyName
    number: Number
    fence: Fence
    applied_version: Version | None = None
    applied_step: Step | None = None


class RenewRequest(Request):
    """`POST /leases:renew`: renews all leases of a worker in one call."""

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
    """An event of a run, besides its metrics. Sent twice under the same key, it counts once.

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
    """`POST .../{n}:report`: reports intermediate metrics and renews the lease."""

    fence: Fence
    reports: Annotated[list[Report], Sized(1000)]
    events: Annotated[list[RunEvent], Sized(100)] = Field(default_factory=list)
    applied_version: Version | None = None
    applied_step: Step | None = None


class ReportAnswer(Answer):
    desired: Desired


class TellRequest(Request):
    """`POST .../{n}:tell`: tells the end of a trial, with its result."""

    fence: Fence
    state: ToldState = "complete"
    metrics: Metrics = Field(default_factory=dict)
    step: Step | None = None
    where: Annotated[PlainText, Field(max_length=200)] | None = Field(
        default=None, description="Where in the run the end came, for example the layer that diverged."
    )
    error: Annotated[PlainText, Field(max_length=10_000)] | None = None
    retry: bool = Field(
        default=True,
        description="Whether a failed trial is tried again while it has attempts left: not if it would fail again, as "
        "with an error in its data.",
    )


class TellOne(TellRequest):
    number: Number


class TellManyRequest(Request):
    tells: Annotated[list[TellOne], Sized(1000, least=1)]


class ToldOne(Answer):
    """The outcome of one of several tells: the trial, or the code and the sentence of a problem."""

    number: identifiers.TrialNumber
    trial: Trial | None = None
    code: str | None = None
    detail: str | None = None


class TellManyAnswer(Answer):
    items: list[ToldOne]


class ReleaseRequest(Request):
    """`POST .../{n}:release`: gives a leased trial back, to be run elsewhere."""

    fence: Fence | None = Field(
        description="Of the lease. Null takes the trial from its holder, whoever that is, for example one that "
        "crashed: what the holder still sends is refused."
    )
    alone: bool = Field(default=False, description="Whether the trial is from now on handed out without stack peers.")
    unable: Annotated[PlainText, Field(min_length=1, max_length=2000)] | None = Field(
        default=None, description="Why this worker cannot run the study: data, a module or a permission is missing."
    )
