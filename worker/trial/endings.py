"""How a running trial comes to its end before its time, or without a result."""

from __future__ import annotations

from typing import Literal

from sturgeon.errors import SturgeonError

Outcome = Literal["told", "lost", "released"]


class Interrupted(Exception):
    """The run shall end before its time."""


class TrialFailed(Exception):
    """The trial cannot go on; one sentence says why."""


class CannotRun(SturgeonError):
    """This worker cannot run trials any more."""
