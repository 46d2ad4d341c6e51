"""What tests of the command line share: a command's outcome, and a study."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol

import jsonschema_rs

from sturgeon.cli.forms import FORMS, LINES, schema

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
    command: str = ""

    @property
    def json(self) -> Any:
        """The JSON that was printed; it has the form that `sturgeon schema` says of the command."""
        assert self.code == 0, self.err
        printed = json.loads(self.out)
        assert_form(self.command, printed)
        return printed


def assert_form(command: str, printed: object) -> None:
    """Check an output of a command against its JSON schema, which has to name all that is in it."""
    described = _schema(command)
    jsonschema_rs.validator_for(described).validate(printed)
    known = described.get("properties")
    if known is not None and isinstance(printed, dict):
        assert printed.keys() <= known.keys(), command


@cache
def _schema(command: str) -> dict[str, Any]:
    found: dict[str, Any] = schema(command)
    return found


def command_of(arguments: tuple[str, ...]) -> str:
    """The command in a command line, whatever options stand around it: its two words, or its one."""
    names = (" ".join(arguments[at : at + length]) for at in range(len(arguments)) for length in (2, 1))
    return next((name for name in names if name in FORMS or name in LINES), "")


class Command(Protocol):
    """Runs `sturgeon ARGUMENTS`."""

    def __call__(self, *arguments: str | Path, stdin: str = "") -> Ran: ...
