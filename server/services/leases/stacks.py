"""Stacks: trials of one shape that are dispatched together, to train side by side in one slot of a worker."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

from server.services.studies.placement import Offer, needs_of
from server.store import leases
from server.store.engine import Transaction
from server.store.json_columns import Json
from server.store.studies import Eligible, StudyRow
from server.store.trials import TrialRow
from sturgeon.identifiers import StudyId
from sturgeon.messages import MOST_LEASES
from sturgeon.training import shape_of

LOOK_AHEAD: Final = 1000
"""The number of queued trials that are looked through for stack peers."""

TRIES: Final = 3
"""So often a hand-out chooses again when others have taken all the trials that it chose."""


@dataclass(frozen=True)
class DispatchRequest:
    """A worker's request for `count` trials, or for `count` stacks of up to `stack` trials each.

    lease_us: the length of the leases, in microseconds. offer: what the worker has free; None where nobody asks.
    """

    count: int
    worker: str
    lease_us: int
    stack: int = 1
    offer: Offer | None = None

    def of(self, study: StudyRow) -> DispatchRequest:
        """The part of the request that one study may fill: own code is not stacked, and what trials need has to fit.
        Its `count` is 0 where none fits."""
        stack = self.stack if study.trains else 1
        if self.offer is None or study.needs is None:
            return replace(self, stack=stack)
        room = self.offer.room_for(needs_of(study.needs))
        stack = max(1, min(stack, room))
        return replace(self, stack=stack, count=min(self.count, room // stack))

    @property
    def most(self) -> int:
        """How many trials may be dispatched at once."""
        return min(self.count * self.stack, MOST_LEASES)


class Dispatched(NamedTuple):
    """A trial that is dispatched, and the number of its stack in this answer; None where no stacks were requested."""

    row: TrialRow
    stack: int | None


def stacks_of(shapes: Sequence[object], wanted: DispatchRequest) -> list[int | None]:
    """The number of the stack that each of these trials goes out in; None for one that is not dispatched now.

    The first trial of a shape begins a stack, and its peers join it. A trial of shape None has no peers.
    """
    stacks: list[int | None] = []
    begun, dispatched = 0, 0
    filling: dict[object, tuple[int, int]] = {}
    for shape in shapes:
        number, size = filling.get(shape, (0, wanted.stack))
        full = size == wanted.stack
        if dispatched == wanted.most or (full and begun == wanted.count):
            stacks.append(None)
            continue
        if full:
            number, size, begun = begun, 0, begun + 1
        if shape is not None:
            filling[shape] = number, size + 1
        stacks.append(number)
        dispatched += 1
    return stacks


def new_stacks(params: Sequence[Json], wanted: DispatchRequest) -> list[int | None]:
    """As `stacks_of`, for new trials of one study."""
    alone = wanted.stack == 1
    return stacks_of([None if alone else shape_of(of_trial) for of_trial in params], wanted)


def take_queued(tx: Transaction, of: StudyId | Eligible, wanted: DispatchRequest) -> list[Dispatched]:
    """Lease queued trials of one study, or of all that a worker may get; the oldest first, and with them their stack
    peers."""
    if wanted.stack == 1:
        rows = leases.hand_out_queued(tx, of, wanted.count, wanted.worker, wanted.lease_us)
        return [Dispatched(row, None) for row in rows]
    for _ in range(TRIES):
        waiting = leases.waiting(tx, of, LOOK_AHEAD)
        shapes = [None if row.unstackable else (row.study_id, shape_of(row.params)) for row in waiting]
        stacks = {row.id: n for row, n in zip(waiting, stacks_of(shapes, wanted), strict=True) if n is not None}
        if not stacks:
            return []
        # They were not locked while we chose: trials that others have taken meanwhile are missing from their stacks.
        if taken := leases.hand_out_chosen(tx, list(stacks), wanted.worker, wanted.lease_us):
            return [Dispatched(row, stacks[row.id]) for row in taken]
    return []
