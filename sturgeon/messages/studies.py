"""Studies: their space, task, pruning and budget, and their best trials."""

from __future__ import annotations

from typing import Annotated, Final, Literal, Self

from pydantic import AwareDatetime, ConfigDict, Field, FiniteFloat, JsonValue, model_validator

from sturgeon.messages.forms import LARGEST_STEP, Answer, Direction, Params, Request, StudyName
from sturgeon.messages.metadata import CodeVersion, DataVersion, Notes, Tags, VersionChange
from sturgeon.messages.policies import Policies, Policy
from sturgeon.messages.searches import Search
from sturgeon.messages.tasks import CommandTask, Needs, PythonTask, StudyTask, TrainStudyTask
from sturgeon.space import MAX_PARAMETERS, Constraints, Space
from sturgeon.states import Mode, StudyState, TrialState
from sturgeon.values import Json, Name, PlainText


class Pruning(Request):
    """The rule that stops bad trials early, from what they report."""

    rule: Literal["curve", "asha", "median", "none"] | None = Field(
        default=None,
        description="`curve` (the power law) by default where `task` or `epochs` says how long a trial is and the "
        "metric is minimized; else `none`. Trials of a point with replicates run to their end unless you name a rule.",
    )
    eta: Annotated[int, Field(ge=2, le=100)] | None = Field(
        default=None, description="Of asha: at each rung, one trial of so many goes on (3)."
    )
    grace: Annotated[int, Field(ge=1, le=1_000_000)] | None = Field(
        default=None, description="No trial is stopped before this epoch: curve 3, asha 3 (its first rung), median 5."
    )
    power: Annotated[FiniteFloat, Field(gt=0, le=2)] | None = Field(
        default=None,
        description="Of curve: it forecasts that errors fall on at least like epoch^-power (0.25); more is more "
        "patient.",
    )
    epochs: Annotated[int, Field(ge=1, le=LARGEST_STEP)] | None = Field(
        default=None, description="Of your own code: the epochs of a whole trial, or its steps if it reports no epochs."
    )


def _only(one: str, other: str) -> dict[str, JsonValue]:
    """The schema of an object that has a number in one of two fields."""
    bounds: dict[str, JsonValue] = {one: {"type": "number"}, other: {"type": "null"}}
    return {"required": [one], "properties": bounds}


class StopWhen(Request):
    """A complete trial that is this good ends the study. `metric` is that of the study unless another is named."""

    model_config = ConfigDict(json_schema_extra={"oneOf": [_only("below", "above"), _only("above", "below")]})

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
    """What is left out stays as it is; null removes a limit (but not max_trials)."""

    max_trials: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    max_epochs: Annotated[int, Field(ge=1, le=LARGEST_STEP)] | None = None
    max_seconds: Annotated[FiniteFloat, Field(gt=0, le=1e9)] | None = None
    stop_when: StopWhen | None = None


class Spent(Answer):
    """What a study has used of its budget; `limit` names the limit that is reached, other than max_trials."""

    trials: int = 0
    epochs: float = 0.0
    seconds: float = 0.0
    limit: Literal["max_epochs", "max_seconds", "stop_when"] | None = None


Reduce = Literal["last", "best"]

CONSTRAINTS: Final = (
    'What the parameters of each trial satisfy, for example "units1 >= units2" or "lr * batch_size <= 10": numbers and '
    'parameters with + - * / and parentheses, compared by < <= > >= == !=, joined by `and`, `or`; optimizer == "sgd" '
    "for a choice; a name with other signs stands in backticks. One with an inactive parameter does not count."
)


class Unable(Answer):
    """A worker that gave a trial of the study back, since it cannot run it: its data or its module is not there, or its
    owner does not allow the program. `count` says how often since it last ran one; it asks again from time to time."""

    study: str
    worker: str
    reason: str
    count: int = 1
    at: AwareDatetime


