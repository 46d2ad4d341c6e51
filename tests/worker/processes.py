"""The processes of a worker, as the system sees them."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from tests.processes import WorkerProcess


def trial_processes(worker: WorkerProcess) -> list[int]:
    """The children of the fork server, which is a child of the worker."""
    return [pid for parent in children_of(worker.pid) for pid in children_of(parent)]


def children_of(process: int) -> list[int]:
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it ended meanwhile
            state, parent = stat.read_text().rpartition(")")[2].split()[:2]
            if int(parent) == process and state != "Z":
                found.append(int(stat.parent.name))
    return found
