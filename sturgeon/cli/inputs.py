"""Checks of files named on the command line, and the error for wrong input."""

from __future__ import annotations

from pathlib import Path

import typer


class WrongInput(typer.TyperException):
    """An option or an input file cannot be used; one sentence says why."""

    exit_code = 2


def file_or_dash(path: Path) -> Path:
    """A typer callback: an existing file, or - for standard input.

    Raises: WrongInput.
    """
    if str(path) != "-" and not path.is_file():
        raise WrongInput(f"There is no file {path}.")
    return path


def existing_file(path: Path) -> Path:
    """A typer callback: an existing file.

    Raises: WrongInput.
    """
    if not path.is_file():
        raise WrongInput(f"There is no file {path}.")
    return path
