"""The parameters of a space, as Python writes them: `{"lr": sturgeon.log(1e-5, 1e-1)}`.

Each function returns the JSON object that the server takes, so it can be printed, stored and written in a file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Parameter = dict[str, Any]
When = Mapping[str, Any]


def linear(low: float, high: float, *, when: When | None = None) -> Parameter:
    """A real number in [low, high]; equal steps are equally likely (a uniform distribution)."""
    return _scaled("linear", low, high, when)


def log(low: float, high: float, *, when: When | None = None) -> Parameter:
    """A real number in [low, high], low > 0; equal factors are equally likely. For learning rates and penalties."""
    return _scaled("log", low, high, when)


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


def choice(*values: Any, ordered: bool = False, when: When | None = None) -> Parameter:
    """One of the values, each equally likely; `ordered` says that neighbours are alike.

    The values stand one by one, `choice("relu", "tanh")`, or in a single list, `choice(["relu", "tanh"])`.
    """
    one_list = len(values) == 1 and isinstance(values[0], list | tuple)
    listed = list(values[0] if one_list else values)
    return {"type": "choice", "values": listed} | ({"ordered": True} if ordered else {}) | _when(when)


def fixed(value: Any, *, when: When | None = None) -> Parameter:
    """A value that is not searched; every trial gets it."""
    return {"type": "fixed", "value": value} | _when(when)


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
