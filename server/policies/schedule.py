"""Schedule: changes that were planned for epochs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from server.policies.proposal import Panda, Proposal, epoch_at, epoch_of


def propose(panda: Panda, plan: Sequence[tuple[float, dict[str, Any]]]) -> Proposal | None:
    """The changes that came due since the policy's newest proposal and are not in force; of those for one name the
    latest.

    plan: (epoch, params) in rising order.
    """
    if not panda.curve:
        return None
    now, before = epoch_of(panda.curve[-1]), epoch_at(panda.curve, panda.proposed_at)
    due: dict[str, Any] = {}
    for epoch, params in plan:
        if before < epoch <= now:
            due |= params
    changed = {name: value for name, value in due.items() if panda.params.get(name) != value}
    if not changed:
        return None
    told = ", ".join(f"{name} = {value}" for name, value in changed.items())
    return Proposal(f"Planned for epoch {now:g} or before: {told}.", changed)
