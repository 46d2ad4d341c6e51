"""Tasks: what workers run. The built-in trainer, or the user's own code as a command or as a Python function."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from pathlib import PurePosixPath
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field, FiniteFloat, TypeAdapter

from sturgeon.messages.forms import LARGEST_STEP, Label, Params, Request
from sturgeon.placeholders import names_in
from sturgeon.strictness import Sized
from sturgeon.values import Json, Name, PlainText

TaskKind = Literal["train", "command", "python"]
"""What workers can run: a kind is a module of its name in `worker/tasks`."""

OWN_KINDS: Final[tuple[TaskKind, ...]] = ("command", "python")
"""The kinds that run the user's own code."""


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
    fixed: Params = Field(
        default_factory=dict, description="Fields of the schema TrainTask, which `sturgeon task-fields` prints, too."
    )
    checkpoints: CheckpointRule | None = Field(default_factory=CheckpointRule)


class Limits(Request):
    """The limits of one trial's process, and of all processes that it starts."""

    seconds: Annotated[FiniteFloat, Field(gt=0, le=31_536_000)] | None = Field(
        default=None, description="After so many seconds the process is ended, and the trial fails."
    )
    memory_gb: Annotated[FiniteFloat, Field(gt=0, le=100_000)] | None = Field(
        default=None, description="The memory that the process and its descendants may take together."
    )
    grace_s: Annotated[FiniteFloat, Field(ge=0, le=3600)] = Field(
        default=10.0, description="How long the process may go on after a TERM signal, before it is killed."
    )
    nice: Annotated[int, Field(ge=0, le=19)] = 0
    log_mb: Annotated[FiniteFloat, Field(gt=0, le=16)] = Field(
        default=1.0,
        description="Megabytes of stdout and stderr that are kept: the first quarter and the last three quarters.",
    )


def one_group(pattern: str) -> str:
    """`pattern`, if it is a regular expression with one group. Raises: ValueError."""
    try:
        groups = re.compile(pattern).groups
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(f"this is no regular expression: {str(error)[:200]}") from None
    if groups != 1:
        raise ValueError(
            f'put one pair of parentheses around the number, for example "loss=([0-9.e+-]+)"; this one has {groups}'
        )
    return pattern


def below_the_folder(path: str) -> str:
    """`path`, if it is relative and leads nowhere else. Raises: ValueError."""
    parts = PurePosixPath(path)
    if parts.is_absolute() or ".." in parts.parts or not parts.parts:
        raise ValueError('write the path of a file below the folder of the program, for example "out/metrics.jsonl"')
    return path


def _with_placeholders(argument: str) -> str:
    names_in(argument)
    return argument


Pattern = Annotated[PlainText, Field(min_length=1, max_length=500), AfterValidator(one_group)]


ReportsFile = Annotated[
    PlainText,
    Field(min_length=1, max_length=1000),
    AfterValidator(below_the_folder),
    AfterValidator(_with_placeholders),
]


class MetricSources(Request):
    """Where metrics are read from. A line `STURGEON {"step": 3, "dev_loss": 0.2}` of stdout always counts, and so does
    what the program reports itself."""

    lines: Annotated[dict[Name, Pattern], Sized(50, every_problem=True)] = Field(
        default_factory=dict,
        description="For a metric, or for `step` and `epoch`: a regular expression whose one group is its value in a "
        "line of stdout or stderr.",
    )
    file: ReportsFile | None = Field(
        default=None,
        description='A file below `cwd` with a JSON object in each line: {"step": 3, "dev_loss": 0.2}. It may have '
        "placeholders, as arguments have.",
    )


MOST_TEXT: Final = 100_000
"""Characters of all arguments, or of all variables: each lease has them, and the system takes few more."""


def _short(env: dict[str, str]) -> dict[str, str]:
    _require_short([*env, *env.values()])
    return env


