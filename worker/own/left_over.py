"""What is left of programs whose guard was killed together with the worker: ended when the next worker starts here."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Final

from worker.own import guard

PREFIX: Final = "sturgeon-trial-"
"""How the folder of a run is called, in the folder for temporary files."""


def end_left_over() -> int:
    """End all processes of runs that nobody guards any more, and delete their folders; how many processes there were.

    A run's processes have its folder in their environment; its guard has it among its arguments.
    """
    found, guarded = _runs()
    if found.keys() <= guarded:
        return 0
    # A run that begins just now may show its program before its guard; not twice.
    found, guarded_now = _runs()
    ended = 0
    for folder in found.keys() - guarded - guarded_now:
        guard.kill_all(found[folder])
        ended += len(found[folder])
        shutil.rmtree(folder, ignore_errors=True)
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
