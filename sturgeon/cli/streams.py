"""The standard streams of a command: any text can be written to them, also where they are closed or not UTF-8."""

from __future__ import annotations

import codecs
import io
import os
import sys
from pathlib import Path
from typing import Final

PLAIN: Final = "sturgeon.plain"
"""The name of the error handler that writes what an encoding lacks in ASCII."""

_IN_ASCII: Final = dict(zip("±·…█▁▂▃▄▅▆▇", ("+/-", ".", "...", "#", *"_.-=+*#"), strict=True))
_BY_DESCRIPTOR: Final = (("stdin", "r"), ("stdout", "w"), ("stderr", "w"))


def make_usable() -> None:
    """Give closed streams (`>&-`) the null device, and let the encodings of the others take any text. A window of no
    columns is none."""
    if os.environ.get("COLUMNS", "").strip("0") == "":  # Rich would fail to draw into it
        os.environ.pop("COLUMNS", None)
    for name, mode in _BY_DESCRIPTOR:
        stream = getattr(sys, name)
        if stream is None:
            # It takes over the closed descriptor: otherwise the next file to be opened would, and would be printed to.
            stream = Path(os.devnull).open(mode, encoding="utf-8")  # noqa: SIM115 - it stays open
            setattr(sys, name, stream)
        if mode == "w" and isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=PLAIN)


def discard_output() -> None:
    """Let what is left in the buffer of standard output go nowhere: its reader or its disk takes nothing more."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, sys.stdout.fileno())
    os.close(null)


def takes_any_text() -> bool:
    """Whether standard output can show every character as it is."""
    return (sys.stdout.encoding or "utf-8").lower().startswith("utf")


def read_input(errors: str = "strict") -> str:
    """All of standard input, which is UTF-8 as files are, whatever the locale says.

    Raises: UnicodeDecodeError (unless `errors` says otherwise).
    """
    raw = getattr(sys.stdin, "buffer", None)
    return sys.stdin.read() if raw is None else raw.read().decode("utf-8-sig", errors)


def _plain(error: UnicodeError) -> tuple[str | bytes, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    missing = error.object[error.start : error.end]
    return "".join(_IN_ASCII.get(c, c.encode("ascii", "backslashreplace").decode()) for c in missing), error.end


codecs.register_error(PLAIN, _plain)
