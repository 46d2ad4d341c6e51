"""The data of pictures and tables: the trials of a study as flat rows, and their curves, thinned by the server."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AwareDatetime, Field

from sturgeon import identifiers
from sturgeon.messages.forms import Answer, Direction
from sturgeon.scales import ScaleName
from sturgeon.states import Mode, StudyState, TrialState
from sturgeon.values import Json

CellValue = str | bool | int | float
"""A value as it stands in a row: lists, objects and null as short text."""


class TableParameter(Answer):
    """A parameter as a column. Rows have its value in `field`, p0, p1, .., since a name may hold any character. A
    column keeps its field when the space is edited.

    `low`, `high`: of numbers; of a normal without a bound what all but one of a million draws lie within.
    `values`: of a choice, and of a fixed parameter.
    """

    field: str
    name: str
    kind: Literal["float", "int", "choice", "fixed", "normal", "lognormal"]
    scale: ScaleName | None = Field(default=None, description="Null of a choice and of a fixed parameter.")
    low: float | None = None
    high: float | None = None
    values: list[CellValue] | None = None
    ordered: bool = Field(default=False, description="Of a choice: neighbours among its values are alike.")
    current: bool = Field(default=True, description="False: an edit has taken it out of the space.")


class TableRow(Answer, extra="allow"):
    """A trial as a row; beside these fields p0, p1, .. by `TableParameter.field`, without those that are inactive.

    `score`: its value; null until it has one. `so_far`: the best that it has reported. `epochs`: how far it has come.
    `seconds`: how long workers have held it. `error`: its last line, which says what happened. `pruned_at`: the epoch.
    `round`: 0 is the even coverage.
    """

    number: identifiers.TrialNumber
    state: TrialState
    mode: Mode
    score: float | None = None
    so_far: float | None = None
    guess: float | None = Field(default=None, description="Of a pruned trial: what the search takes its score to be.")
    epochs: float | None = None
    seconds: float = 0.0
    worker: str | None = None
    attempt: int = 0
    error: str | None = None
    created_at: AwareDatetime
    started_at: AwareDatetime | None = None
    finished_at: AwareDatetime | None = None
    invalid: bool = False
    pruned_at: float | None = None
    parent: identifiers.TrialNumber | None = None
    group: int | None = None
    tags: list[str] = Field(default_factory=list)
    sampler: str | None = None
    round: int | None = None


class Table(Answer):
    """`GET /studies/{study}/rows`: the trials of a study, by number; with `since` those that changed after it.

    `cursor` is what `since` takes next, on any server. `total` trials are in the study, `left_out` of them are in no
    answer without `since`: it has the best and the newest. `rows` are each a `TableRow`, as plain objects.
    `complete`: these rows are all, instead of those that were there before, as without `since`; a cursor of a study
    that was deleted is answered so, too. `more`: others have changed, too; ask again with the cursor.
    """

    study: str
    title: str = ""
    objective: str = Field(description="The metric by which trials are compared.")
    direction: Direction
    cursor: str
    parameters: list[TableParameter]
    total: int
    left_out: int = 0
    complete: bool = True
    more: bool = False
    rows: Annotated[list[Json], Field(description="Each a TableRow.")]


class Curve(Answer):
    """One metric of one trial: `values` at `epochs`, from the first report that counts to the last."""

    number: identifiers.TrialNumber
    state: TrialState
    epochs: list[float]
    values: list[float]


class Curves(Answer):
    """`GET /studies/{study}/curves`: one metric of many trials, each in at most as many points as asked for. The ends
    and the extremes of a curve are always among them. With `since` only curves that have changed after it;
    one that has lost its points, as by a rollback to before the first report, is empty."""

    study: str
    metric: str
    direction: Direction | None = Field(default=None, description="Null where the metric is not the objective.")
    axis: Literal["epoch", "step"] = Field(default="epoch", description="step: the trials report no epochs.")
    cursor: str
    left_out: int = Field(default=0, description="So many more trials may have curves; ask for them by number.")
    more: bool = Field(default=False, description="Others have changed, too; ask again with the cursor.")
    curves: list[Curve]


class MetricCurve(Answer):
    epochs: list[float]
    values: list[float]


class Intervention(Answer):
    """An entry of the timeline as a mark on a curve. `epoch` is null until it counts. `restore`: the step that a
    rollback went back to."""

    epoch: float | None
    step: int | None
    version: int
    kind: str
    change: Json
    restore: int | None = None
    by: str
    reason: str
    state: Literal["pending", "applied", "superseded", "reverted"]


class MetricGroup(Answer):
    """Metrics that differ in the part of the data alone, such as train_error and dev_error, under what they share."""

    name: str
    metrics: list[str]


class TrialCurves(Answer):
    """`GET /studies/{study}/trials/{number}/curves`: every metric of one trial, and what was changed while it ran."""

    study: str
    number: identifiers.TrialNumber
    state: TrialState
    objective: str
    axis: Literal["epoch", "step"] = "epoch"
    metrics: dict[str, MetricCurve]
    groups: list[MetricGroup] = Field(default_factory=list, description="Metrics that one picture shows together.")
    interventions: list[Intervention]


class StudySketch(Answer):
    """A study in the list of all. `best` is the best value; `sparkline` how it came to be, in at most 30 points."""

    name: str
    title: str = ""
    state: StudyState
    mode: Mode
    objective: str
    direction: Direction
    counts: dict[TrialState, int]
    max_trials: int
    best: float | None = None
    best_number: int | None = None
    sparkline: list[float] = Field(default_factory=list)
    workers: int = Field(default=0, description="Workers that hold a trial of it.")
    tags: list[str] = Field(default_factory=list)
    spent: str | None = Field(default=None, description="The limit of the budget that is reached.")
    created_at: AwareDatetime
    changed_at: AwareDatetime


class Overview(Answer):
    """`GET /studies:overview`: all studies in one answer, the newest first. The stream of all studies sends those that
    have changed, and the names of those that are `gone`; `complete`: these are all, instead of those before."""

    cursor: str
    studies: list[StudySketch]
    total: int
    gone: list[str] = Field(default_factory=list)
    complete: bool = True


class StreamEvent(Answer):
    """An event of a stream. `rows`: a Table of the trials that have changed. `study`: the Study. `events`: new Events,
    in `items`. `studies`: an Overview of those that have changed. `workers`: the Workers that have changed, in `items`,
    and the names of those that are `gone`. The cursor comes with the last of what was sent at once."""

    event: str
    cursor: str | None = None
    data: Json
