"""Calling an objective: a function that takes a trial, or its parameters, and returns or yields metrics.

It needs only the standard library, for it runs in the user's process, beside whatever is installed there.
"""

from __future__ import annotations

import inspect
import traceback
from collections.abc import Callable, Generator, Mapping
from pathlib import PurePath
from typing import Any, Protocol

Metrics = dict[str, float]


class Reporting(Protocol):
    """What an objective's run needs of a trial."""

    @property
    def params(self) -> Mapping[str, Any]: ...

    @property
    def should_stop(self) -> bool: ...

    def report(self, step: Any = None, /, *, epoch: Any = None, **metrics: Any) -> object: ...


def run(function: Callable[..., object], trial: Reporting, metric: str | None) -> Metrics:
    """Call the function for a trial, and return the metrics that it ends with; none if it reported all of them.

    It is called with the trial if its first parameter is named `trial` or is its only one, and names no parameter of
    the space; all other parameters are filled by name from the trial's. A returned number is `metric`, a mapping is
    metrics by name (`step` and `epoch` are none). A generator's yields are reports: numbers, or mappings that may have
    a `step` and an `epoch`; it is closed after the report at which the trial should stop.

    Raises: TypeError (the function does not take these parameters, or what it returns or yields is no metric).
    """
    positional, named = arguments(function, trial)
    answer = function(*positional, **named)
    if inspect.isgenerator(answer):
        answer = _report_each(answer, trial, metric)
    if inspect.iscoroutine(answer):
        answer.close()
        raise TypeError(f"{name_of(function)} is asynchronous; write a function that returns its metrics.")
    if isinstance(answer, Mapping):
        answer = {name: value for name, value in answer.items() if name == metric or name not in ("step", "epoch")}
    return metrics_of(answer, metric)


def arguments(function: Callable[..., object], trial: Reporting) -> tuple[list[object], dict[str, Any]]:
    """What the function is called with. Raises: TypeError (it does not take these parameters)."""
    params = dict(trial.params)
    takes = list(_signature(function).values())
    positional: list[object] = []
    if takes and _takes_trial(takes, params):
        positional, takes = [trial], takes[1:]
        if not takes:
            return positional, {}
    every = any(one.kind is inspect.Parameter.VAR_KEYWORD for one in takes)
    by_name = {one.name: one for one in takes if one.kind in _BY_NAME}
    missing = [name for name, one in by_name.items() if name not in params and one.default is one.empty]
    if missing:
        raise TypeError(
            f"{name_of(function)} needs {', '.join(missing)}, which this trial does not have; its parameters are "
            f"{', '.join(params) or 'none'}. Give it a default value, or take the `trial`."
        )
    left_over = [name for name in params if name not in by_name]
    if left_over and not every and not positional:
        raise TypeError(
            f"{name_of(function)} does not take {', '.join(left_over)}: add it, or `**params`, or take the `trial`."
        )
    return positional, {name: value for name, value in params.items() if every or name in by_name}


def metrics_of(answer: object, metric: str | None) -> Metrics:
    """What was returned, as metrics by name. Raises: TypeError (it is none)."""
    if answer is None:
        return {}
    if isinstance(answer, Mapping):
        return {str(name): _number(value, str(name)) for name, value in answer.items()}
    if metric is None:
        raise TypeError('Return the metrics by name, like {"dev_loss": 0.2}.')
    return {metric: _number(answer, metric)}


def name_of(function: Callable[..., object]) -> str:
    """The function's name for a sentence."""
    return str(getattr(function, "__qualname__", None) or type(function).__qualname__)


_BY_NAME = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


def _signature(function: Callable[..., object]) -> Mapping[str, inspect.Parameter]:
    try:
        return inspect.signature(function).parameters
    except ValueError:  # of some functions written in C; they take the parameters by name, or raise
        return {"params": inspect.Parameter("params", inspect.Parameter.VAR_KEYWORD)}


def _takes_trial(takes: list[inspect.Parameter], params: Mapping[str, Any]) -> bool:
    first = takes[0]
    if first.kind not in _POSITIONAL or first.name in params:
        return False
    return first.name == "trial" or len(takes) == 1


def _report_each(reports: Generator[Any, Any, object], trial: Reporting, metric: str | None) -> object:
    """Report what is yielded, until the trial should stop; what the generator returned."""
    while True:
        try:
            report = next(reports)
        except StopIteration as end:
            return end.value
        named: dict[str, Any] = dict(report) if isinstance(report, Mapping) else {**metrics_of(report, metric)}
        step, epoch = named.pop("step", None), named.pop("epoch", None)
        trial.report(step, epoch=epoch, **metrics_of(named, metric))
        if trial.should_stop or getattr(trial, "should_pause", False):
            reports.close()
            return None


def _number(value: Any, name: str) -> float:
    if value is None:
        return float("nan")
    try:
        if isinstance(value, (str, bytes)):
            raise TypeError
        return float(value)
    except (TypeError, ValueError):
        raise TypeError(f"The metric {name} must be a number; it is {type(value).__name__}.") from None


def last_line(error: BaseException, where: str | None = None) -> str:
    """The last line of an exception's traceback, and where it was raised."""
    said = "".join(traceback.format_exception_only(error)).strip()
    if frames := traceback.extract_tb(error.__traceback__):
        where = f"{PurePath(frames[-1].filename).name}, line {frames[-1].lineno}"
    return f"{said} ({where})" if where else said
