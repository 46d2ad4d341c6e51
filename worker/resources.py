"""What a worker has for its trials beside slots: GPUs, memory and labels, and what of these its trials hold."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from sturgeon import messages as m
from sturgeon.values import Json

CGROUP_LIMITS: Final = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
"""Where Linux tells a container's limit; a word instead of a number means that there is none."""

MOST_GPUS: Final = 64

Holder = tuple[str, int, int]
"""The study, the number and the fence of a lease."""


def memory_gb_here() -> float:
    """Gigabytes that the machine has, or the container if it may have fewer."""
    sizes = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    limits = [file.read_text().strip() for file in CGROUP_LIMITS if file.is_file()]
    return min(sizes + [int(limit) for limit in limits if limit.isdigit()]) / 1e9


def gpus_here(environment: Mapping[str, str], devices: Path = Path("/dev")) -> tuple[str, ...]:
    """The names of the GPUs that programs here see: those in CUDA_VISIBLE_DEVICES, else one for each /dev/nvidiaN."""
    visible = environment.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        found = (re.fullmatch(r"nvidia(\d+)", file.name) for file in devices.glob("nvidia*"))
        return tuple(sorted((match[1] for match in found if match), key=int))[:MOST_GPUS]
    names: list[str] = []
    for name in (part.strip() for part in visible.split(",")):
        if not name or name.startswith("-") or name == "NoDevFiles":  # CUDA, too, sees nothing from the first such on
            break
        names.append(name)
    return tuple(names)[:MOST_GPUS]


def chosen_gpus(count: int | None, found: Sequence[str]) -> tuple[str, ...]:
    """So many of the GPUs that were found; where more are wanted, those of the next numbers. None: all."""
    if count is None:
        return tuple(found)
    others = (str(number) for number in range(count) if str(number) not in found)
    return (*found, *others)[:count]


class Resources:
    """What the worker has, and which trial holds what of it. For one thread."""

    def __init__(
        self, kinds: Sequence[m.TaskKind], gpus: Sequence[str], memory_gb: float | None, labels: Sequence[str]
    ) -> None:
        self._kinds, self._gpus, self._memory_gb, self._labels = kinds, tuple(gpus), memory_gb, labels
        self._held: dict[Holder, tuple[tuple[str, ...], float]] = {}

    @property
    def any_held(self) -> bool:
        """Whether a trial holds a GPU or memory, which will be free again."""
        return bool(self._held)

    def offer(self, skip: Sequence[str] = ()) -> Json:
        """What is free now and what there is in all, as fields of a LeaseRequest."""
        fields: Json = {"kinds": list(self._kinds), "gpus": len(self._free_gpus()), "total_gpus": len(self._gpus)}
        if self._memory_gb is not None:
            held = math.fsum(memory for _, memory in self._held.values())
            fields |= {"memory_gb": max(0.0, self._memory_gb - held), "total_memory_gb": self._memory_gb}
        return fields | {"labels": list(self._labels), "skip": list(skip)}

    def take(self, lease: m.Lease) -> tuple[str, ...] | None:
        """Note what a trial holds until it is given back: its GPUs, or None for one that needs none."""
        needs = lease.needs
        if not needs.gpus and needs.memory_gb is None:
            return None
        own = self._free_gpus()[: needs.gpus]
        self._held[_holder(lease)] = own, needs.memory_gb or 0.0
        return own if needs.gpus else None

    def give_back(self, lease: m.Lease) -> None:
        """What the trial held, if it held anything, is free again."""
        self._held.pop(_holder(lease), None)

    def _free_gpus(self) -> tuple[str, ...]:
        taken = {gpu for gpus, _ in self._held.values() for gpu in gpus}
        return tuple(gpu for gpu in self._gpus if gpu not in taken)


def _holder(lease: m.Lease) -> Holder:
    return lease.study, lease.number, lease.fence
