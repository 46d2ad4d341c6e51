"""Which faults a soak has, when, and for how long: drawn from a seed before it begins, so a run can be repeated."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, NamedTuple

RECOVERY_S: Final = 45.0
"""Within so many seconds after a fault everything goes on: a lease, a sweep and the patience of clients."""


class Kind(NamedTuple):
    """weight: how often it is drawn. least_s, most_s: how long it lasts. targets: how many there are to choose from."""

    weight: float
    least_s: float
    most_s: float
    targets: int = 1


SERVERS: Final = 2
WORKERS: Final = 4
CLIENTS: Final = 3
KINDS: Final[dict[str, Kind]] = {
    "server killed": Kind(3, 0.2, 6, SERVERS),
    "server died at a commit": Kind(3, 1, 4, SERVERS),
    "server stood still": Kind(2, 3, 8, SERVERS),
    "servers restarted in turn": Kind(1, 0, 0),
    "worker killed": Kind(3, 0.2, 4, WORKERS),
    "worker stood still": Kind(2, 6, 10, WORKERS),
    "worker restarted": Kind(1, 0, 0, WORKERS),
    "client killed": Kind(1, 0.2, 2, CLIENTS),
    "connections cut": Kind(2, 1, 8, SERVERS),
    "answers lost": Kind(3, 1, 5, SERVERS),
    "PostgreSQL killed": Kind(3, 0.5, 4),
    "clock put forward": Kind(1, 0, 0),
    "clock put back": Kind(1, 0, 0),
    "disk full": Kind(2, 2, 6),
    "slow clients": Kind(1, 4, 8, SERVERS),
    "readers that do not read": Kind(1, 4, 8, SERVERS),
    "large bodies": Kind(1, 2, 4, SERVERS),
    "checkpoint lost": Kind(1, 0, 0),
    "checkpoint damaged": Kind(1, 0, 0),
}
GENTLE: Final = ("client killed", "connections cut", "answers lost")
"""What costs no start of a server or a worker."""


@dataclass(frozen=True)
class Fault:
    """From `at_s` seconds after the begin on, for `lasts_s` seconds; 0 is for what is done in a moment. It waits for a
    target that is away."""

    at_s: float
    kind: str
    target: int
    lasts_s: float

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    def __str__(self) -> str:
        lasts = f" for {self.lasts_s:.1f} s" if self.lasts_s else ""
        return f"{self.at_s:6.1f} s  {self.kind} ({self.target}){lasts}"


def plan(seed: int, seconds: float, kinds: Sequence[str], every_s: float = 4.0) -> list[Fault]:
    """Faults at random moments, on average one in `every_s` seconds; each kind once before they are drawn by weight.

    The begin is left free, so that there is something to lose, and the end, so that it is seen that all goes on.
    """
    chance = random.Random(seed)
    at_s, last_s = min(8.0, seconds / 6), seconds * 0.9
    first = [*kinds]
    chance.shuffle(first)
    found: list[Fault] = []
    while at_s < last_s:
        name = first.pop() if first else chance.choices(kinds, [KINDS[kind].weight for kind in kinds])[0]
        kind = KINDS[name]
        lasts_s = min(chance.uniform(kind.least_s, kind.most_s), last_s - at_s + 1) if kind.most_s else 0.0
        found.append(Fault(round(at_s, 1), name, chance.randrange(kind.targets), round(lasts_s, 1)))
        at_s += chance.uniform(0.4, 1.6) * every_s
    return found


class PastFault(NamedTuple):
    """A fault as it came: both times in seconds since 1970. detail: of a checkpoint, the name of its file."""

    kind: str
    target: int
    began: float
    ended: float
    detail: str = ""
