"""Reading a study or a space from a JSON or YAML file."""

from __future__ import annotations

from pathlib import Path

from sturgeon.cli.inputs import WrongInput
from sturgeon.cli.streams import read_input
from sturgeon.study_texts import Unreadable, read_text
from sturgeon.values import Json


def read_mapping(file: Path) -> Json:
    """The mapping in a file; `-` is standard input. The suffix, or else the first character, tells JSON from YAML.

    Raises: WrongInput (the file cannot be read; the sentence names line and column).
    """
    source = "standard input" if str(file) == "-" else str(file)
    try:
        text = read_input() if str(file) == "-" else file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise WrongInput(f"{source} is not text in UTF-8.") from None
    is_yaml = {".yaml": True, ".yml": True, ".json": False}.get(file.suffix)
    try:
        return read_text(text, is_yaml=is_yaml)
    except Unreadable as error:
        raise WrongInput(f"{source} {error.what}.") from None
