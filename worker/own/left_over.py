"""What is left of programs whose guard was killed together with the worker: ended when the next worker starts here."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from sturgeon import temporary
from sturgeon.temporary import TemporaryFolder
from worker.own import guard

PREFIX: Final = "sturgeon-trial-"
"""How the folder of a run is called, in the folder for temporary files."""


@contextmanager
def run_folder() -> Iterator[Path]:
    """A folder for the files of a run, deleted in the end."""
    with TemporaryFolder(PREFIX) as folder:
        yield folder.path


def end_left_over() -> int:
    """End all processes of runs that nobody guards any more, and delete the folders of runs whose worker was killed.
    Returns how many processes there were.

    A run's processes have its folder in their environment; its guard has it among its arguments.
    """
    found, guarded = _runs()
    ended = _end(found, guarded)
    temporary.sweep(PREFIX, spared=guarded)
    return ended


def _end(found: dict[str, dict[int, int]], guarded: set[str]) -> int:
    if found.keys() <= guarded:
        return 0
    # A run that begins just now may show its program before its guard; not twice.
    found, guarded_now = _runs()
    ended = 0
    for folder in found.keys() - guarded - guarded_now:
        guard.kill_all(found[folder])
        ended += len(found[folder])
        temporary.remove(Path(folder))
    return ended


def _runs() -> tuple[dict[str, dict[int, int]], set[str]]:
    """The processes (start times by id) of each run's folder that have it in their environment, and the folders that
    are guarded."""
    mark = f"STURGEON_TRIAL={Path(tempfile.gettempdir()) / PREFIX}".encode()
    found: dict[str, dict[int, int]] = {}
    guarded: set[str] = set()
    for pid, (_, started) in guard.processes().items():
        with suppress(OSError):  # it has ended, or is another user's
            line = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            # A guard of any installation: several may have workers on this machine.
            if line[1:3] == [b"-I", b"-S"] and line[3].endswith(b"/worker/own/guard.py"):
                guarded.add(line[5].decode(errors="replace"))
            entries = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
            for entry in entries:
                if entry.startswith(mark):
                    folder = entry.partition(b"=")[2].decode(errors="replace")
                    found.setdefault(folder, {})[pid] = started
    return found, guarded
