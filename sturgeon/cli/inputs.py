"""What people give on the command line, and the error that says what is wrong with it."""

from __future__ import annotations

from pathlib import Path

import typer


class WrongInput(typer.TyperException):
    """An option, or a file that a command was given, cannot be used; one sentence."""

    exit_code = 2


def file_or_dash(path: Path) -> Path:
    """A typer callback: an existing file, or - for standard input."""
    if str(path) != "-" and not path.is_file():
        raise WrongInput(f"There is no file {path}.")
    return path


def existing_file(path: Path) -> Path:
    """A typer callback: a file that is there."""
    if not path.is_file():
        raise WrongInput(f"There is no file {path}.")
    return path
