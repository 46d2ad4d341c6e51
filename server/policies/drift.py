"""Drift: when a portion of a stream is not like those before it, learn the new ones quickly; then as before.

The answer to an alarm: forget the portions before it (their labels may not hold any more, their statistics do not), go
through the new ones several times, change the learning rate, and shorten the averages of the optimiser, whose moments
are of the old data: 1 - beta is multiplied, on the scale on which a beta counts. Inputs are clipped: the deviation of
a feature that few examples show is small, and the next one that shows it would be thrown far out. Where the model is no
better than guessing, whatever the inputs are normalised by, L2 lets go of its weights: they only hinder.

Where only the shares of the classes have changed (label shift: inputs within the classes have not), the old examples
hold and are not forgotten, but replayed with the new shares. When no alarm came for some portions, what the answer
changed goes back to what was usual; what was forgotten, matched and clipped stays so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from server.policies.guard import Point
from server.policies.proposal import Panda, Proposal

MOST_PASSES = 1000
REPLAY = 0.8
"""At a label shift at least this share of the examples is replayed: there are few of the classes that had been rare."""
HIGHEST_RATE = 100.0
GUESSING = 0.8
"""A model with at least this part of the error of guessing is no better than that."""
STAYS = ("forget_before", "match_labels", "clip_inputs")
"""What an answer changes for good: the model has learned with it, and what it is about does not pass."""


class Kind(Enum):
    """SHARES: only those of the classes. ALL: the model knows nothing of the new data. SOME: anything else."""

    SHARES = "shares"
    SOME = "some"
    ALL = "all"


TOLD = {Kind.SHARES: ", within the classes nothing", Kind.SOME: "", Kind.ALL: ", the model is no better than guessing"}


@dataclass(frozen=True)
class Answer:
    """How to answer an alarm. rate_factor: of the learning rate. averages_factor: of 1 - beta1, 1 - beta2 and 1 -
    momentum. passes: factor of the passes through a portion. forget: whether to train on newer portions only.
    calm_portions: so many without an alarm, and what was usual is in force again. back: go back to the newest
    checkpoint first. match_labels: whether to forget nothing at a label shift. clip_inputs: deviations, 0 leaves it.
    l2: where the model knows nothing of the new data; 0 leaves it."""

    rate_factor: float = 0.5
    averages_factor: float = 10.0
    passes: int = 40
    forget: bool = True
    calm_portions: int = 5
    back: bool = False
    match_labels: bool = True
    clip_inputs: float = 3.0
    l2: float = 0.03


def propose(panda: Panda, usual: Mapping[str, Any], answer: Answer) -> Proposal | None:
    """The answer to an alarm that is new since the last proposal; or the way back to what is usual, once it is calm.

    usual: the live parameters as they would be without this policy.
    """
    portions = [point for point in panda.curve if "portion" in point.metrics]
    if not portions:
        return None
    alarms = [point for point in portions if point.metrics.get("drift")]
    if not alarms:
        return None
    quiet = number_of(portions[-1]) - number_of(alarms[-1])
    if quiet < answer.calm_portions:
        return _answered(panda, usual, answer, alarms[-1]) if alarms[-1].step > panda.proposed_at else None
    # Alarms one after the other may have been answered in different ways.
    raised = [item for kind in Kind for item in changed_by(usual, answer, number_of(alarms[-1]), kind).items()]
    back = {
        name: usual[name]
        for name, value in raised
        if name not in STAYS and panda.params.get(name) == value and usual.get(name) != value
    }
    if not back:
        return None
    forgot = panda.params.get("forget_before")
    kept = f"; what came before portion {forgot} stays forgotten" if forgot else ""
    return Proposal(f"No alarm for {quiet} portions: {_told(back)} as before{kept}.", back)


def _answered(panda: Panda, usual: Mapping[str, Any], answer: Answer, alarm: Point) -> Proposal | None:
    kind = kind_of(alarm)
    wanted = changed_by(usual, answer, number_of(alarm), kind)
    changed = {name: value for name, value in wanted.items() if panda.params.get(name) != value}
    if not changed:
        return None
    tests = [test for test in ("inputs", "labels", "error") if alarm.metrics.get(f"drift_{test}")]
    what = f"{', '.join(tests)} changed" if tests else "the data changed"
    what += TOLD[kind]
    return Proposal(f"Drift at portion {number_of(alarm)} ({what}): {_told(changed)}.", changed, back=answer.back)


def kind_of(alarm: Point) -> Kind:
    """What has changed, as far as the tests can tell."""
    told = alarm.metrics
    if told.get("drift_class_inputs") == 0:
        return Kind.SHARES
    adapted, guess = told.get("adapted_error"), told.get("guess_error")
    if adapted is not None and guess is not None and adapted >= GUESSING * guess:
        return Kind.ALL
    return Kind.SOME


def changed_by(usual: Mapping[str, Any], answer: Answer, portion: int, kind: Kind) -> dict[str, Any]:
    """What the answer makes of the usual parameters, at an alarm of this portion."""
    changed: dict[str, Any] = {
        "learning_rate": min(HIGHEST_RATE, usual["learning_rate"] * answer.rate_factor),
        "portion_epochs": min(MOST_PASSES, usual["portion_epochs"] * answer.passes),
    }
    changed |= {name: shortened(usual[name], answer.averages_factor) for name in ("beta1", "beta2", "momentum")}
    if answer.clip_inputs:
        changed["clip_inputs"] = min(answer.clip_inputs, usual["clip_inputs"] or answer.clip_inputs)
    if kind is Kind.ALL:
        changed["l2"] = max(answer.l2, usual["l2"])
    if answer.match_labels and kind is Kind.SHARES:
        changed |= {"match_labels": True, "window": 1, "replay_share": max(REPLAY, usual["replay_share"])}
    elif answer.forget:
        changed |= {"forget_before": portion, "window": 0}
    return {name: value for name, value in changed.items() if name == "forget_before" or usual[name] != value}


def shortened(beta: float, factor: float) -> float:
    """1 - (1 - beta) factor: an average over 1 / (1 - beta) values becomes one over so many times fewer, at least 1."""
    return max(0.0, 1 - (1 - beta) * factor)


def number_of(point: Point) -> int:
    return int(point.metrics["portion"] or 0)


def _told(params: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value:.4g}" for name, value in params.items())
