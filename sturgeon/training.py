"""The fields of a train task: what a study may fix or search, with its types, ranges and choices.

The server checks studies with it; `worker/tasks/train.py` turns it into the trainer's own `TrainConfig`,
which has the same names, defaults, choices (a test asserts it). A field is `searchable` when a space may vary
it, `live` when it may change while the model trains, and `drawn` when it only says how the first weights are
drawn. Models that agree in all fields that are neither live nor drawn are of one shape: they train as a stack.
"""

from __future__ import annotations

import difflib
import json
import math
import re
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Annotated, Any, Literal, cast, get_args, get_origin

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic.fields import FieldInfo

from sturgeon.values import Json

STREAM = "stream:"
"""A folder below one of the worker's `--data` folders, to which npz portions are added while a model trains."""

DATASETS: tuple[str, ...] = ("digits", "breast_cancer", "wine", "iris", "diabetes", "mnist_5k")
"""Data sets that come with the trainer (mnist_5k with the extra of that name). `npz:NAME` and `csv:NAME` are
files below one of the worker's `--data` folders."""

START_FROM = re.compile(r"[A-Za-z0-9][A-Za-z0-9._\-]{0,99}/[0-9]{1,9}")
"""How `start_from` names a trial."""

TRAIN_METRICS: tuple[str, ...] = (
    "dev_error",
    "dev_loss",
    "train_error",
    "train_loss",
    "train_dev_error",
    "recent_error",
)
"""The metrics that a train task reports and a study may compare. test_error comes at the end, for people only."""

FILE_DATASET = re.compile(r"(?:npz|csv|stream):[^/\\\x00-\x1f\ud800-\udfff][^\\\x00-\x1f\ud800-\udfff]{0,199}")

Loss = Literal["auto", "softmax", "logistic", "squared"]
Delimiter = Literal["auto", ",", ";", "tab", "|"]
Decimal = Literal["auto", ".", ","]
Encoding = Literal[
    "auto", "utf-8", "utf-16", "latin-1", "cp1252", "cp1250", "cp1251", "cp1253", "cp1254", "mac_roman",
    "shift_jis", "euc_jp", "gb18030", "big5", "euc_kr",
]  # fmt: skip
Activation = Literal["relu", "leaky_relu", "tanh", "sigmoid", "linear"]
Initializer = Literal["auto", "he", "xavier", "normal"]
Optimizer = Literal["gradient_descent", "momentum", "rmsprop", "adam", "adamw"]
Schedule = Literal["constant", "inverse_time", "exponential", "inverse_sqrt", "staircase", "cosine"]
Units = Annotated[int, Field(ge=1, le=65_536)]
Keep = Annotated[float, Field(gt=0, le=1)]
Share = Annotated[float, Field(ge=0, lt=1)]
Column = Annotated[str, Field(min_length=1, max_length=100)]
Columns = Column | Annotated[list[Column], Field(min_length=1, max_length=1000)] | None
MAX_LAYERS = 100


def _field(
    default: object,
    text: str,
    *,
    searchable: bool = True,
    live: bool = False,
    drawn: bool = False,
    gt: float | None = None,
    ge: float | None = None,
    lt: float | None = None,
    le: float | None = None,
) -> Any:
    flags: Json = {"searchable": searchable, "live": live, "drawn": drawn}
    return Field(default, description=text, json_schema_extra=flags, gt=gt, ge=ge, lt=lt, le=le)


