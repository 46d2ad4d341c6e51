"""Whether a run of the tests leaves processes behind: servers, workers, fork servers, databases."""

from __future__ import annotations

import os
import signal
import time
import uuid
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

MARK: Final = "RUN_OF_THE_TESTS"
"""Stands in the environment of all processes that a run starts, with a word that no other run has."""
PATIENCE: Final = "LEFTOVERS_END_WITHIN_S"


class Leftover(NamedTuple):
    pid: int
    command: str


def mark_this_run() -> None:
    """From now on this process's children are known. A process that pytest-xdist starts has its parent's word."""
    os.environ.setdefault(MARK, uuid.uuid4().hex)


def left_behind(word: str) -> list[Leftover]:
    """Processes of the run with this word that live, but the one that asks. They get some time to end."""
    deadline = time.monotonic() + float(os.environ.get(PATIENCE, "60"))
    while (found := _of_run(word)) and time.monotonic() < deadline:
        time.sleep(0.1)
    return found


def end(leftovers: list[Leftover]) -> None:
    for one in leftovers:
        with suppress(ProcessLookupError):
            os.kill(one.pid, signal.SIGKILL)


def _of_run(word: str) -> list[Leftover]:
    sought, found = f"{MARK}={word}".encode(), []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has ended, or is another user's
            ours = sought in (folder / "environ").read_bytes().split(b"\0")
            if ours and int(folder.name) != os.getpid() and not _is_zombie(folder):
                command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                found.append(Leftover(int(folder.name), command))
    return found


def _is_zombie(process: Path) -> bool:
    return (process / "stat").read_text().rpartition(")")[2].split()[0] == "Z"
