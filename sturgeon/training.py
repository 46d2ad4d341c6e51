"""The fields of a train task: what a study may fix or search, with its types, ranges and choices.

The server checks studies with it; `worker/tasks/train.py` turns it into the trainer's own `TrainConfig`,
which has the same names, defaults, choices (a test asserts it). A field is `searchable` when a space may vary
it, and `live` when it may change while the model trains.
"""

from __future__ import annotations

import difflib
import json
import math
import re
from collections.abc import Mapping
from functools import cache
from typing import Annotated, Any, Literal, get_args, get_origin

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

DATASETS: tuple[str, ...] = ("digits", "breast_cancer", "wine", "iris")
"""Data sets that come with the trainer. `npz:NAME` is a file below one of the worker's `--data` folders."""

FILE_DATASET = re.compile(r"npz:[^/\\\x00-\x1f\ud800-\udfff][^\\\x00-\x1f\ud800-\udfff]{0,199}")

Activation = Literal["relu", "sigmoid"]
Initializer = Literal["auto", "he", "xavier"]
Optimizer = Literal["gradient_descent", "momentum", "adam"]
Units = Annotated[int, Field(ge=1, le=65_536)]


def _field(default: Any, text: str, *, searchable: bool = True, live: bool = False, **limits: Any) -> Any:
    flags: dict[str, Any] = {"searchable": searchable, "live": live}
    return Field(default, description=text, json_schema_extra=flags, **limits)


