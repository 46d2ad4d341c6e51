"""Plateau: when a metric stops getting better, lower the learning rate.

The rule is Keras's ReduceLROnPlateau and PyTorch's: no new best by more than `least_gain` for `patience_epochs`; the
epochs count anew after each change, and after each proposal.
"""

from __future__ import annotations

from server.policies.guard import Point
from server.policies.proposal import Panda, Proposal, epoch_at, epoch_of


def propose(
    panda: Panda, metric: str, sign: float, patience_epochs: float, least_gain: float, factor: float, lowest: float
) -> Proposal | None:
    """A learning rate times `factor` (not below `lowest`), or None while the metric gets better.

    sign: 1 where less of the metric is better, else -1. least_gain: in units of the metric.
    """
    rate = panda.params.get("learning_rate")
    if not isinstance(rate, float | int) or rate <= lowest:
        return None
    best: Point | None = None
    level = float("inf")
    for point in panda.curve:
        value = point.metrics.get(metric)
        if value is not None and sign * value < level - least_gain:
            best, level = point, sign * value
    if best is None:
        return None
    last = panda.curve[-1]
    begin = max(epoch_of(best), *(epoch_at(panda.curve, step) for step in (panda.changed_at, panda.proposed_at)))
    since = epoch_of(last) - begin
    if since < patience_epochs:
        return None
    lowered = max(lowest, rate * factor)
    better = f"{metric} has not fallen below" if sign > 0 else f"{metric} has not risen above"
    return Proposal(
        f"{better} {sign * level:.4g} for {since:g} epochs: learning_rate {rate:.4g} -> {lowered:.4g}.",
        {"learning_rate": lowered},
    )