class TrainTask(BaseModel):
    """One field per hyperparameter of the trainer; defaults are the course's.

    Raises: ValidationError (a field is unknown, of the wrong type or out of range, or fields contradict each other).
    """

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, frozen=True)

    dataset: str = _field(
        ...,
        f"{', '.join(DATASETS)}, or npz:NAME or csv:NAME below a --data folder, or stream:FOLDER there",
        searchable=False,
    )
    target: Columns = _field(
        None, "column of a csv: file to predict, or a list of columns; by default the last", searchable=False
    )
    drop: Columns = _field(None, "column of a csv: file that is not read, or a list of columns", searchable=False)
    categories: Columns = _field(
        None, "column of a csv: file whose numbers are categories, or a list of columns", searchable=False
    )
    delimiter: Delimiter = _field("auto", "what separates the cells of a csv: file; auto = found", searchable=False)
    decimal: Decimal = _field("auto", "sign before decimals in a csv: file; auto = found", searchable=False)
    encoding: Encoding = _field(
        "auto", "encoding of a csv: file; auto = UTF-8, or what a mark at its beginning says", searchable=False
    )
    header: bool | Literal["auto"] = _field(
        "auto", "whether the first line of a csv: file has names; auto = found", searchable=False
    )
    loss: Loss = _field(
        "auto",
        "softmax for classes, logistic for 0/1 labels, squared for numbers; auto = what the data are",
        searchable=False,
    )
    epochs: int = _field(20, "passes through the training examples", live=True, ge=1, le=100_000)
    hidden_layers: int | None = _field(
        None,
        "number of hidden layers; by default as many as hidden_units lists, or 1",
        ge=0,
        le=MAX_LAYERS,
    )
    hidden_units: Units | Annotated[list[Units], Field(max_length=MAX_LAYERS)] = _field(
        64, "units of every hidden layer, or a list with a number for each"
    )
    activation: Activation | Annotated[list[Activation], Field(max_length=MAX_LAYERS)] = _field(
        "relu", "activation g of the hidden layers, or a list with one for each"
    )
    batch_norm: bool = _field(False, "normalise Z over the mini-batch in every hidden layer, before g")
    running_beta: float = _field(
        0.9,
        "beta of the averages of batch norm's mean and variance, used at test time",
        live=True,
        ge=0,
        lt=1,
    )
    initializer: Initializer = _field(
        "auto", "spread of W: he = sqrt(2/n), xavier = sqrt(1/n), normal = init_scale, auto = what fits g", drawn=True
    )
    init_scale: float = _field(0.01, "standard deviation of W with the normal initializer", drawn=True, ge=0, le=100)
    optimizer: Optimizer = _field("adam", "the rule that turns gradients into steps")
    learning_rate: float = _field(0.001, "step size alpha, before any schedule", live=True, gt=0, le=100)
    schedule: Schedule = _field("constant", "how the learning rate falls over the epochs", live=True)
    decay: float = _field(0.1, "decay rate of the schedule, per epoch or per stair", live=True, ge=0, le=100)
    decay_epochs: float = _field(10, "length of a stair of the staircase, epochs", live=True, gt=0, le=100_000)
    warmup_epochs: float = _field(
        0, "epochs in which the learning rate rises linearly from 0", live=True, ge=0, le=100_000
    )
    momentum: float = _field(0.9, "beta of the momentum optimiser", live=True, ge=0, lt=1)
    beta1: float = _field(0.9, "Adam's beta of the first moment", live=True, ge=0, lt=1)
    beta2: float = _field(0.999, "Adam's and RMSprop's beta of the second moment", live=True, ge=0, lt=1)
    epsilon: float = _field(1e-8, "epsilon of Adam and RMSprop, outside of the square root", live=True, gt=0, le=1)
    clip_norm: float = _field(
        0, "largest norm of the whole gradient; longer ones are scaled down; 0 = off", live=True, ge=0, le=1e9
    )
    batch_size: Annotated[int, Field(ge=1, le=1_000_000)] | Literal["auto", "full"] = _field(
        64, "examples in a mini-batch; full = all; auto = all below 2000, else 64 to 512 by their number"
    )
    l2: float = _field(
        0, "the course's lambda / m: the cost gains l2 / 2 times the sum of W * W", live=True, ge=0, le=100
    )
    weight_decay: float = _field(
        0.01, "AdamW's decoupled decay: W shrinks by learning_rate times this", live=True, ge=0, le=100
    )
    keep_prob: Keep | Annotated[list[Keep], Field(max_length=MAX_LAYERS)] = _field(
        1, "share of units that dropout keeps (steps of 1/256), or a list for each hidden layer", live=True
    )
    averaged_weights: bool = _field(False, "evaluate and predict with an average of the weights over the steps")
    average_beta: float = _field(0.99, "beta of the averaged weights", live=True, ge=0, lt=1)
    normalize_inputs: bool = _field(True, "subtract mean and divide by deviation, both of the training part")
    dev_share: Share | Literal["auto"] = _field(
        "auto", "share of examples in the dev part; auto = 0.2, and at most 10,000 examples", searchable=False
    )
    test_share: Share | Literal["auto"] = _field(
        "auto", "share of examples in the test part; auto = as dev; 0.3 when dev_share is 0", searchable=False
    )
    train_dev_share: float = _field(
        0,
        "share of the training part set aside as train-dev, to see data mismatch",
        searchable=False,
        ge=0,
        lt=1,
    )
    split_seed: int = _field(
        0, "seed of the split, shared by all trials of a study", searchable=False, ge=0, le=9_223_372_036_854_774_000
    )
    label_noise: float = _field(
        0, "share of training labels replaced by a random other class", searchable=False, ge=0, lt=1
    )
    start_from: Annotated[str, Field(min_length=1, max_length=200)] | None = _field(
        None,
        "trial whose best checkpoint gives the first weights (transfer), as STUDY/NUMBER",
        searchable=False,
    )
    new_head: bool = _field(False, "with start_from: draw the last layer anew even if it would fit")
    frozen_layers: int = _field(
        0, "how many layers, from the first on, keep their weights", live=True, ge=0, le=MAX_LAYERS
    )
    known_error: Annotated[float, Field(ge=0, le=1)] | None = _field(
        None, "human or best known error, the mark for avoidable bias in the diagnosis", searchable=False
    )
    window: int = _field(1, "newest portions of a stream to train on; 0 = all", live=True, ge=0, le=100_000)
    replay_share: float = _field(
        0.5, "share of older examples in the training on a portion of a stream", live=True, ge=0, le=0.99
    )
    portion_epochs: int = _field(
        1, "passes through the examples in the training on a portion of a stream", live=True, ge=1, le=1000
    )
    forget_before: int = _field(
        0,
        "portions of a stream before this number (from 0) are not trained on any more",
        searchable=False,
        live=True,
        ge=0,
        le=1_000_000,
    )
    match_labels: bool = _field(
        False, "replay older examples of a stream with the label shares since the last alarm (classes only)", live=True
    )
    clip_inputs: float = _field(
        0, "number of deviations at which normalised inputs of a stream are clipped; 0 = off", live=True, ge=0, le=1000
    )

    @field_validator("dataset")
    @classmethod
    def _known_dataset(cls, value: str) -> str:
        if problem := field_problem("dataset", value):
            raise ValueError(problem)
        return value

    @model_validator(mode="after")
    def _fields_agree(self) -> TrainTask:
        if problems := _cross_problems(self):
            raise ValueError(problems[0][1])
        return self


