"""What a program says of its run, read from JSON objects and from lines of its logs.

A JSON object is a report: {"step": 3, "epoch": 1, "dev_loss": 0.2}; all fields but step and epoch are metrics. With the
field "sturgeon" it is something else: {"sturgeon": "saved", "step": 3} the checkpoint folder is whole; {"sturgeon":
"read", "version": 7} the parameters were read, as they are desired in this version; {"sturgeon": "asked"} the program
looks by itself whether it shall stop; {"sturgeon": "result", "metrics": {..}} what a function returned; {"sturgeon":
"failed", "error": ".."} and {"sturgeon": "unable", "reason": ".."} why there is none.
"""

from __future__ import annotations

import json
import math
import re
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from types import FrameType
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from sturgeon.messages.forms import LARGEST_EPOCH, LARGEST_STEP
from sturgeon.values import Json, Name, is_number

PREFIX: Final = "STURGEON "
MOST_METRICS: Final = 300
LONGEST_MATCHED: Final = 8192
"""Characters of a line in which patterns are looked for."""
SLOWEST_S: Final = 1.0


class Misread(Exception):
    """What was said makes no sense; one sentence says why."""


class PatternFailed(Exception):
    """A regular expression took too long, or found what may be either of two numbers."""


@dataclass(frozen=True)
class Reported:
    """Metrics. step: None counts up. is_part: lines before and after it may be of the same step."""

    step: int | None
    epoch: float | None
    metrics: Mapping[str, float]
    is_part: bool = False


@dataclass(frozen=True)
class Saved:
    """The checkpoint folder is whole at this step. state: what `folder_state` said of it then; empty if unknown."""

    step: int
    state: str = ""


@dataclass(frozen=True)
class HasRead:
    """The program has read its parameters, as they are desired in this version."""

    version: int


@dataclass(frozen=True)
class HasAsked:
    """The program looks by itself whether it shall stop or pause."""


@dataclass(frozen=True)
class Result:
    """What a function has returned."""

    metrics: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Failed:
    """Why the function returned nothing. is_unable: it could not be called on this worker."""

    reason: str
    is_unable: bool = False


Said = Reported | Saved | HasRead | HasAsked | Result | Failed


def said_in(text: str) -> Said:
    """What a JSON object says. Raises: Misread."""
    try:
        given = json.loads(text)
    except (ValueError, RecursionError):
        raise Misread(f"this is no JSON: {text[:100]}") from None
    if not isinstance(given, dict):
        raise Misread(f"this is no JSON object: {text[:100]}")
    kind = given.pop("sturgeon", "report")
    if not isinstance(kind, str) or kind not in _READERS:
        raise Misread(f'"sturgeon" is one of {", ".join(_READERS)}; not {str(kind)[:100]}')
    return _READERS[kind](given)


def _report(given: Json) -> Reported:
    step, epoch = given.pop("step", None), given.pop("epoch", None)
    return Reported(None if step is None else step_of(step), epoch_of(epoch), _metrics(given))


def _saved(given: Json) -> Saved:
    return Saved(step_of(given.get("step")), str(given.get("state") or ""))


def _has_read(given: Json) -> HasRead:
    return HasRead(step_of(given.get("version")))


def _has_asked(_given: Json) -> HasAsked:
    return HasAsked()


def _result(given: Json) -> Result:
    metrics = given.get("metrics")
    return Result(_metrics(metrics if isinstance(metrics, dict) else {}))


def _failed(given: Json) -> Failed:
    return Failed(str(given.get("error") or ""))


def _unable(given: Json) -> Failed:
    return Failed(str(given.get("reason") or ""), is_unable=True)


_READERS: Final[Mapping[str, Callable[[Json], Said]]] = {
    "report": _report,
    "saved": _saved,
    "read": _has_read,
    "asked": _has_asked,
    "result": _result,
    "failed": _failed,
    "unable": _unable,
}


def step_of(value: object) -> int:
    """Raises: Misread."""
    if not is_number(value) or not 0 <= value <= LARGEST_STEP or value != int(value):
        raise Misread(f"a step is a whole number from 0 on, not {str(value)[:100]}")
    return int(value)


def epoch_of(value: object) -> float | None:
    """Raises: Misread."""
    if value is None:
        return None
    if not is_number(value) or not 0 <= value <= LARGEST_EPOCH:
        raise Misread(f"an epoch is a number from 0 on, not {str(value)[:100]}")
    return float(value)


