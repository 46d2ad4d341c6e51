"""Short forms of parameters: `lr=log:1e-5..1e-1`, `units=64|128|256`, `layers=1..4`, `optimizer==adam`."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

from sturgeon import builders
from sturgeon.cli.inputs import WrongInput

if TYPE_CHECKING:
    from sturgeon.values import Json

FORMS: Final = (
    "NAME=LOW..HIGH (whole numbers if both are), NAME=LOW..HIGH/STEP, NAME=log:LOW..HIGH (also one_minus_log: and "
    "logit:), NAME=A|B|C, NAME==VALUE"
)
_NUMBER: Final = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_RANGE: Final = re.compile(rf"(?:([a-z_]+):)?({_NUMBER})\.\.({_NUMBER})(?:/({_NUMBER}))?")
_SCALES: Final = {
    "linear": builders.linear,
    "log": builders.log,
    "one_minus_log": builders.one_minus_log,
    "logit": builders.logit,
}


def space_of(given: Iterable[str]) -> Json:
    """The space that `--space` options name. Raises: WrongInput."""
    space: Json = {}
    for text in given:
        name, equals, form = text.partition("=")
        if not equals or not name.strip():
            raise WrongInput(f"--space {text!r}: write {FORMS}.")
        if name.strip() in space:
            raise WrongInput(f"--space names {name.strip()} twice.")
        space[name.strip()] = parameter_of(name.strip(), form.strip())
    return space


def parameter_of(name: str, form: str) -> Json:
    """The parameter of a short form. Raises: WrongInput."""
    if form.startswith("="):
        return builders.fixed(_value(form[1:].strip()))
    if "|" in form:
        values = [_value(part.strip()) for part in form.split("|")]
        return builders.choice(values, ordered=_rises(values))
    if (match := _RANGE.fullmatch(form.replace(" ", ""))) is None:
        raise WrongInput(f"{name}={form}: write {FORMS}.")
    scale, low, high, step = match.groups()
    if scale is not None and scale not in _SCALES:
        raise WrongInput(f"{name}: there is no scale {scale}; the scales are {', '.join(_SCALES)}.")
    return _range(scale, low, high, step)


def _range(scale: str | None, low: str, high: str, step: str | None) -> Json:
    is_whole = all(_is_int(text) for text in (low, high, step) if text is not None)
    if is_whole and scale in (None, "linear", "log"):
        return builders.integer(int(low), int(high), step=int(step or 1), log=scale == "log")
    if step is None:
        return _SCALES[scale or "linear"](float(low), float(high))
    return _SCALES[scale or "linear"](float(low), float(high)) | {"step": float(step)}


def _is_int(text: str) -> bool:
    return re.fullmatch(r"[-+]?\d+", text) is not None


def _value(text: str) -> Any:
    """A JSON value if the text is one, else the text."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def _rises(values: list[Any]) -> bool:
    """Whether they are numbers that rise or fall, so that neighbours are alike."""
    if not all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        return False
    return len(values) > 1 and (values == sorted(values) or values == sorted(values, reverse=True))
