"""Drift: when a portion of a stream is not like those before it, learn the new ones quickly; then as before.

The answer to an alarm: forget the portions before it (their labels may not hold any more, their statistics do not), go
through the new ones several times, change the learning rate, and shorten the averages of the optimiser, whose moments
are of the old data: 1 - beta is multiplied, on the scale on which a beta counts. When no alarm came for some portions,
what the answer changed goes back to what was usual; what was forgotten stays so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from server.policies.guard import Point
from server.policies.proposal import Panda, Proposal

MOST_PASSES = 1000
HIGHEST_RATE = 100.0


@dataclass(frozen=True)
class Answer:
    """How to answer an alarm. rate_factor: of the learning rate. averages_factor: of 1 - beta1, 1 - beta2 and 1 -
    momentum. passes: factor of the passes through a portion. forget: whether to train on newer portions only.
    calm_portions: so many without an alarm, and what was usual is in force again. back: go back to the newest
    checkpoint first."""

    rate_factor: float = 0.5
    averages_factor: float = 10.0
    passes: int = 40
    forget: bool = True
    calm_portions: int = 5
    back: bool = False


def propose(panda: Panda, usual: Mapping[str, Any], answer: Answer) -> Proposal | None:
    """The answer to an alarm that is new since the last proposal; or the way back to what is usual, once it is calm.

    usual: the live parameters as they would be without this policy.
    """
    portions = [point for point in panda.curve if "portion" in point.metrics]
    if not portions:
        return None
    alarms = [point for point in portions if point.metrics.get("drift")]
    if alarms and alarms[-1].step > panda.proposed_at:
        return _answered(panda, usual, answer, alarms[-1])
    quiet = number_of(portions[-1]) - number_of(alarms[-1]) if alarms else 0
    if not alarms or quiet < answer.calm_portions:
        return None
    raised = changed_by(usual, answer, number_of(alarms[-1]))
    forgot = raised.pop("forget_before", None)
    back = {
        name: usual[name]
        for name, value in raised.items()
        if panda.params.get(name) == value and usual.get(name) != value
    }
    if not back:
        return None
    kept = "" if forgot is None else f"; what came before portion {forgot} stays forgotten"
    return Proposal(f"No alarm for {quiet} portions: {_told(back)} as before{kept}.", back)


def _answered(panda: Panda, usual: Mapping[str, Any], answer: Answer, alarm: Point) -> Proposal | None:
    wanted = changed_by(usual, answer, number_of(alarm))
    changed = {name: value for name, value in wanted.items() if panda.params.get(name) != value}
    if not changed:
        return None
    tests = [test for test in ("inputs", "labels", "error") if alarm.metrics.get(f"drift_{test}")]
    what = f"{', '.join(tests)} changed" if tests else "the data changed"
    return Proposal(f"Drift at portion {number_of(alarm)} ({what}): {_told(changed)}.", changed, back=answer.back)


def changed_by(usual: Mapping[str, Any], answer: Answer, portion: int) -> dict[str, Any]:
    """What the answer makes of the usual parameters, at an alarm of this portion."""
    changed: dict[str, Any] = {
        "learning_rate": min(HIGHEST_RATE, usual["learning_rate"] * answer.rate_factor),
        "portion_epochs": min(MOST_PASSES, usual["portion_epochs"] * answer.passes),
    }
    changed |= {name: shortened(usual[name], answer.averages_factor) for name in ("beta1", "beta2", "momentum")}
    if answer.forget:
        changed |= {"forget_before": portion, "window": 0}
    return {name: value for name, value in changed.items() if name == "forget_before" or usual[name] != value}


def shortened(beta: float, factor: float) -> float:
    """1 - (1 - beta) factor: an average over 1 / (1 - beta) values becomes one over so many times fewer, at least 1."""
    return max(0.0, 1 - (1 - beta) * factor)


def number_of(point: Point) -> int:
    return int(point.metrics["portion"] or 0)


def _told(params: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value:.4g}" for name, value in params.items())
