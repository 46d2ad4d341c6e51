"""How a program came to its end, and what is told of it."""

from __future__ import annotations

import signal
from typing import NamedTuple

from worker.child.protocol import Finished
from worker.own.curve import Curve
from worker.own.limits import Ending
from worker.own.said import Failed, Result

LONGEST_ERROR = 9000


class Output(NamedTuple):
    """What a program has written: its last lines, and what of its reports could not be understood."""

    last_lines: str
    complaint: str = ""


def finished(
    exit_code: int, ending: Ending | None, result: Result | Failed | None, curve: Curve, metric: str, output: Output
) -> Finished:
    """What to tell of a program that has ended for good. Where it was to stop, the state is complete: whoever stopped
    it knows of what."""
    lines = output.last_lines
    step, metrics = curve.told
    if ending is not None and ending.reason:
        return _failed(ending.reason, lines, retry=ending.why == "memory")  # elsewhere there may be more of it
    if curve.diverged:
        return Finished("diverged", curve.step, metrics, where=f"{metric} is not finite")
    was_stopped = ending is not None and (ending.is_asked or exit_code == 0)
    if exit_code != 0 and not was_stopped:
        reason = result.reason if isinstance(result, Failed) and result.reason else died_of(exit_code)
        return _failed(reason, lines)
    if metric not in metrics:
        unmeasured = f"The program was stopped before it reported {metric}."
        return _failed(unmeasured if was_stopped else unreported(metric, output.complaint), lines, retry=False)
    return Finished("complete", step, metrics)


def pruned(curve: Curve) -> Finished:
    """What to tell of a program that was stopped since it is worse than others."""
    step, metrics = curve.told
    return Finished("pruned", step, metrics)


def unreported(metric: str, complaint: str = "") -> str:
    """How to report. complaint: what was wrong with a report."""
    misread = f" A report could not be understood: {complaint}." if complaint else ""
    return (
        f"The program ended without an error, but never reported {metric}.{misread} Report it by a line "
        f'`STURGEON {{"{metric}": 0.2}}` on standard output, by `sturgeon.trial().report({metric}=0.2)` in Python, by '
        f"`sturgeon report {metric}=0.2` in a shell, or name a pattern for the lines that it prints: "
        f"`metrics.lines.{metric}` of the task, or --read of `sturgeon tune`."
    )


def died_of(exit_code: int) -> str:
    """Why a program ended with this code; a negative one is a signal."""
    if exit_code >= 0:
        return f"The program ended with exit code {exit_code}."
    try:
        name = signal.Signals(-exit_code).name
    except ValueError:
        name = f"signal {-exit_code}"
    hint = ", perhaps for want of memory" if name == "SIGKILL" else ""
    return f"The program was killed by {name}{hint}."


def _failed(reason: str, lines: str, *, retry: bool = True) -> Finished:
    error = f"{reason} Its last lines:\n{lines}" if lines else reason
    return Finished("failed", error=error[:LONGEST_ERROR], retry=retry)
