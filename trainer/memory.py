"""How much memory this process may have, and the refusal of what needs more."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import Final

CGROUP_LIMITS: Final = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
"""Where Linux tells a container's limit; a word instead of a number means that there is none."""


@cache
def memory_bytes() -> int:
    """Bytes of memory that the machine has, or the container if it may have fewer."""
    sizes = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    limits = [file.read_text().strip() for file in CGROUP_LIMITS if file.is_file()]
    return min(sizes + [int(limit) for limit in limits if limit.isdigit()])


def memory_problem(what: str, needed: int) -> str | None:
    """A sentence if something needs more bytes than there are; None if it does not."""
    if needed <= memory_bytes():
        return None
    return f"{what} needs {_gigabytes(needed)} of memory; this machine has {_gigabytes(memory_bytes())}."


def _gigabytes(size: int) -> str:
    return f"{size / 1e9:,.1f} GB"