def field_names() -> tuple[str, ...]:
    """The names of all fields, in the order of `TrainTask`."""
    return tuple(TrainTask.model_fields)


@cache
def flagged(flag: Literal["searchable", "live", "drawn"]) -> tuple[str, ...]:
    """The names of the fields that a space may vary (searchable), that may change in a run (live), or that say how
    the first weights are drawn (drawn)."""
    return tuple(name for name, info in TrainTask.model_fields.items() if _flags(info)[flag])


def shape_of(params: Mapping[str, object]) -> str:
    """A text that is equal for trials that can train as one stack: those with the same fixed fields and one shape."""
    own = {*flagged("live"), *flagged("drawn")}
    return json.dumps({name: value for name, value in params.items() if name not in own}, sort_keys=True)


def field_problem(name: str, value: object) -> str | None:
    """One sentence that says what is wrong with this value of this field, or None.

    The sentence names the choices or the range, and never repeats more than a few characters of the value.
    """
    if name not in TrainTask.model_fields:
        near = difflib.get_close_matches(name[:64], field_names(), n=1)
        hint = f"; did you mean {near[0]}?" if near else "."
        return f"unknown trainer option {_short(name)}{hint} The options are: {', '.join(field_names())}."
    if name == "start_from" and isinstance(value, str) and not START_FROM.fullmatch(value):
        return f"start_from names a trial as STUDY/NUMBER, for example digits/3; got {_short(value)}."
    if name == "dataset":
        return None if _is_dataset(value) else f"dataset must be {_wanted(name)}; got {_short(value)}."
    try:
        _adapter(name).validate_python(value)
    except ValidationError:
        return f"{name} must be {_wanted(name)}; got {_short(value)}."
    return None


def with_whole_numbers(params: dict[str, Any]) -> dict[str, Any]:
    """The parameters, a float such as 63.0 as an integer where the trainer wants one: an answer that says epoch 63.0
    may be sent back as `epochs`."""
    return {name: int(value) if _is_whole(name, value) else value for name, value in params.items()}


def _is_whole(name: str, value: object) -> bool:
    is_field = name in TrainTask.model_fields and isinstance(value, float) and value.is_integer()
    return is_field and field_problem(name, value) is not None and field_problem(name, int(cast(float, value))) is None