def _require_short(texts: Sequence[str]) -> None:
    if sum(map(len, texts)) > MOST_TEXT:
        raise ValueError(f"write at most {MOST_TEXT} characters in all; a file can hold more")


ENVIRONMENT_NAME: Final = r"^[A-Za-z_][A-Za-z0-9_]{0,199}$"
EnvironmentName = Annotated[str, Field(pattern=ENVIRONMENT_NAME)]
CALL: Final = r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*$"


class OwnCode(Request):
    """What the user's own code has, in whatever way it is started. Each trial runs in a process of its own."""

    cwd: Annotated[PlainText, Field(min_length=1, max_length=1000)] | None = Field(
        default=None,
        description="Its folder: absolute, or relative to that of the worker; by default that of the worker.",
    )
    data: Annotated[list[Annotated[PlainText, Field(min_length=1, max_length=1000)]], Sized(100)] = Field(
        default_factory=list,
        description="Files and folders that the program reads, absolute or relative to `cwd`: each trial has a "
        "fingerprint of them, and a worker without them gives the trial back.",
    )
    env: Annotated[
        dict[EnvironmentName, Annotated[PlainText, Field(max_length=10_000)]],
        Sized(200, every_problem=True),
        AfterValidator(_short),
    ] = Field(default_factory=dict)
    metrics: MetricSources = Field(default_factory=MetricSources)
    limits: Limits = Field(default_factory=Limits)
    checkpoints: CheckpointRule | None = Field(
        default=None, description="The program has a checkpoint folder and goes on from it; null: it starts again."
    )
    epochs: Annotated[int, Field(ge=1, le=LARGEST_STEP)] | None = Field(
        default=None, description="How long a whole trial is, in epochs, or in steps if it reports no epochs."
    )


def _program_first(argv: list[str]) -> list[str]:
    if not argv[0].strip() or names_in(argv[0]):
        raise ValueError("its first entry is the program, without placeholders")
    _require_short(argv)
    return argv


Argument = Annotated[PlainText, Field(max_length=10_000), AfterValidator(_with_placeholders)]

TRIAL_PLACEHOLDERS: Final = ("trial.number", "trial.seed", "checkpoint", "params_file")
"""What an argument can name beside the parameters of the space."""


class CommandTask(OwnCode):
    """Run a program. `{name}` in an argument is the value of that parameter; `{{` and `}}` are braces. There are also
    `{trial.number}`, `{trial.seed}`, `{checkpoint}` (a folder) and `{params_file}`. Of a parameter that its condition
    turns off, the argument is left out, and a flag right before it."""

    kind: Literal["command"]
    argv: Annotated[list[Argument], Sized(1000, least=1, every_problem=True), AfterValidator(_program_first)]


FUNCTION: Final = r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*$"


class PythonTask(OwnCode):
    """Call a Python function. It gets the trial, or the parameters as keyword arguments, by its signature. A number
    that it returns is the study's metric, a dict holds metrics; a generator yields reports."""

    kind: Literal["python"]
    call: Annotated[str, Field(max_length=500, pattern=CALL)] = Field(
        description='"module:function", for example "train:run".'
    )


class Needs(Request):
    """What a worker must have free to run a trial of the study: it gets none otherwise."""

    gpus: Annotated[int, Field(ge=0, le=64)] = Field(
        default=0, description="GPUs of its own, which CUDA_VISIBLE_DEVICES names to the process."
    )
    memory_gb: Annotated[FiniteFloat, Field(gt=0, le=100_000)] | None = None
    labels: Annotated[list[Label], Sized(20)] = Field(
        default_factory=list, description="Labels that the worker was started with, all of them."
    )


StudyTask = Annotated[TrainStudyTask | CommandTask | PythonTask, Field(discriminator="kind")]


@cache
def _tasks() -> TypeAdapter[StudyTask]:
    return TypeAdapter(StudyTask)


def task_of(fields: Json) -> StudyTask:
    """The task that has these fields. Raises: pydantic.ValidationError."""
    return _tasks().validate_python(fields)
