"""What a soak costs the machine: memory, descriptors, and the growth of files."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from statistics import mean
from typing import Any, Final

import psutil

from tests.soak.history import Json
from tests.soak.system import Member, System

MB: Final = 1_000_000


def sample(system: System) -> Json:
    """All sizes in MB. RSS of a worker is with that of its children, which share some of it. Where a process is away,
    it is left out."""
    wal = "disk/sturgeon.db-wal"
    postgres = system.postgres
    database = _size(system.folder / "disk/sturgeon.db" if postgres is None else postgres.data / "base")
    return {
        "servers_rss": [_rss(one) for one in system.servers],
        "workers_rss": [_rss(one) for one in system.workers],
        "servers_descriptors": [_descriptors(one) for one in system.servers],
        "workers_descriptors": [_descriptors(one) for one in system.workers],
        "wal": _size(system.folder / wal if postgres is None else postgres.data / "pg_wal"),
        "database": database,
        "blobs": _size(system.checkpoints),
        "logs": sum(_size(one.process.log) for one in (*system.servers, *system.workers)),
    }


def growth(samples: list[Json]) -> Json:
    """Of each figure the value at the begin, amid and at the end: the mean over all processes, each the median of a few
    samples, since some come while a process starts."""
    few = max(1, len(samples) // 10)
    middle = len(samples) // 2
    parts = (samples[:few], samples[middle - few // 2 : middle - few // 2 + few], samples[-few:])
    return {name: [_middle([_one(sample[name]) for sample in part]) for part in parts] for name in samples[0]}


def _one(value: Any) -> float | None:
    if not isinstance(value, list):
        return float(value)
    known = [one for one in value if one]
    return mean(known) if known else None


def _middle(values: list[float | None]) -> float | None:
    known = sorted(value for value in values if value is not None)
    return round(known[len(known) // 2], 1) if known else None


def _rss(member: Member) -> float:
    total = 0
    with suppress(psutil.Error):
        process = psutil.Process(member.process.pid) if member.process.alive else None
        for one in [process, *process.children(recursive=True)] if process else []:
            with suppress(psutil.Error):
                total += one.memory_info().rss
    return round(total / MB, 1)


def _descriptors(member: Member) -> int:
    with suppress(psutil.Error):
        if member.process.alive:
            return int(psutil.Process(member.process.pid).num_fds())
    return 0


def _size(path: Path) -> float:
    files = [path] if path.is_file() else [*path.rglob("*")]
    total = 0
    for file in files:
        with suppress(OSError):
            total += file.stat().st_size if file.is_file() else 0
    return round(total / MB, 2)