def task_problems(fields: Mapping[str, object]) -> list[tuple[str, str]]:
    """(field, sentence) for each thing that is wrong with these fields, alone or together."""
    problems = [(name, problem) for name, value in fields.items() if (problem := field_problem(name, value))]
    if "dataset" not in fields:
        problems.append(("dataset", f"dataset is required: {_wanted('dataset')}."))
    return problems or _cross_problems(TrainTask.model_construct(None, **dict[str, Any](fields)))


def _cross_problems(task: TrainTask) -> list[tuple[str, str]]:
    problems = []
    if isinstance(task.hidden_units, list) and task.hidden_layers not in (None, len(task.hidden_units)):
        listed = f"hidden_units lists {len(task.hidden_units)} layers, but hidden_layers is {task.hidden_layers}"
        problems.append(("hidden_layers", f"{listed}; leave hidden_layers out, or make them agree."))
    layers = task.hidden_layers if isinstance(task.hidden_units, int) else len(task.hidden_units)
    layers = 1 if layers is None else layers
    problems += [
        (name, f"{name} lists {len(values)} values for {layers} hidden layers.")
        for name in ("activation", "keep_prob")
        if isinstance(values := getattr(task, name), list) and len(values) != layers
    ]
    dev = 0.2 if task.dev_share == "auto" else float(task.dev_share)
    test = 0.2 if task.test_share == "auto" else float(task.test_share)
    if dev + test >= 1:
        left = "dev_share and test_share together must be less than 1, so that some examples are left to train"
        problems.append(("test_share", f"{left}; they are {dev:g} and {test:g}."))
    if task.batch_norm and task.batch_size == 1:
        problems.append(("batch_size", "batch_norm needs a batch_size of at least 2: one example has no variance."))
    return problems


@cache
def _adapter(name: str) -> TypeAdapter[object]:
    info = TrainTask.model_fields[name]
    checked: Any = Annotated[info.annotation, Field(), *info.metadata]
    return TypeAdapter(checked, config=ConfigDict(strict=True, allow_inf_nan=False))


def _flags(info: FieldInfo) -> dict[str, bool]:
    extra = info.json_schema_extra
    return {flag: bool(on) for flag, on in extra.items()} if isinstance(extra, dict) else {}


def _is_dataset(value: object) -> bool:
    if not isinstance(value, str):
        return False
    if value in DATASETS:
        return True
    return FILE_DATASET.fullmatch(value) is not None and ".." not in value.partition(":")[2].split("/")


def _wanted(name: str) -> str:
    """What a value of the field must be, in words, derived from its type and limits."""
    if name == "dataset":
        return f"one of {', '.join(DATASETS)}, or npz:NAME, csv:NAME or stream:FOLDER with a relative path without '..'"
    info = TrainTask.model_fields[name]
    return _wanted_type(info.annotation, info.metadata)


def _wanted_type(annotation: object, metadata: Sequence[object]) -> str:
    if get_origin(annotation) is Annotated:
        inner, *extra = get_args(annotation)
        limits = [limit for info in extra if isinstance(info, FieldInfo) for limit in info.metadata]
        return _wanted_type(inner, limits)
    if get_origin(annotation) is Literal:
        return f"one of {', '.join(get_args(annotation))}"
    if get_origin(annotation) is list:
        return "a list of these"
    if annotation in (int, float):
        return f"{'an integer' if annotation is int else 'a number'} {_range(metadata)}"
    if annotation is bool:
        return "true or false"
    if annotation is str:
        return "a short string"
    if annotation is type(None):
        return "null"
    return ", or ".join(_wanted_type(option, metadata) for option in get_args(annotation))


def _range(metadata: Sequence[object]) -> str:
    words = {"gt": "greater than", "ge": "at least", "lt": "less than", "le": "at most"}
    limits = [
        f"{word} {getattr(limit, key)}"
        for limit in metadata
        for key, word in words.items()
        if getattr(limit, key, None) is not None
    ]
    return " and ".join(limits)


def _short(value: object) -> str:
    """A few characters by which a value can be recognised, whatever was sent."""
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, int):
        return str(value) if value.bit_length() <= 64 else "a huge integer"
    if isinstance(value, float):
        return repr(value) if math.isfinite(value) else "a number that is not finite"
    if isinstance(value, str):
        return ascii(value if len(value) <= 40 else value[:37] + "...")
    return "a list" if isinstance(value, list | tuple) else "an object"
