"""Which server is meant, and its token: what STURGEON_SERVER, STURGEON_TOKEN and STURGEON_TOKEN_FILE say."""

from __future__ import annotations

import os
import re
from pathlib import Path

from sturgeon.errors import SturgeonError


def named_server() -> str | None:
    """The address in STURGEON_SERVER; None if it is not set, or empty."""
    return os.environ.get("STURGEON_SERVER") or None


def shown(address: str) -> str:
    """The address as it may be printed and logged: without the name and the password that may stand before its host."""
    return re.sub(r"//.*@", "//***@", address, flags=re.DOTALL)


def token(file: Path | None = None) -> str | None:
    """The shared token; a file that is given wins over the environment.

    Raises: SturgeonError (the file cannot be read or is empty, or both environment variables are set).
    """
    given, named = os.environ.get("STURGEON_TOKEN"), os.environ.get("STURGEON_TOKEN_FILE")
    if file is None and given and named:
        raise SturgeonError("Set STURGEON_TOKEN or STURGEON_TOKEN_FILE, not both.")
    file = file or (Path(named) if named else None)
    return given or None if file is None else read_token(file)


def read_token(file: Path) -> str:
    """Raises: SturgeonError (the file cannot be read or is empty)."""
    try:
        text = file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        raise SturgeonError(f"The token file {file} cannot be read.") from None
    if not text:
        raise SturgeonError(f"The token file {file} is empty.")
    return text
