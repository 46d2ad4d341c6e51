"""The parameters of a space, as Python writes them: `{"lr": sturgeon.log(1e-5, 1e-1)}`.

Each function returns the JSON object that the server takes, so it can be printed, stored and written in a file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Parameter = dict[str, Any]
When = Mapping[str, Any]


def linear(low: float, high: float, *, step: float | None = None, when: When | None = None) -> Parameter:
    """A real number in [low, high]; equal distances are equally likely (a uniform distribution). With a step one of
    low, low + step, .., high."""
    return _scaled("linear", low, high, when) | _given(step=step)


def log(low: float, high: float, *, step: float | None = None, when: When | None = None) -> Parameter:
    """A real number in [low, high], low > 0; equal factors are equally likely. For learning rates and penalties."""
    return _scaled("log", low, high, when) | _given(step=step)


def one_minus_log(low: float, high: float, *, when: When | None = None) -> Parameter:
    """A real number in [low, high], high < 1, on the log scale of 1 - value. For momentum and beta: 0.9 to 0.999."""
    return _scaled("one_minus_log", low, high, when)


def logit(low: float, high: float, *, when: When | None = None) -> Parameter:
    """A share in [low, high], both between 0 and 1; equal factors of its odds are equally likely."""
    return _scaled("logit", low, high, when)


def integer(low: int, high: int, *, step: int = 1, log: bool = False, when: When | None = None) -> Parameter:
    """An integer low, low + step, .., high; with `log`, equal factors are equally likely."""
    scale = {"scale": "log"} if log else {}
    return {"type": "int", "low": low, "high": high} | ({"step": step} if step != 1 else {}) | scale | _when(when)


def normal(
    mean: float,
    sd: float,
    *,
    low: float | None = None,
    high: float | None = None,
    step: float | None = None,
    when: When | None = None,
) -> Parameter:
    """A number from the normal distribution with this mean and standard deviation, between low and high."""
    return {"type": "normal", "mean": mean, "sd": sd} | _given(low=low, high=high, step=step) | _when(when)


def lognormal(
    mean: float,
    sd: float,
    *,
    low: float | None = None,
    high: float | None = None,
    step: float | None = None,
    when: When | None = None,
) -> Parameter:
    """A positive number whose natural logarithm is normal; low, high and step are of the number itself."""
    return {"type": "lognormal", "mean": mean, "sd": sd} | _given(low=low, high=high, step=step) | _when(when)


def choice(
    *values: Any, ordered: bool = False, weights: Sequence[float] | None = None, when: When | None = None
) -> Parameter:
    """One of the values, each equally likely or by its weight; `ordered` says that neighbours are alike.

    The values stand one by one, `choice("relu", "tanh")`, or in a single list, `choice(["relu", "tanh"])`.
    """
    one_list = len(values) == 1 and isinstance(values[0], list | tuple)
    listed = list(values[0] if one_list else values)
    options = ({"ordered": True} if ordered else {}) | _given(weights=None if weights is None else list(weights))
    return {"type": "choice", "values": listed} | options | _when(when)


def fixed(value: Any, *, when: When | None = None) -> Parameter:
    """A value that is not searched; every trial gets it."""
    return {"type": "fixed", "value": value} | _when(when)


def _given(**values: Any) -> Parameter:
    return {name: value for name, value in values.items() if value is not None}


def _scaled(scale: str, low: float, high: float, when: When | None) -> Parameter:
    return {"type": "float", "low": low, "high": high} | ({} if scale == "linear" else {"scale": scale}) | _when(when)


def _when(when: When | None) -> Parameter:
    """A condition; a single value stands for the list of it."""
    if when is None:
        return {}
    return {"when": {name: _wanted(wanted) for name, wanted in when.items()}}


def _wanted(wanted: Any) -> Any:
    if isinstance(wanted, Mapping):  # a range
        return dict(wanted)
    return list(wanted) if isinstance(wanted, Sequence) and not isinstance(wanted, str) else [wanted]
