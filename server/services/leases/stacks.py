"""Stacks: trials of one shape that are handed out together, to train side by side in one slot of a worker."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from server.store import leases
from server.store.engine import Transaction
from server.store.trials import TrialRow
from sturgeon.messages import MOST_LEASES
from sturgeon.training import shape_of

LOOK_AHEAD: Final = 1000
"""So many queued trials are looked at for stack peers."""

TRIES: Final = 3


@dataclass(frozen=True)
class DispatchRequest:
    """Who wants how many trials, or how many stacks of up to `stack` trials, for how long. `lease_us` is in
    microseconds."""

    count: int
    worker: str
    lease_us: int
    stack: int = 1

    @property
    def most(self) -> int:
        """How many trials may go out at once."""
        return min(self.count * self.stack, MOST_LEASES)


class Dispatched(NamedTuple):
    """A trial that is handed out, and its stack in this answer; None where nobody asked for stacks."""

    row: TrialRow
    stack: int | None


def stacks_of(shapes: Sequence[object], wanted: DispatchRequest) -> list[int | None]:
    """For trials in their order: the number of the stack that each goes out in, None where it stays for later.

    The first of a shape begins a stack, its peers join it. A shape of None has no peers.
    """
    found: list[int | None] = []
    begun, given = 0, 0
    filling: dict[object, tuple[int, int]] = {}
    for shape in shapes:
        number, size = filling.get(shape, (0, wanted.stack))
        full = size == wanted.stack
        if given == wanted.most or (full and begun == wanted.count):
            found.append(None)
            continue
        if full:
            number, size, begun = begun, 0, begun + 1
        if shape is not None:
            filling[shape] = number, size + 1
        found.append(number)
        given += 1
    return found


def new_stacks(params: Sequence[dict[str, Any]], wanted: DispatchRequest) -> list[int | None]:
    """As `stacks_of`, for new trials of one study."""
    return stacks_of([shape_of(one) for one in params], wanted)


def take_queued(tx: Transaction, study_id: int | None, wanted: DispatchRequest, now: int) -> list[Dispatched]:
    """Lease queued trials of one study, or of all with a task; the oldest first, and with them their stack peers."""
    if wanted.stack == 1:
        rows = leases.hand_out_queued(tx, study_id, wanted.count, wanted.worker, wanted.lease_us, now)
        return [Dispatched(row, None) for row in rows]
    for _ in range(TRIES):
        waiting = leases.waiting(tx, study_id, LOOK_AHEAD)
        shapes = [None if row.unstackable else (row.study_id, shape_of(row.params)) for row in waiting]
        stacks = {row.id: n for row, n in zip(waiting, stacks_of(shapes, wanted), strict=True) if n is not None}
        if not stacks:
            return []
        # They were not locked while we chose: what another took meanwhile is missing from a stack.
        if taken := leases.hand_out_chosen(tx, list(stacks), wanted.worker, wanted.lease_us, now):
            return [Dispatched(row, stacks[row.id]) for row in taken]
    return []
