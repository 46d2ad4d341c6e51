"""Steering one model while it trains."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AwareDatetime, Field

from sturgeon import identifiers
from sturgeon.messages.forms import Answer, Params, Reason, Request, SomeParams, Step
from sturgeon.messages.policies import Guard
from sturgeon.messages.trials import Change, Desired, Parent
from sturgeon.states import Mode, TrialState
from sturgeon.strictness import Sized
from sturgeon.values import Json


class SteerRequest(Request):
    """`POST .../{n}:pause`, `:resume`, `:stop`, `:checkpoint`."""

    reason: Reason = ""


class ParamsPatch(Request):
    """`PATCH .../{n}/params`: changes live parameters while the model trains; the others stay."""

    params: SomeParams
    reason: Reason = ""
    guard: Guard | None = None


class RollbackRequest(Request):
    """`POST .../{n}:rollback`: goes back to a checkpoint, and on from there, with other parameters if given."""

    step: Step | None = Field(
        default=None, description="The step of a checkpoint, or 0 for the start; by default the newest checkpoint."
    )
    params: Params = Field(default_factory=dict)
    reason: Reason = ""


class Branch(Request):
    params: Params = Field(default_factory=dict)


class ForkRequest(Request):
    """`POST .../{n}:fork`: creates trials that continue from one checkpoint, each with other live parameters."""

    step: Step | None = Field(default=None, description="The step of a checkpoint of the trial; by default the newest.")
    branches: Annotated[list[Branch], Sized(100, least=1)]
    control: bool = Field(default=True, description="Whether to add a branch without changes, with the same seed.")
    raise_budget: bool = Field(
        default=False, description="Whether to raise max_trials if the branches do not fit into it."
    )
    reason: Reason = ""


class PromoteRequest(Request):
    """`POST .../{n}:promote`: creates a panda that continues from the trial's best checkpoint, or that of `step`."""

    step: Step | None = None
    params: Params = Field(default_factory=dict)
    raise_budget: bool = Field(default=False, description="Whether to raise max_trials by one if it is spent.")
    reason: Reason = ""


class Steered(Answer):
    """The desired state of a trial, and the newest version of it that its run has applied."""

    state: TrialState
    desired: Desired
    applied_version: int | None
    applied_step: int | None


Verb = Literal["params", "pause", "resume", "stop", "checkpoint", "rollback"]
EntryState = Literal["pending", "applied", "superseded", "reverted"]


class TimelineEntry(Answer):
    """A version of the desired state. It counts from the step after `from_step` on; `superseded`: a later one hid it
    before it was applied; `reverted`: the run went back to a checkpoint from before it."""

    version: int
    verb: Verb
    params: Json
    from_step: int | None
    restore: int | None = Field(description="Of a rollback: the step of the checkpoint that it went back to.")
    actor: str = Field(
        description="Who requested it: the name that a person's or a program's token had then, `shared`, `local` (a "
        "server without a token) or `server`; `study`, `guard`, or `policy:` and its name."
    )
    actor_token: int | None = Field(default=None, description="The number of the token that had this name.")
    reason: str
    guard: Guard | None
    checkpoint: int | None = Field(description="The step of the checkpoint that was kept before it.")
    state: EntryState
    at: AwareDatetime
    applied_at: AwareDatetime | None


class Start(Answer):
    """How the whole training began, in the trial at the root of the lineage."""

    number: identifiers.TrialNumber
    params: Json
    seed: int


class LostCheckpoint(Answer):
    """A checkpoint whose file was found gone or damaged. `before`: the step of the newest whole one before it, from
    which runs go on then; null where there is none, and the trial could not go on."""

    step: int
    before: int | None
    at: AwareDatetime


class Timeline(Answer):
    """What happened to a trial, by version. `lineage`: whose checkpoint it began with, and so on to the root. A
    training that begins as `start` says and makes the changes of `schedule` comes to the same weights, bit for bit."""

    items: list[TimelineEntry]
    lineage: list[Parent]
    start: Start
    schedule: list[Change]
    lost: list[LostCheckpoint]


class Relative(Answer):
    """A trial of a lineage. `parent`: the trial and the step of the checkpoint that it began with. `changed`: the live
    parameters in which it began otherwise than that one was."""

    number: identifiers.TrialNumber
    parent: Parent | None
    state: TrialState
    mode: Mode
    value: float | None
    invalid: bool
    changed: Json


class Lineage(Answer):
    """`GET .../{n}/lineage`: the trial at the root, and all that go on from it and from each other, by number. Of more
    than 1,000 the newest are `left_out`."""

    root: identifiers.TrialNumber
    items: list[Relative]
    left_out: int = 0


ProposalState = Literal["open", "accepted", "dismissed", "outdated"]


class Proposal(Answer):
    """A change that a policy proposes. `outdated`: the trial has since been steered otherwise, or has ended."""

    id: int
    policy: str
    params: Json
    restore: int | None
    reason: str
    step: int | None
    state: ProposalState
    version: int | None = Field(description="The version of the timeline that it became when it was accepted.")
    at: AwareDatetime