class StudyRequest(Request):
    """`POST /studies`."""

    name: StudyName
    title: Annotated[PlainText, Field(max_length=1000)] = ""
    metric: Name = Field(description="The metric by which trials are compared, for example dev_error.")
    direction: Direction = "minimize"
    reduce: Reduce | None = Field(
        default=None,
        description="A trial's value is the `last` score, that of its tell, or the `best` of its reports and its tell. "
        "A train task tells the metrics and the model of that epoch. When left out: `best` for a train task, `last` "
        "for your own code and for a stream.",
    )
    space: Space
    constraints: Constraints = Field(default_factory=list, description=CONSTRAINTS)
    search: Search = Field(default_factory=Search)
    pruning: Pruning = Field(default_factory=Pruning)
    budget: Budget
    task: StudyTask | None = Field(
        default=None, description="What workers run; null if your own code asks for trials and tells their results."
    )
    needs: Needs = Field(default_factory=Needs, description="What a worker must have free to run a trial.")
    mode: Mode = Field(
        default="caviar",
        description="caviar: many trials, with drawn parameters; panda: one trial that is steered, and its branches.",
    )
    params: Params | None = Field(
        default=None, description="Of a panda: its parameters; if they are left out, they are drawn."
    )
    policies: Policies = Field(
        default_factory=list, description="The policies that watch over the pandas of the study."
    )
    tags: Tags = Field(default_factory=list)
    notes: Notes = ""
    code_version: CodeVersion | None = Field(
        default=None, description="The commit of the code; if it is left out, that of the first run that tells one."
    )

    @model_validator(mode="before")
    @classmethod
    def _space_of_a_panda(cls, given: object) -> object:
        """Derive the space of a panda from its parameters, where these are given."""
        if not isinstance(given, dict) or given.get("mode") != "panda" or "space" in given:
            return given
        params = given.get("params")
        if not isinstance(params, dict) or len(params) > MAX_PARAMETERS:
            return given
        return given | {"space": {name: {"type": "fixed", "value": value} for name, value in params.items()}}

    @model_validator(mode="after")
    def _constrain(self) -> Self:
        self.space = self.space.constrained(self.constraints)
        return self


class StudyPatch(Request):
    """`PATCH /studies/{study}`: changes what is given."""

    state: Literal["active", "paused", "stopped", "cancelled"] | None = None
    title: Annotated[PlainText, Field(max_length=1000)] | None = None
    tags: Tags | None = Field(default=None, description="Instead of those that the study has.")
    notes: Notes | None = None
    budget: BudgetPatch | None = None
    policies: Policies | None = None
    needs: Needs | None = Field(
        default=None, description="Instead of what the study needed of a worker; trials that run go on where they are."
    )
    task: Annotated[CommandTask | PythonTask, Field(discriminator="kind")] | None = Field(
        default=None,
        description="Of a study that has none: your own code, which workers run from now on.",
    )
    space: Space | None = Field(
        default=None,
        description="A new revision: bounds widened or narrowed, values added or taken out, parameters added, left out "
        "or fixed. Results that lie in the new space stay in use; the others count again when it is widened.",
    )
    constraints: Constraints | None = Field(
        default=None, description="With them the space has a new revision; an empty list removes them all."
    )
    added: Params = Field(
        default_factory=dict,
        description="For each new parameter of `space`, the value that earlier trials count as having.",
    )


class SpaceRevision(Answer):
    """A space that the study had, from its sequence number `seq` on (a trial's `drawn.basis` counts on it)."""

    revision: int
    space: Space
    constraints: list[str] = Field(default_factory=list)
    added: Json
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
    params: Json
    metrics: dict[str, float | None]
    replicates: Replicates | None = None


class Study(Answer):
    """A study, with its counts and its best trial."""

    name: str
    title: str
    state: StudyState
    metric: str
    direction: Direction
    reduce: Reduce
    space: Space
    constraints: list[str] = Field(default_factory=list)
    search: Search
    pruning: Pruning
    budget: Budget
    task: StudyTask | None
    needs: Needs = Field(default_factory=Needs)
    mode: Mode
    policies: list[Policy] = Field(default_factory=list)
    revision: int
    counts: dict[TrialState, int]
    spent: Spent = Field(default_factory=Spent)
    best: BestTrial | None = Field(description="The trial with the best score; `/best` says which to take.")
    tags: list[str] = Field(default_factory=list)
    notes: str = ""
    code_version: CodeVersion | None = Field(default=None, description="The code and the data that it began with,")
    data_version: DataVersion | None = None
    changes: list[VersionChange] = Field(
        default_factory=list, description="and the newest change of either; none in lists."
    )
    unable: list[Unable] = Field(default_factory=list, description="The workers that cannot run it, and why.")
    waits_for: str | None = Field(
        default=None, description="Why no living worker fits, in a sentence; null while one does, or nothing waits."
    )
    created_at: AwareDatetime

    @property
    def train_task(self) -> TrainStudyTask | None:
        """Its task, if it is one of the built-in trainer."""
        return self.task if isinstance(self.task, TrainStudyTask) else None


class Recommended(BestTrial):
    """The trial to take: the best by what all results together predict of it; `why` says so in a sentence."""

    why: str


class Best(Answer):
    """The trials with the best scores (`items`), and the one to take (`recommended`): the winner, wherever one is
    named. Of a study whose results all lie outside of its present space none is recommended.

    `separable`: whether the best's lead over the second is more than seeds explain; null without replicates.
    """

    items: list[BestTrial]
    recommended: Recommended | None = None
    separable: bool | None = None
    verdict: str | None = None

    @property
    def winner(self) -> BestTrial | None:
        """The recommended trial; where none is, the one with the best score; None without any result."""
        return self.recommended or next(iter(self.items), None)