def _metrics(given: Mapping[str, object]) -> dict[str, float]:
    """Those that are numbers, also NaN and infinite ones; null is none. Raises: Misread."""
    metrics = {}
    for name, value in given.items():
        if not is_name(name):
            raise Misread(f"no metric can be called {name[:100]!r}")
        if value is not None:
            metrics[name] = _number(name, value)
    if len(metrics) > MOST_METRICS:
        raise Misread(f"a report has at most {MOST_METRICS} metrics, not {len(metrics)}")
    return metrics


def _number(name: str, value: object) -> float:
    if isinstance(value, bool):
        return float(value)
    try:
        return float(value)  # type: ignore[arg-type]  # also "nan", which is no JSON
    except OverflowError:
        return math.inf
    except (TypeError, ValueError):
        raise Misread(f"{name} is no number: {str(value)[:100]}") from None


@lru_cache(10_000)
def is_name(name: str) -> bool:
    """Whether a metric can be called so."""
    try:
        _NAME.validate_python(name)
    except ValidationError:
        return False
    return True


_NAME: Final[TypeAdapter[Any]] = TypeAdapter(Name)


class Patterns:
    """Regular expressions, each with one group, by the metric that they find in a line; also step and epoch.

    Raises: Misread (one is none).
    """

    def __init__(self, patterns: Mapping[str, str]) -> None:
        self._patterns = {name: _compiled(name, pattern) for name, pattern in patterns.items()}

    def __bool__(self) -> bool:
        return bool(self._patterns)

    def found(self, lines: Sequence[str]) -> Iterator[Reported]:
        """What these lines report. In the main thread. Raises: PatternFailed."""
        if not self._patterns:
            return
        with _at_most(SLOWEST_S, self._patterns):
            found = [self._found(line[:LONGEST_MATCHED]) for line in lines]
        yield from (one for one in found if one is not None)

    def _found(self, line: str) -> Reported | None:
        values: dict[str, float] = {}
        for name, pattern in self._patterns.items():
            match = pattern.search(line)
            if match is not None and match.group(1) is not None:
                value = _printed(name, match.group(1).strip())
                if value is not None:
                    values[name] = value
        if not values:
            return None
        step, epoch = values.pop("step", None), values.pop("epoch", None)
        try:
            return Reported(None if step is None else step_of(step), epoch_of(epoch), values, is_part=True)
        except (Misread, ValueError, OverflowError):
            return None


THOUSANDS: Final = re.compile(r"[+-]?[1-9][0-9]{0,2}(,[0-9]{3})+(\.[0-9]*)?")
DECIMAL_COMMA: Final = re.compile(r"[+-]?[0-9]*,[0-9]+([eE][+-]?[0-9]+)?")


def _printed(name: str, text: str) -> float | None:
    """The number that a text is; None if it is none. A comma stands before decimals, or between thousands.

    Raises: PatternFailed (it may do either, as in 1,234).
    """
    if THOUSANDS.fullmatch(text):
        if text.count(",") == 1 and "." not in text:
            whole, decimals = text.split(",")
            raise PatternFailed(
                f"metrics.lines.{name} found {text}, which may be {whole}.{decimals} or {whole}{decimals}: "
                "let the program print a point before decimals, and nothing between thousands."
            )
        text = text.replace(",", "")
    elif DECIMAL_COMMA.fullmatch(text):
        text = text.replace(",", ".")
    try:
        return float(text)
    except ValueError:
        return None


def _compiled(name: str, pattern: str) -> re.Pattern[str]:
    try:
        compiled = re.compile(pattern)
    except (re.error, RecursionError, OverflowError) as error:
        raise Misread(f"metrics.lines.{name} is no regular expression: {error}") from None
    if compiled.groups != 1:
        raise Misread(f"metrics.lines.{name} has {compiled.groups} groups; it needs one, around the number")
    return compiled


@contextmanager
def _at_most(seconds: float, names: Mapping[str, object]) -> Iterator[None]:
    """Python's regular expressions can take for ever; they look for signals while they search."""

    def too_slow(_number: int, _frame: FrameType | None) -> None:
        raise PatternFailed(
            f"The patterns of metrics.lines ({', '.join(names)}) took over {seconds:.0f} s for a few lines: "
            "write them without nested repetitions."
        )

    before = signal.signal(signal.SIGALRM, too_slow)
    timer = signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        signal.setitimer(signal.ITIMER_REAL, *timer)