class TrainTask(BaseModel):
    """One field per hyperparameter of the trainer; defaults are the course's.

    Raises:
        ValidationError: a field is unknown, of the wrong type or out of range, or fields do not agree.
    """

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, frozen=True)

    dataset: str = _field(
        ..., f"{', '.join(DATASETS)}, or npz:NAME, a file below a worker's --data folder", searchable=False
    )
    epochs: int = _field(20, "passes through the training examples", ge=1, le=100_000)
    hidden_layers: int | None = _field(
        None, "number of hidden layers; when left out: as many as hidden_units lists, or 1", ge=0, le=100
    )
    hidden_units: Units | Annotated[list[Units], Field(max_length=100)] = _field(
        64, "units of every hidden layer, or a list with a number for each"
    )
    activation: Activation = _field("relu", "activation g of the hidden layers")
    initializer: Initializer = _field(
        "auto", "spread of the first weights: he = sqrt(2/n), xavier = sqrt(1/n), auto = the one that fits g"
    )
    optimizer: Optimizer = _field("adam", "the rule that turns gradients into steps")
    learning_rate: float = _field(0.001, "step size alpha", live=True, gt=0, le=100)
    momentum: float = _field(0.9, "beta of the momentum optimiser", live=True, ge=0, lt=1)
    beta1: float = _field(0.9, "Adam's beta of the first moment", live=True, ge=0, lt=1)
    beta2: float = _field(0.999, "Adam's beta of the second moment", live=True, ge=0, lt=1)
    epsilon: float = _field(1e-8, "Adam's epsilon, outside of the square root", live=True, gt=0, le=1)
    batch_size: int = _field(64, "examples in a mini-batch", ge=1, le=1_000_000)
    l2: float = _field(
        0.0,
        "the course's lambda / m: the cost has l2 / 2 times the sum of squared W",
        live=True,
        ge=0,
        le=100,
    )
    keep_prob: float = _field(
        1.0, "share of hidden units that dropout keeps, in steps of 1/256", live=True, gt=0, le=1
    )
    normalize_inputs: bool = _field(True, "subtract mean and divide by deviation, both of the training part")
    dev_share: float = _field(0.2, "share of the examples in the dev part", searchable=False, ge=0, lt=1)
    test_share: float = _field(0.2, "share of the examples in the test part", searchable=False, ge=0, lt=1)
    split_seed: int = _field(
        0, "seed of the split, shared by all trials of a study", searchable=False, ge=0, le=2**63 - 1
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


def flagged(flag: Literal["searchable", "live"]) -> tuple[str, ...]:
    """The names of the fields that a space may vary (searchable) or that may change in a run (live)."""
    return tuple(name for name, info in TrainTask.model_fields.items() if _flags(info)[flag])


def field_problem(name: str, value: object) -> str | None:
    """One sentence that says what is wrong with this value of this field, or None.

    The sentence names the choices or the range, and never repeats more than a few characters of the value.
    """
    if name not in TrainTask.model_fields:
        near = difflib.get_close_matches(name[:64], field_names(), n=1)
        hint = f"; did you mean {near[0]}?" if near else "."
        return f"unknown trainer option {_short(name)}{hint} The options are: {', '.join(field_names())}."
    if name == "dataset":
        return None if _is_dataset(value) else f"dataset must be {_wanted(name)}; got {_short(value)}."
    try:
        _adapter(name).validate_python(value)
    except ValidationError:
        return f"{name} must be {_wanted(name)}; got {_short(value)}."
    return None


def task_problems(fields: Mapping[str, object]) -> list[tuple[str, str]]:
    """(field, sentence) for all that is wrong with these fields, alone or together; empty if nothing is."""
    problems = [(name, told) for name, value in fields.items() if (told := field_problem(name, value))]
    if "dataset" not in fields:
        problems.append(("dataset", f"dataset is required: {_wanted('dataset')}."))
    return problems or _cross_problems(TrainTask.model_construct(None, **dict[str, Any](fields)))


def _cross_problems(task: TrainTask) -> list[tuple[str, str]]:
    problems = []
    if isinstance(task.hidden_units, list) and task.hidden_layers not in (None, len(task.hidden_units)):
        listed = (
            f"hidden_units lists {len(task.hidden_units)} layers, but hidden_layers is {task.hidden_layers}"
        )
        problems.append(("hidden_layers", f"{listed}; leave hidden_layers out, or make them agree."))
    if task.dev_share + task.test_share >= 1:
        left = (
            "dev_share and test_share together must be less than 1, so that some examples are left to train"
        )
        problems.append(("test_share", f"{left}; they are {task.dev_share:g} and {task.test_share:g}."))
    return problems


@cache
def _adapter(name: str) -> TypeAdapter[Any]:
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
    return FILE_DATASET.fullmatch(value) is not None and ".." not in value.removeprefix("npz:").split("/")


def _wanted(name: str) -> str:
    """What a value of the field must be, in words, read from its type and limits."""
    if name == "dataset":
        return f"one of {', '.join(DATASETS)}, or npz:NAME with a relative path without '..'"
    info = TrainTask.model_fields[name]
    return _wanted_type(info.annotation, info.metadata)


def _wanted_type(annotation: Any, metadata: list[Any]) -> str:
    if get_origin(annotation) is Annotated:
        inner, *extra = get_args(annotation)
        limits = [limit for info in extra if isinstance(info, FieldInfo) for limit in info.metadata]
        return _wanted_type(inner, limits)
    if get_origin(annotation) is Literal:
        return f"one of {', '.join(get_args(annotation))}"
    if get_origin(annotation) is list:
        return "a list of these, one for each hidden layer"
    if annotation in (int, float):
        return f"{'an integer' if annotation is int else 'a number'} {_range(metadata)}"
    if annotation is bool:
        return "true or false"
    if annotation is type(None):
        return "null"
    return ", or ".join(_wanted_type(option, metadata) for option in get_args(annotation))


def _range(metadata: list[Any]) -> str:
    words = {"gt": "greater than", "ge": "at least", "lt": "less than", "le": "at most"}
    told = [
        f"{word} {getattr(limit, key)}"
        for limit in metadata
        for key, word in words.items()
        if getattr(limit, key, None) is not None
    ]
    return " and ".join(told)


def _short(value: object) -> str:
    """A few characters that recognise a value, whatever a stranger sent."""
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, int):
        return str(value) if value.bit_length() <= 64 else "a huge integer"
    if isinstance(value, float):
        return repr(value) if math.isfinite(value) else "a number that is not finite"
    if isinstance(value, str):
        return ascii(value if len(value) <= 40 else value[:37] + "...")
    return "a list" if isinstance(value, list | tuple) else "an object"
