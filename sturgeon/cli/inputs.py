"""What options and arguments take that name a file, a folder or a server, and the error for wrong input.

An empty value is refused: it comes from a variable that is not set, and as a path it would be the folder `.`.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import typer


class WrongInput(typer.TyperException):
    """An option or an input file cannot be used; one sentence says why."""

    exit_code = 2


def somebody_is_there() -> bool:
    """Whether a person can be asked."""
    return sys.stdin.isatty()


def not_empty(text: str) -> str:
    """Any text but the empty one. Raises: typer.BadParameter."""
    if not text.strip():
        raise typer.BadParameter("it is empty; is a variable not set?")
    return text


def label_word(text: str) -> str:
    """A label of a worker: one word. Raises: typer.BadParameter."""
    from sturgeon.messages import WORKER_NAME

    if not re.fullmatch(WORKER_NAME, text):
        raise typer.BadParameter("write one word of letters, digits and . _ : @ + -, for example a100.")
    return text


def moment(text: str) -> datetime:
    """A time of ISO 8601; one without a zone is local, as tables have it. Raises: typer.BadParameter."""
    try:
        return datetime.fromisoformat(text.strip()).astimezone(UTC)
    except (ValueError, OverflowError):
        raise typer.BadParameter("write a time such as 2026-11-28, 2026-11-28T14:30 or 2026-11-28T14:30:00Z.") from None


def any_path(text: str) -> Path:
    """A path, whatever is there. Raises: typer.BadParameter (it is empty)."""
    return Path(not_empty(text))


def output_file(text: str) -> Path:
    """A file that is written. Raises: typer.BadParameter (it is empty), WrongInput (it is a folder)."""
    path = any_path(text)
    if path.is_dir():
        raise WrongInput(f"{path} is a folder; write the name of a file.")
    return path


def existing_folder(text: str) -> Path:
    """A folder that is read. Raises: typer.BadParameter (it is empty), WrongInput (there is no such folder)."""
    path = any_path(text)
    if not path.is_dir():
        raise WrongInput(f"{path} is a file, not a folder." if path.exists() else f"There is no folder {path}.")
    return path


def data_folders(given: Sequence[Path] | None) -> tuple[Path, ...]:
    """The folders of --data, or else those of STURGEON_DATA, which need not be there yet."""
    named = os.environ.get("STURGEON_DATA", "").split(os.pathsep)
    return tuple(given or [Path(name) for name in named if name])


def existing_file(text: str) -> Path:
    """A file that is read. Raises: typer.BadParameter (it is empty), WrongInput (there is no such file)."""
    path = any_path(text)
    if path.is_dir():
        raise WrongInput(f"{path} is a folder; write the name of a file in it.")
    if not path.exists():
        raise WrongInput(f"There is no file {path}.")
    return path


def file_or_dash(text: str) -> Path:
    """An existing file, or - for standard input. Raises: typer.BadParameter (it is empty), WrongInput."""
    return Path(text) if text == "-" else existing_file(text)
