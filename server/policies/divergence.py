"""Divergence: a run that is not finite goes back to its checkpoint with a lower learning rate, a few times."""

from __future__ import annotations

from typing import Final

from server.policies.rule import PolicyRule
from server.policies.view import NEWEST, Decision, PolicyView
from sturgeon.messages import DivergencePolicy


def propose(policy: DivergencePolicy, view: PolicyView) -> Decision | None:
    """Back to the newest checkpoint, with the learning rate times `factor`; None once `give_up_after` were in vain."""
    rate = view.params.get("learning_rate")
    if view.accepted >= policy.give_up_after or not isinstance(rate, float | int):
        return None
    lowered = rate * policy.factor
    place = f" in {view.diverged_in}" if view.diverged_in else ""
    times = f"{view.accepted + 1} of {policy.give_up_after}"
    return Decision(
        f"The run diverged{place}: back to its checkpoint, learning_rate {rate:.4g} -> {lowered:.4g} ({times}).",
        {"learning_rate": lowered},
        back_to=NEWEST,
    )


RULE: Final = PolicyRule(propose, at="divergence")
