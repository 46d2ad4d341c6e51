"""A study as an importer writes it, and the notes about what it cannot say."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from sturgeon.errors import SturgeonError
from sturgeon.values import Json, Name, is_number

DEFAULT_TRIALS: Final = 100
_NAME: Final[TypeAdapter[str]] = TypeAdapter(Name)


class CannotImport(SturgeonError):
    """This file cannot be imported."""


@dataclass
class Draft:
    """A study, as `POST /studies` takes it, and what is to be known about it.

    unsaid: what stands in the file and cannot be said by a study; assumed: what the file does not say, and the study
    needs. names: what each parameter of the file is called in the study.
    """

    study: Json = field(default_factory=dict)
    unsaid: list[str] = field(default_factory=list)
    assumed: list[str] = field(default_factory=list)
    names: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.study.setdefault("space", {})

    def cannot(self, what: str, why: str) -> None:
        """Name a thing that a study cannot say."""
        self.unsaid.append(f"{what}: {why}.")

    def assume(self, sentence: str) -> None:
        """Name a thing that the file does not say."""
        self.assumed.append(sentence)

    def leftover(self, mapping: Mapping[str, Any], known: Collection[str], where: str = "") -> None:
        """Name the fields that the importer does not know."""
        for key in mapping:
            if key not in known:
                self.cannot(f"{where}{key}", "no field of a study says this")

    def add(self, name: str, parameter: Json, when: Json | None = None) -> str:
        """Add a parameter, and give the name that it has in the study.

        Raises: CannotImport (two parameters have this name).
        """
        fitting = _fitting_name(name)
        if fitting != name:
            self.assume(f"The parameter {name!r} is called {fitting!r}.")
        if fitting in self.study["space"]:
            raise CannotImport(f"Two parameters are called {fitting!r}.")
        self.names[name] = fitting
        self.study["space"][fitting] = parameter | ({"when": when} if when else {})
        return fitting

    def call_it(self, name: object) -> None:
        """The study's name, made of what the file calls it."""
        text = re.sub(r"[^A-Za-z0-9._-]+", "-", str(name)).strip("-._")[:100]
        if text:
            self.study["name"] = text

    def run(self, argv: list[str], **fields: Any) -> None:
        """The task: a command. `argv` may have placeholders."""
        self.study["task"] = {"kind": "command", "argv": argv} | fields

    def finished(self, name: str) -> Draft:
        """With what a study needs and the file does not say. name: if the file has none.

        Raises: CannotImport (nothing is searched).
        """
        if not any(parameter["type"] != "fixed" for parameter in self.study["space"].values()):
            raise CannotImport(f"There is no parameter to search. {' '.join(self.unsaid)}".strip())
        if "name" not in self.study:
            self.call_it(name)
        if "metric" not in self.study:
            self.study["metric"] = "loss"
            self.assume("The file names no metric: it is called loss, and minimized.")
        budget = self.study.setdefault("budget", {})
        if "max_trials" not in budget:
            budget["max_trials"] = self._grid_size() or DEFAULT_TRIALS
            self.assume(f"The file has no number of trials: max_trials is {budget['max_trials']}.")
        order = ("name", "title", "metric", "direction", "space", "constraints", "search", "pruning", "budget", "task")
        self.study = {key: self.study[key] for key in (*order, *self.study) if key in self.study}
        return self

    def _grid_size(self) -> int | None:
        """The number of points of a grid of choices and fixed values."""
        parameters = self.study["space"].values()
        if self.study.get("search", {}).get("sampler") != "grid" or any("when" in p for p in parameters):
            return None
        sizes = [len(p["values"]) if p["type"] == "choice" else 1 if p["type"] == "fixed" else 0 for p in parameters]
        return math.prod(sizes) or None


def number(value: object, what: str) -> float | int:
    """A number, also one that is written as text.

    Raises: CannotImport (it is none).
    """
    if is_number(value):
        return value
    try:
        text = str(value)
        return int(text) if re.fullmatch(r"[+-]?[0-9]+", text) else float(text)
    except ValueError:
        raise CannotImport(f"{what} is {value!r}, which is no number.") from None


def uniform(low: float, high: float, *, log: bool = False, step: float | None = None, whole: bool = False) -> Json:
    """A number between two ends; whole: an integer. With a step the high end is the last one that is reached."""
    if step is not None and low < high:
        high = _last_step(low, high, step)
    if low == high:
        return {"type": "fixed", "value": low}
    found: Json = {"type": "int" if whole else "float", "low": low, "high": high}
    if step is not None and not (whole and step == 1):
        found["step"] = step
    return found | ({"scale": "log"} if log else {})


def rounded(low: float, high: float, q: float, *, log: bool = False, whole: bool = False) -> Json:
    """A number between two ends that is rounded to a multiple of q. Raises: CannotImport."""
    if q <= 0:
        raise CannotImport(f"A step (q) is above 0, not {q}.")
    first, last = (float(round(Decimal(repr(end)) / Decimal(repr(q))) * Decimal(repr(q))) for end in (low, high))
    if log and first <= q / 2:  # a log scale has no step at 0
        first = float(Decimal(repr(q)))
    if whole or all(float(one).is_integer() for one in (first, last, q)):
        return uniform(int(first), int(last), log=log, step=int(q), whole=True)
    return uniform(first, last, log=log, step=q)


def choice(values: list[Any], weights: list[float] | None = None) -> Json:
    """One of the values, each once; a single one is fixed."""
    once: list[Any] = []
    for value in values:
        if not any(value is other or (type(value) is type(other) and value == other) for other in once):
            once.append(value)
    if len(once) == 1:
        return {"type": "fixed", "value": once[0]}
    if len(once) < len(values):
        weights = [
            sum(w for v, w in zip(values, weights or [1.0] * len(values), strict=True) if v == value) for value in once
        ]
    return {"type": "choice", "values": once} | ({"weights": weights} if weights else {})


def normal(mean: float, sd: float, *, log: bool = False, step: float | None = None) -> Json:
    """A number from a normal distribution, or (log) one whose logarithm is normal."""
    found: Json = {"type": "lognormal" if log else "normal", "mean": mean, "sd": sd}
    return found | ({"step": step} if step is not None else {})


def _last_step(low: float, high: float, step: float) -> float | int:
    steps = math.floor((Decimal(repr(high)) - Decimal(repr(low))) / Decimal(repr(step)) + Decimal("1e-9"))
    last = Decimal(repr(low)) + steps * Decimal(repr(step))
    return int(last) if isinstance(low, int) and isinstance(step, int) else float(last)


def _fitting_name(name: str) -> str:
    """The name, or a similar one that a parameter can have."""
    try:
        return _NAME.validate_python(name)
    except ValidationError:
        fitting = re.sub(r"[^A-Za-z0-9_.\-]+", "_", name)[:64]
        return _NAME.validate_python(fitting if re.match("[A-Za-z_]", fitting) else f"p_{fitting}"[:64])
