"""What tests of the command line share: a command's outcome, and a study."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol

BOWL: Final[dict[str, Any]] = {
    "name": "bowl",
    "title": "a bowl, by [bold]own[/bold] code",
    "metric": "loss",
    "space": {"x": {"type": "float", "low": -1, "high": 1}, "y": {"type": "int", "low": 0, "high": 9}},
    "budget": {"max_trials": 4},
}


class Ran(NamedTuple):
    """What a command left: its exit code and what it wrote."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        assert self.code == 0, self.err
        return json.loads(self.out)


class Command(Protocol):
    """Runs `sturgeon ARGUMENTS`."""

    def __call__(self, *arguments: str | Path, stdin: str = "") -> Ran: ...
