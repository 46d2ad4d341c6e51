"""Records besides trials: workers, checkpoints, findings, events, late results."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AwareDatetime, Field

from sturgeon import identifiers
from sturgeon.messages.forms import Answer, Request
from sturgeon.messages.studies import Unable
from sturgeon.strictness import Sized
from sturgeon.values import Json, PlainText


class TrialName(Answer):
    study: str
    number: identifiers.TrialNumber


class Worker(Answer):
    name: str
    first_seen_at: AwareDatetime
    last_seen_at: AwareDatetime
    slots: int = Field(description="All slots of the worker, busy ones included.")
    running: int = Field(description="Trials that it runs; a slot may run a stack of several.")
    drain: bool
    gone: bool = Field(default=False, description="It has not called for a minute: it has ended, or is cut off.")
    kinds: list[str] = Field(default=["train"], description="The kinds of tasks that it runs.")
    gpus: int = Field(default=0, description="All its GPUs, busy ones included; so is the memory.")
    memory_gb: float | None = None
    labels: list[str] = Field(default_factory=list)
    unable: list[Unable] = Field(default_factory=list, description="The studies that it cannot run, and why.")
    holds: list[TrialName] = Field(
        default_factory=list, description="The trials that it runs; at most 1,000 of all workers in an answer."
    )


class Checkpoint(Answer):
    step: int
    epoch: float | None
    value: float | None
    sha256: str
    size: int
    version: int = Field(default=0, description="The newest version of the timeline that it contains.")
    pinned: bool = Field(default=False, description="Whether it is kept whatever the rule for checkpoints says.")
    lost: bool = Field(default=False, description="Its file was gone or damaged when it was read last.")
    created_at: AwareDatetime


Tag = Annotated[PlainText, Field(min_length=1, max_length=100)]
Row = Annotated[str, Field(pattern=r"^[0-9]{1,12}$")]


class TagsRequest(Request):
    """`PUT .../{n}/errors/tags`: tags by row of the data set; an empty list takes a row's tags back."""

    tags: Annotated[dict[Row, Annotated[list[Tag], Sized(50)]], Sized(10_000)]


class Event(Answer):
    """What happened to a study or a trial, and by whom."""

    id: int
    number: int | None
    kind: str
    detail: Json
    at: AwareDatetime
    actor: str | None = Field(
        default=None,
        description="The name of the token that did it; `shared` is the shared token, `local` a server without one, "
        "and `server` the server itself. Null: from before servers wrote it down.",
    )
    actor_token: int | None = Field(
        default=None, description="The token's number: another token may have got its name since."
    )


class LateResult(Answer):
    """A report or tell whose lease was lost; it is kept, but counts for nothing."""

    id: int
    number: identifiers.TrialNumber
    fence: identifiers.Fence
    kind: Literal["report", "tell"]
    body: Json
    at: AwareDatetime
    actor: str | None = Field(default=None, description="Who sent it, see `Event`.")
    actor_token: int | None = None


class Health(Answer):
    status: Literal["ok"]


class ProblemAnswer(Answer):
    """RFC 9457 problem details: `code` is stable, `detail` says what to do, `errors` point at bad fields."""

    type: str = "about:blank"
    title: str
    status: int
    code: str
    detail: str
    errors: list[dict[str, str]] = Field(default_factory=list)
