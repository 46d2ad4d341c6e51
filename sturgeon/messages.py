"""Requests and answers: what goes over the wire, as pydantic models.

Requests are strict: an unknown field, a boolean for a number, or a number that is not finite is refused.
Answers ignore fields that they do not know, so that an older client works with a newer server.
"""

from __future__ import annotations

import json
from typing import Annotated, Any, Final, Generic, Literal, Self, TypeVar

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, FiniteFloat, model_validator

from sturgeon.space import Name, PlainText, PlainValue, Space, plain_text
from sturgeon.states import StudyState, ToldState, TrialState
from sturgeon.strictness import Strict

LARGEST_STEP: Final = 2**53
LARGEST_SEED: Final = 2**63 - 1
LARGEST_FENCE: Final = 2**31 - 1
LARGEST_STACK: Final = 32
MOST_LEASES: Final = 1000
LARGEST_GRID: Final = 100_000

StudyName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._\-]{0,99}$")]
WorkerName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:@+\-]{0,199}$")]
Count = Annotated[int, Field(ge=1, le=MOST_LEASES)]
Step = Annotated[int, Field(ge=0, le=LARGEST_STEP)]
Fence = Annotated[int, Field(ge=1, le=LARGEST_FENCE)]
Number = Annotated[int, Field(ge=0, le=LARGEST_FENCE)]
Version = Annotated[int, Field(ge=0, le=LARGEST_FENCE)]
Seed = Annotated[int, Field(ge=0, le=LARGEST_SEED)]
Metrics = Annotated[dict[Name, FiniteFloat | None], Field(max_length=300)]
Params = Annotated[dict[Name, PlainValue], Field(max_length=100)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Direction = Literal["minimize", "maximize"]
Fallback = Literal["contention", "error", "slow"]


class Request(Strict):
    pass


class Answer(BaseModel):
    model_config = ConfigDict(extra="ignore")


# --- studies -------------------------------------------------------------------------------------------------


class Search(Request):
    """How samples are drawn. What is left out is chosen by the server and recorded."""

    sampler: Literal["coarse_to_fine", "random", "sobol", "grid"] = Field(
        default="coarse_to_fine",
        description="`coarse_to_fine` draws ever more densely around the best; `sobol` covers the space evenly, "
        "`random` by chance; `grid` is there to be compared with.",
    )
    model: Literal["gp", "boxes"] | None = Field(
        default=None,
        description="Of coarse_to_fine: a Gaussian process (for up to 20 searched parameters), or the boxes alone.",
    )
    cost_aware: bool | None = Field(
        default=None,
        description="Of coarse_to_fine: of equally promising trials prefer cheap ones, where the tells have `seconds`; "
        "true unless said otherwise.",
    )
    points: Annotated[int, Field(ge=1, le=LARGEST_GRID)] | None = Field(
        default=None, description="Of grid: the grid has at most so many points; max_trials unless said otherwise."
    )
    seed: Seed | None = Field(default=None, description="Drawn by the server and recorded when it is not given.")
    replicates: Annotated[int, Field(ge=1, le=100)] = Field(
        default=1,
        description="So many trials of each sample, whose seeds differ; they are compared by mean and standard error, "
        "and each counts in the budget.",
    )


class Pruning(Request):
    """Which rule stops bad trials early, by what they report."""

    rule: Literal["curve", "asha", "median", "none"] | None = Field(
        default=None,
        description="`curve` (the power law) by default where `task` or `epochs` says how long a trial is and the "
        "metric is minimized; else `none`. Trials of a point with replicates run to their end unless you name a rule.",
    )
    eta: Annotated[int, Field(ge=2, le=100)] | None = Field(
        default=None, description="Of asha: one of so many goes on at each rung (3)."
    )
    grace: Annotated[int, Field(ge=1, le=1_000_000)] | None = Field(
        default=None, description="No trial is stopped before this epoch: curve 3, asha 3 (its first rung), median 5."
    )
    power: Annotated[FiniteFloat, Field(gt=0, le=2)] | None = Field(
        default=None,
        description="Of curve: errors are taken to fall no faster than epoch^-power (0.25); more is more patient.",
    )
    epochs: Annotated[int, Field(ge=1, le=LARGEST_STEP)] | None = Field(
        default=None, description="Of your own code: the epochs of a whole trial, or its steps if it reports no epochs."
    )


class StopWhen(Request):
    """A complete trial that is so good ends the study. `metric` is the study's unless you name another."""

    metric: Name | None = None
    below: FiniteFloat | None = None
    above: FiniteFloat | None = None

    @model_validator(mode="after")
    def _has_one_bound(self) -> Self:
        if (self.below is None) == (self.above is None):
            raise ValueError("write one of below and above")
        return self


class Budget(Request):
    """`max_trials` counts every number ever given out, and is never exceeded. Beyond the other limits nothing new is
    handed out, and what runs finishes."""

    max_trials: Annotated[int, Field(ge=1, le=1_000_000)]
    max_epochs: Annotated[int, Field(ge=1, le=LARGEST_STEP)] | None = Field(
        default=None,
        description="Epochs that all trials have come to, those that a rollback left too; own code that begins "
        "again counts again, and where it reports no epochs its steps.",
    )
    max_seconds: Annotated[FiniteFloat, Field(gt=0, le=1e9)] | None = Field(
        default=None, description="Seconds that trials were held by workers, all together: two slots use two a second."
    )
    stop_when: StopWhen | None = None


class BudgetPatch(Request):
    """What is left out stays; null takes a limit away (max_trials is always there)."""

    max_trials: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    max_epochs: Annotated[int, Field(ge=1, le=LARGEST_STEP)] | None = None
    max_seconds: Annotated[FiniteFloat, Field(gt=0, le=1e9)] | None = None
    stop_when: StopWhen | None = None


class Spent(Answer):
    """What a study has used of its budget; `limit` is the one that is reached, if any but max_trials is."""

    trials: int = 0
    epochs: float = 0.0
    seconds: float = 0.0
    limit: Literal["max_epochs", "max_seconds", "stop_when"] | None = None


class CheckpointRule(Request):
    """How many checkpoints of a trial are kept: the best by the study's metric, and the last. While it runs they are
    uploaded every `every_s` seconds, and after every `every_epochs` epochs if that is given."""

    best: Annotated[int, Field(ge=0, le=100)] = 1
    last: Annotated[int, Field(ge=0, le=100)] = 1
    every_s: Annotated[FiniteFloat, Field(ge=1, le=604_800)] = 30.0
    every_epochs: Annotated[int, Field(ge=1, le=1_000_000)] | None = None


class TrainStudyTask(Request):
    """Train a network with the built-in trainer. `fixed` sets fields of TrainTask for all trials."""

    kind: Literal["train"]
    dataset: Annotated[PlainText, Field(min_length=1, max_length=500)]
    epochs: Annotated[int, Field(ge=1, le=1_000_000)] = 20
    fixed: Params = Field(default_factory=dict)
    checkpoints: CheckpointRule | None = Field(default_factory=CheckpointRule)


class PlateauPolicy(Request):
    """When a metric (the study's, unless another is named) has had no new best, by more than `least_gain`, for
    `patience_epochs`: multiply the learning rate by `factor`, down to `lowest`."""

    policy: Literal["plateau"]
    metric: Name | None = None
    patience_epochs: Annotated[FiniteFloat, Field(gt=0, le=1_000_000)] = 10.0
    least_gain: Annotated[FiniteFloat, Field(ge=0, le=1e9)] = 0.0
    factor: Annotated[FiniteFloat, Field(gt=0, lt=1)] = 0.5
    lowest: Annotated[FiniteFloat, Field(gt=0, le=100)] = 1e-6
    auto: bool = False


class DivergencePolicy(Request):
    """When the run diverges: back to its checkpoint, with the learning rate times `factor`; `give_up_after` times."""

    policy: Literal["divergence"]
    factor: Annotated[FiniteFloat, Field(gt=0, lt=1)] = 0.5
    give_up_after: Annotated[int, Field(ge=1, le=100)] = 3
    auto: bool = False


class Planned(Request):
    epoch: Annotated[FiniteFloat, Field(ge=0, le=1_000_000)]
    params: Params


class SchedulePolicy(Request):
    """At these epochs: change these live parameters."""

    policy: Literal["schedule"]
    at: Annotated[list[Planned], Field(min_length=1, max_length=1000)]
    auto: bool = False


class Guard(Request):
    """When the metric gets worse by more than `worse_by` within so many epochs after a change, or is not finite: back
    to the checkpoint from before the change."""

    metric: Name
    worse_by: Annotated[FiniteFloat, Field(ge=0, le=1e9)]
    within_epochs: Annotated[FiniteFloat, Field(gt=0, le=1_000_000)]


class GuardPolicy(Guard):
    """A guard for every change of parameters that has none of its own."""

    policy: Literal["guard"]
    auto: bool = False


class DriftPolicy(Request):
    """When a portion of a stream raises an alarm: train on it and later ones only (`forget`), `passes` times as often,
    with the learning rate times `rate_factor`, 1 - beta of the optimiser's averages times `averages_factor` and inputs
    clipped at `clip_inputs` deviations (0: as before); with `roll_back` from the newest checkpoint; with L2 of `l2`,
    where the model is no better than guessing. With `match_labels` nothing is forgotten where only the shares of the
    classes have changed: older examples are replayed with the new shares. After `calm_portions` without an alarm the
    usual values come back.

    With `auto`, `challengers` are forked at an alarm: the answer with other values each. After `after_portions` more
    the trial with the least mean fresh error goes on, the others stop; each takes a number of the budget."""

    policy: Literal["drift"]
    rate_factor: Annotated[FiniteFloat, Field(gt=0, le=100)] = 0.5
    averages_factor: Annotated[FiniteFloat, Field(ge=0.001, le=1000)] = 10.0
    passes: Annotated[int, Field(ge=1, le=1000)] = 40
    forget: bool = True
    match_labels: bool = True
    clip_inputs: Annotated[FiniteFloat, Field(ge=0, le=1000)] = 3.0
    l2: Annotated[FiniteFloat, Field(ge=0, le=100)] = 0.03
    calm_portions: Annotated[int, Field(ge=1, le=100_000)] = 5
    roll_back: bool = False
    challengers: Annotated[list[Params], Field(max_length=8)] = Field(default_factory=list)
    after_portions: Annotated[int, Field(ge=1, le=1000)] = 3
    retest_after: Annotated[int, Field(ge=1, le=1_000_000)] | None = Field(
        default=None,
        description="After so many portions a small caviar study around what is in force: has the optimum moved?",
    )
    retest_after_s: Annotated[FiniteFloat, Field(ge=1, le=315_360_000)] | None = Field(
        default=None,
        description="The same after so many seconds, at the next portion; with both, whatever comes first.",
    )
    retest_trials: Annotated[int, Field(ge=2, le=100)] = 8
    auto: bool = False


Policy = Annotated[
    PlateauPolicy | DivergencePolicy | SchedulePolicy | GuardPolicy | DriftPolicy, Field(discriminator="policy")
]
Policies = Annotated[list[Policy], Field(max_length=20)]


class StudyRequest(Request):
    """`POST /studies`."""

    name: StudyName
    title: Annotated[PlainText, Field(max_length=1000)] = ""
    metric: Name = Field(description="The metric of the tell that is compared, for example dev_error.")
    direction: Direction = "minimize"
    reduce: Literal["last", "best"] = Field(
        default="last", description="`best`: a trial's value is the best over its reports and its tell."
    )
    space: Space
    search: Search = Field(default_factory=Search)
    pruning: Pruning = Field(default_factory=Pruning)
    budget: Budget
    task: TrainStudyTask | None = Field(
        default=None, description="What the workers run; null for your own code, which asks and tells."
    )
    mode: Literal["caviar", "panda"] = Field(
        default="caviar", description="caviar: many trials, drawn; panda: one trial, steered, and its branches."
    )
    params: Params | None = Field(default=None, description="Of a panda: its parameters; drawn when they are left out.")
    policies: Policies = Field(default_factory=list, description="What watches over the pandas of the study.")

    @model_validator(mode="before")
    @classmethod
    def _space_of_a_panda(cls, given: Any) -> Any:
        """A panda whose parameters are given needs no space: it is what they are."""
        if not isinstance(given, dict) or given.get("mode") != "panda" or "space" in given:
            return given
        params = given.get("params")
        if not isinstance(params, dict):
            return given
        return given | {"space": {name: {"type": "fixed", "value": value} for name, value in params.items()}}


class StudyPatch(Request):
    """`PATCH /studies/{study}`: what is left out stays."""

    state: Literal["active", "paused", "stopped", "cancelled"] | None = None
    title: Annotated[PlainText, Field(max_length=1000)] | None = None
    budget: BudgetPatch | None = None
    policies: Policies | None = None
    space: Space | None = Field(
        default=None,
        description="A new revision: bounds widened or narrowed, values added or taken out, parameters added, left out "
        "or fixed. Results that lie in the new space stay in use; the others count again when it is widened.",
    )
    added: Params = Field(
        default_factory=dict,
        description="Of each new parameter of `space`: the value that older trials count as having.",
    )


class SpaceRevision(Answer):
    """A space that the study had, from its sequence number `seq` on (a trial's `drawn.basis` counts on it)."""

    revision: int
    space: Space
    added: dict[str, Any]
    seq: int
    created_at: AwareDatetime


class Replicates(Answer):
    """Trials with the same parameters and other seeds, and the standard error of their mean (null of a single one)."""

    numbers: list[int]
    values: list[float]
    standard_error: float | None


class BestTrial(Answer):
    """A complete trial; of a study with `replicates` the first of a group, with the means of values and metrics."""

    number: int
    value: float
    params: dict[str, Any]
    metrics: dict[str, float | None]
    replicates: Replicates | None = None


class Study(Answer):
    """A study as it is read."""

    name: str
    title: str
    state: StudyState
    metric: str
    direction: Direction
    reduce: Literal["last", "best"]
    space: Space
    search: Search
    pruning: Pruning
    budget: Budget
    task: TrainStudyTask | None
    mode: Literal["caviar", "panda"]
    policies: list[Policy] = Field(default_factory=list)
    revision: int
    counts: dict[TrialState, int]
    spent: Spent = Field(default_factory=Spent)
    best: BestTrial | None
    created_at: AwareDatetime


class Recommended(BestTrial):
    """The trial to take: the best by what all results together predict of it; `why` says so in a sentence."""

    why: str


class Best(Answer):
    """`separable`: whether the best's lead over the second is more than seeds explain; null without replicates."""

    items: list[BestTrial]
    recommended: Recommended | None = None
    separable: bool | None = None
    verdict: str | None = None


class RoundBox(Answer):
    """Where a round draws: around trial `elite`, half as wide with each `level`. `ranges`: {"low", "high"} of a number,
    {"values"} of a choice, in the parameters' own units."""

    elite: int
    level: int
    ranges: dict[str, dict[str, Any]]


class FoundIn(Answer):
    """The best trial that a round has drawn so far."""

    number: int
    value: float


class Round(Answer):
    """What coarse to fine believed when a round began. Round 0 covers the space evenly and believes nothing.

    `start`: how many results it began with; `bars`: the share of each parameter in what changes the score (none
    without a model); `elites`: the few best, well separated trials, best first; `best`: the one to be taken as the
    winner then, without its luck; `alarms`: ranges that seem too narrow. `trials` were drawn in it, and `found` is the
    best of them. `current`: it is the one that draws now.
    """

    number: int
    revision: int
    start: int
    model: Literal["gp", "boxes"] | None
    bars: dict[str, float]
    elites: list[int]
    boxes: list[RoundBox]
    best: int | None
    alarms: list[str]
    current: bool
    trials: int
    found: FoundIn | None
    numerics: str | None
    at: AwareDatetime | None


class Rounds(Answer):
    """The rounds of a study, the oldest first; none of a sampler that has none."""

    study: str
    sampler: str
    items: list[Round]


class ParameterImportance(Answer):
    """`share` of what changes the score, the mean over the last rounds; `spread`: their standard deviation."""

    name: str
    share: float
    spread: float


class Importance(Answer):
    """Which parameters matter, the most important first; it rests on `trials` results, and `rounds` that learnt from
    more and more of them. Empty before the first round."""

    study: str
    trials: int
    rounds: int
    items: list[ParameterImportance]


class ReplayMismatch(Answer):
    """A sample that came out otherwise: the largest `difference` along a coordinate of the unit cube, or why there is
    none to compare."""

    number: int
    difference: float | None
    numerics: str | None
    reason: str


class NumericsUsed(Answer):
    """What the last bits of `trials` samples depend on, and whether this server has the same."""

    fingerprint: str | None
    same: bool
    trials: int
    facts: dict[str, Any] | None


class Replay(Answer):
    """Every sample of these trials, derived again from the record. `given`: parameters that a person gave are not
    drawn. `fallbacks`: draws that were uniform since there was no thought, by reason; derived again as such."""

    study: str
    exact: bool
    verdict: str
    trials: int
    given: int
    fallbacks: dict[str, int]
    largest_difference: float
    mismatches: list[ReplayMismatch]
    numerics: list[NumericsUsed]
    next_page_token: str | None = None


# --- trials --------------------------------------------------------------------------------------------------


class Desired(Answer):
    """The desired state of a trial: what the worker shall apply between two steps."""

    version: int = 0
    params: dict[str, Any] = Field(default_factory=dict, description="All live parameters that were changed.")
    run: Literal["run", "pause", "stop"] = "run"
    restore: int | None = Field(default=None, description="The step that the present leg began at.")
    leg: int = Field(default=0, description="A run of an earlier leg goes back to the checkpoint of step `restore`.")
    checkpoint: int = Field(default=0, description="The newest version before which a checkpoint is to be kept.")
    why: Literal["pruned", "person", "policy", "study"] | None = None


class Change(Answer):
    """Live parameters that count from the step after `step` on."""

    step: int
    params: dict[str, Any]


class Resume(Answer):
    """Where a trial goes on: from the checkpoint of `number` at `step` (from the start where it has no `sha256`), with
    the changes of `timeline` made again at their steps. Desired versions above `version` are new."""

    number: int
    step: int
    sha256: str | None
    version: int
    leg: int
    timeline: list[Change]


class Parent(Answer):
    number: int
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
    numerics: str | None = None


class Trial(Answer):
    study: str
    number: int
    state: TrialState
    mode: Literal["caviar", "panda"]
    params: dict[str, Any]
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


# --- steering ------------------------------------------------------------------------------------------------

Reason = Annotated[PlainText, Field(max_length=1000, description="Why; it stands in the timeline.")]


class SteerRequest(Request):
    """`POST .../{n}:pause`, `:resume`, `:stop`, `:checkpoint`."""

    reason: Reason = ""


class ParamsPatch(Request):
    """`PATCH .../{n}/params`: live parameters to change while the model trains; the others stay."""

    params: Annotated[Params, Field(min_length=1)]
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
    branches: Annotated[list[Branch], Field(min_length=1, max_length=100)]
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
    params: dict[str, Any]
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

    number: int
    params: dict[str, Any]
    seed: int


class Timeline(Answer):
    """What happened to a trial, by version. `lineage`: whose checkpoint it began with, and so on to the root. A
    training that begins as `start` says and makes the changes of `schedule` comes to the same weights, bit for bit."""

    items: list[TimelineEntry]
    lineage: list[Parent]
    start: Start
    schedule: list[Change]


class Proposal(Answer):
    """What a policy would change. `outdated`: the trial was steered otherwise meanwhile, or has ended."""

    id: int
    policy: str
    params: dict[str, Any]
    restore: int | None
    reason: str
    step: int | None
    state: Literal["open", "accepted", "dismissed", "outdated"]
    version: int | None = Field(description="Of the timeline, once it was accepted.")
    at: AwareDatetime


class EnqueueRequest(Request):
    """`POST /studies/{study}/trials`: a trial with parameters that a person gives."""

    params: Params


class InvalidateRequest(Request):
    """`POST .../{n}:invalidate`: the trial counts for nothing from here on; it stays where it can be seen."""

    reason: Annotated[PlainText, Field(min_length=1, max_length=1000)]


class AskRequest(Request):
    """`POST /studies/{study}/trials:ask`: for people and scripts; the lease is long."""

    count: Count = 1
    worker: WorkerName = "curl"
    lease_s: Annotated[int, Field(ge=10, le=604_800)] = 3600


class LeaseRequest(Request):
    """`POST /leases`: for workers; the lease is short and is renewed."""

    worker: WorkerName
    slots: Count = 1
    wait: Annotated[FiniteFloat, Field(ge=0, le=30)] = 0.0
    stack: Annotated[int, Field(ge=1, le=LARGEST_STACK)] = Field(
        default=1, description="Each slot may take so many trials of one shape, which train side by side."
    )


class Lease(Answer):
    study: str
    number: int
    fence: int
    attempt: int
    seed: int
    params: dict[str, Any]
    task: dict[str, Any] | None
    lease_s: float
    desired: Desired
    resume: Resume | None = None
    stack: int | None = Field(default=None, description="Leases of one answer with the same number are of one shape.")


class Leases(Answer):
    """What was handed out; when that is nothing, `reason` says why."""

    leases: list[Lease]
    reason: Literal["paused", "budget", "waiting", "finished"] | None = None


class Held(Request):
    study: StudyName
    number: Number
    fence: Fence
    applied_version: Version | None = None
    applied_step: Step | None = None


class RenewRequest(Request):
    """`POST /leases:renew`: all leases that a worker holds, in one call."""

    worker: WorkerName
    held: Annotated[list[Held], Field(max_length=MOST_LEASES)]


class Renewed(Answer):
    study: str
    number: int
    fence: int
    lease_s: float
    desired: Desired


class Lost(Answer):
    study: str
    number: int
    reason: Literal["expired", "cancelled", "taken"]


class RenewAnswer(Answer):
    held: list[Renewed]
    lost: list[Lost]
    drain: bool


class Report(Request):
    step: Step
    epoch: Annotated[FiniteFloat, Field(ge=0)] | None = None
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
    tests: Annotated[list[Literal["inputs", "labels", "error"]], Field(max_length=3)] = Field(default_factory=list)


class ReportRequest(Request):
    """`POST .../{n}:report`: intermediate metrics; renews the lease."""

    fence: Fence
    reports: Annotated[list[Report], Field(max_length=1000)]
    events: Annotated[list[RunEvent], Field(max_length=100)] = Field(default_factory=list)
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
    tells: Annotated[list[TellOne], Field(min_length=1, max_length=1000)]


class ToldOne(Answer):
    """The outcome of one tell of many: the trial, or the problem's code and sentence."""

    number: int
    trial: Trial | None = None
    code: str | None = None
    detail: str | None = None


class TellManyAnswer(Answer):
    items: list[ToldOne]


class ReleaseRequest(Request):
    """`POST .../{n}:release`: give a leased trial back; it runs again elsewhere."""

    fence: Fence
    alone: bool = Field(default=False, description="From now on the trial is handed out without stack mates.")


class ReportedMetrics(Answer):
    step: int
    epoch: float | None
    metrics: dict[str, float | None]
    fence: int
    leg: int = Field(default=0, description="The version of the rollback after which it was reported; 0: before any.")
    left: bool = Field(default=False, description="The run went back behind this step; it counts for nothing.")
    at: AwareDatetime


# --- around them ---------------------------------------------------------------------------------------------


class PreviewRequest(Request):
    """`POST /space:preview`: look at a space before compute is spent on it."""

    space: Space
    seed: Seed = 0
    examples: Annotated[int, Field(ge=0, le=100)] = 5


class ParameterPreview(Answer):
    """Quantiles of a float or int; shares of each value of a choice."""

    quantiles: dict[str, float] | None = None
    shares: dict[str, float] | None = None


class Preview(Answer):
    parameters: dict[str, ParameterPreview]
    examples: list[dict[str, Any]]


class Worker(Answer):
    name: str
    first_seen_at: AwareDatetime
    last_seen_at: AwareDatetime
    slots: int
    running: int
    drain: bool


class Checkpoint(Answer):
    step: int
    epoch: float | None
    value: float | None
    sha256: str
    size: int
    version: int = Field(default=0, description="The newest version of the timeline that it has in it.")
    pinned: bool = Field(default=False, description="No rule drops it.")
    created_at: AwareDatetime


FindingKind = Literal["diagnosis", "errors"]
Tag = Annotated[PlainText, Field(min_length=1, max_length=100)]
Row = Annotated[str, Field(pattern=r"^[0-9]{1,12}$")]


class TagsRequest(Request):
    """`PUT .../{n}/errors/tags`: tags by row of the data set; an empty list takes a row's tags back."""

    tags: Annotated[dict[Row, Annotated[list[Tag], Field(max_length=50)]], Field(max_length=10_000)]


def plain_json(body: dict[str, Any]) -> dict[str, Any]:
    """Refuse what one of the two databases could not store: numbers that are not finite, NUL, lone surrogates."""
    try:
        plain_text(json.dumps(body, ensure_ascii=False, allow_nan=False).replace("\\u0000", "\0"))
    except ValueError as error:
        reason = str(error) if "write" in str(error) else "write finite numbers, and null for one that is not"
        raise ValueError(reason) from None
    return body


class Event(Answer):
    id: int
    number: int | None
    kind: str
    detail: dict[str, Any]
    at: AwareDatetime


class LateResult(Answer):
    """A report or tell whose lease was lost: kept, and counted for nothing."""

    id: int
    number: int
    fence: int
    kind: Literal["report", "tell"]
    body: dict[str, Any]
    at: AwareDatetime


Item = TypeVar("Item")


class Page(Answer, Generic[Item]):
    """One page of a list; `next_page_token` is null on the last."""

    items: list[Item]
    next_page_token: str | None = None


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
