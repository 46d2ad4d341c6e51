"""What each command prints with -o json, as types; `sturgeon schema` prints them as JSON schemas.

Most commands print an answer of the server as it is. The others have a form of their own, here.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from sturgeon import messages as m
from sturgeon.values import Json


class _Form(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ShownStudy(m.Study):
    recommended: m.Recommended | None = Field(description="The trial to take; null before the first result.")


class Deleted(_Form):
    deleted: str = Field(description="What is gone: a study's or a token's name, or a webhook's id.")


class Status(_Form):
    server: str
    ready: bool
    metrics: str | None = Field(description="With --metrics: the counters, in the text format of Prometheus.")


class Log(_Form):
    study: str
    number: int
    run: str
    log: str


class ExportedModel(_Form):
    """`study export --model FILE`; without --model it is a list of trials."""

    study: str
    number: int
    value: float | None
    step: int
    file: str
    size: int
    sha256: str
    recommended: int | None
    best: int | None


class ExportedTable(_Form):
    """`study export --out FILE`: the table that was written."""

    study: str
    file: str
    format: str
    size: int


class CurveRow(BaseModel):
    """`study export --curves`: a report. Its metrics are fields beside these."""

    model_config = ConfigDict(extra="allow")

    trial: int
    step: int
    epoch: float | None
    at: str


class TaskField(_Form):
    type: str = Field(description="The type, with its range or its values.")
    default: JsonValue
    use: str = Field(description="`searchable`, `live`, both, or `fixed`.")
    description: str


class Predicted(_Form):
    label: str
    probabilities: dict[str, float] | None = None
    values: dict[str, float] | None = None


class Predictions(_Form):
    predictions: list[Predicted]
    error: float | None = Field(description="Of data that have y: the share of wrong labels or the squared error.")
    unseen: dict[str, int] = Field(
        default_factory=dict, description="Column -> cells with a category that the model has no input for."
    )


class Replayed(_Form):
    step: int
    exact: bool
    difference: float | None
    same_numerics: bool


class PandaReplay(_Form):
    exact: bool
    checkpoints: list[Replayed]


class Demo(_Form):
    best: list[m.BestTrial]
    recommended: m.Recommended | None
    examples: dict[str, int]
    seconds: float
    folder: str


class Tuned(_Form):
    study: str
    best: list[m.BestTrial]
    recommended: m.Recommended | None
    command: str | None = Field(description="The command line with the recommended parameters.")


class Imported(_Form):
    """`import FILE`: the study. `import optuna URL`: what became of each trial. With --create it is a study."""

    study: Json | str
    unsaid: list[str]
    assumed: list[str]
    origin: str | None = Field(default=None, alias="from")
    items: list[Json] | None = None
    imported: int = 0
    known: int = 0
    refused: int = 0


class Written(_Form):
    file: str


class Revision(_Form):
    revision: str


class Copied(_Form):
    file: str
    size: int


class Drawn(_Form):
    file: str
    study: str
    kind: str
    trial: int | None


class ReportedMetrics(_Form):
    step: int | None
    epoch: float | None
    metrics: dict[str, float | None] = Field(description="Null for what is not finite.")
    saved: int | None = Field(description="The step at which the checkpoint folder is whole.")
    stop: bool | None = Field(description="With --stopped: whether the trial should stop or pause.")


class Reported(_Form):
    study: str
    files: list[str] = Field(description="The report, and the pictures beside it if it is markdown.")


FORMS: dict[str, Any] = {
    "audit": list[m.AuditEntry],
    "backup": Copied,
    "data": m.DatasetSummary,
    "demo": Demo,
    "drain": m.Worker,
    "import": Imported | Written | m.Study,
    "migrate": Revision,
    "panda accept": m.Steered | m.Proposal,
    "panda checkpoint": m.Steered,
    "panda dismiss": m.Proposal,
    "panda fork": list[m.Trial],
    "panda lineage": m.Lineage,
    "panda pause": m.Steered,
    "panda promote": m.Trial,
    "panda proposals": list[m.Proposal],
    "panda replay": PandaReplay,
    "panda resume": m.Steered,
    "panda rollback": m.Steered,
    "panda set": m.Steered,
    "panda start": m.Trial,
    "panda stop": m.Steered,
    "panda timeline": m.Timeline,
    "predict": Predictions,
    "report": ReportedMetrics,
    "restore": Revision,
    "schema": Json,
    "status": Status,
    "study best": m.Best,
    "study budget": m.Study,
    "study cancel": m.Study,
    "study compare": list[m.Trial],
    "study create": m.Study,
    "study dataset": m.DatasetSummary,
    "study curves": m.Curves,
    "study delete": Deleted,
    "study describe": m.Study,
    "study diagnosis": Json,
    "study errors": Json,
    "study events": list[m.Event],
    "study export": ExportedModel | ExportedTable | list[m.Trial] | list[CurveRow],
    "study importance": m.Importance,
    "study late-results": list[m.LateResult],
    "study list": list[m.Study],
    "study overview": m.Overview,
    "study pause": m.Study,
    "study plot": Drawn,
    "study preview": m.Preview,
    "study replay": list[m.Replay],
    "study report": Reported,
    "study resume": m.Study,
    "study revisions": list[m.SpaceRevision],
    "study rounds": m.Rounds,
    "study rows": m.Table,
    "study show": ShownStudy,
    "study space": m.Study,
    "study stop": m.Study,
    "study tag-errors": Json,
    "study trials": list[m.Trial],
    "task-fields": dict[str, TaskField],
    "token create": m.NewToken | m.Token,
    "token list": list[m.Token],
    "token revoke": Deleted,
    "trial ask": m.Leases,
    "trial cancel": m.Trial,
    "trial checkpoints": list[m.Checkpoint],
    "trial curve": list[m.ReportedMetrics],
    "trial curves": m.TrialCurves,
    "trial describe": m.Trial,
    "trial enqueue": m.Trial,
    "trial invalidate": m.Trial,
    "trial log": Log,
    "trial release": m.Trial,
    "trial requeue": m.Trial,
    "trial show": m.Trial,
    "trial tell": m.Trial,
    "tune": Tuned,
    "webhook add": m.NewWebhook,
    "webhook delete": Deleted,
    "webhook deliveries": list[m.Delivery],
    "webhook list": list[m.Webhook],
    "webhook test": m.Delivery,
    "workers": list[m.Worker],
}
"""The form of each command's output."""

LINES: dict[str, Any] = {
    "panda watch": m.ReportedMetrics | m.TimelineEntry | m.Proposal,
    "study stream": m.StreamEvent,
    "study watch": m.Trial,
}
"""Commands that print an object in each line, as it comes: the form of a line."""


def schema(command: str) -> Json:
    """The JSON schema of what a command prints. Raises: KeyError (it prints no JSON)."""
    from pydantic import TypeAdapter

    form = FORMS[command] if command in FORMS else LINES[command]
    return TypeAdapter(form).json_schema(mode="serialization")
