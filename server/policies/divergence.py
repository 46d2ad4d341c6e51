"""Divergence: a run that is not finite goes back to its checkpoint with a lower learning rate, a few times."""

from __future__ import annotations

from server.policies.proposal import Panda, Proposal


def propose(panda: Panda, where: str | None, factor: float, give_up_after: int) -> Proposal | None:
    """Back, with the learning rate times `factor`; None when that was done `give_up_after` times, in vain."""
    rate = panda.params.get("learning_rate")
    if panda.done >= give_up_after or not isinstance(rate, float | int):
        return None
    lowered = rate * factor
    place = f" in {where}" if where else ""
    times = f"{panda.done + 1} of {give_up_after}"
    return Proposal(
        f"The run diverged{place}: back to its checkpoint, learning_rate {rate:.4g} -> {lowered:.4g} ({times}).",
        {"learning_rate": lowered},
        back=True,
    )
