"""One model that is steered while it trains."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AwareDatetime, Field

from sturgeon import identifiers
from sturgeon.messages.forms import Answer, Params, Reason, Request, SomeParams, Step
from sturgeon.messages.policies import Guard
from sturgeon.messages.trials import Change, Desired, Parent
from sturgeon.states import TrialState
from sturgeon.strictness import Sized
from sturgeon.values import Json


class SteerRequest(Request):
    """`POST .../{n}:pause`, `:resume`, `:stop`, `:checkpoint`."""

    reason: Reason = ""


class ParamsPatch(Request):
    """`PATCH .../{n}/params`: live parameters to change while the model trains; the others stay."""

    params: SomeParams
    reason: Reason = ""
    guard: Guard | None = None


class RollbackRequest(Request):
    """`POST .../{n}:rollback`: back to a checkpoint; from there with other parameters, if you give some."""

    step: Step | None = Field(default=None, description="Of a checkpoint, or 0 for the start; the newest if left out.")
    params: Params = Field(default_factory=dict)
    reason: Reason = ""


class Branch(Request):
    params: Params = Field(default_factory=dict)


class ForkRequest(Request):
    """`POST .../{n}:fork`: trials that go on from one checkpoint, each with other live parameters."""

    step: Step | None = Field(default=None, description="Of a checkpoint of the trial; the newest if left out.")
    branches: Annotated[list[Branch], Sized(100, least=1)]
    control: bool = Field(default=True, description="One more branch beside them, unchanged, with the same seed.")
    raise_budget: bool = Field(default=False, description="Raise max_trials where the branches do not fit in.")
    reason: Reason = ""


class PromoteRequest(Request):
    """`POST .../{n}:promote`: a panda that goes on from the trial's best checkpoint, or from the one of `step`."""

    step: Step | None = None
    params: Params = Field(default_factory=dict)
    raise_budget: bool = Field(default=False, description="Raise max_trials by one where it is spent.")
    reason: Reason = ""


class Steered(Answer):
    """What is desired now, and what of it the run has applied."""

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
    actor: str
    reason: str
    guard: Guard | None
    checkpoint: int | None = Field(description="The step of the checkpoint that was kept before it.")
    state: EntryState
    at: AwareDatetime
    applied_at: AwareDatetime | None


class Start(Answer):
    """How the whole training began: the trial at the root of the lineage."""

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


ProposalState = Literal["open", "accepted", "dismissed", "outdated"]


class Proposal(Answer):
    """What a policy would change. `outdated`: the trial was steered otherwise meanwhile, or has ended."""

    id: int
    policy: str
    params: Json
    restore: int | None
    reason: str
    step: int | None
    state: ProposalState
    version: int | None = Field(description="Of the timeline, once it was accepted.")
    at: AwareDatetime
