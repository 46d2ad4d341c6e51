"""Drift: when a portion of a stream differs from those before it, learn the new ones quickly; then go on as before.

The answer to an alarm is to forget the portions before it (their statistics do not hold any more, nor perhaps their
labels), to train several times on the new ones, to change the learning rate, and to shorten the averages of the
optimiser, whose moments come from the old data: 1 - beta is multiplied, the scale on which a beta counts. Inputs are
clipped: a feature that few examples have has a small deviation, and the next example that has it would lie far out.
Where the model is no better than guessing, however its inputs are normalised, L2 shrinks its weights, which only
hinder.

Where only the shares of the classes have changed (label shift), the old examples still hold: they are not forgotten,
but replayed with the new shares. After some portions without an alarm the parameters go back to their usual values,
except those that say what is forgotten, matched and clipped.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any, Final

from server.policies.curve import CurveReader, Point, in_order
from server.policies.marks import MarkRule, last_alarm
from server.policies.rule import PolicyRule, live_problem
from server.policies.view import NEWEST, Decision, PolicyView
from sturgeon.errors import FieldProblem, json_pointer
from sturgeon.messages import DriftPolicy, TrainStudyTask
from sturgeon.training import STREAM

MOST_PASSES = 1000
REPLAY = 0.8
"""At a label shift at least this share of the examples is replayed: new ones of formerly rare classes are few."""
HIGHEST_RATE = 100.0
GUESSING = 0.8
"""A model whose error is at least this part of that of guessing is no better than guessing."""
STAYS = ("forget_before", "match_labels", "clip_inputs")
"""What an answer changes for good: the model has learned with it since."""


class Kind(Enum):
    """What changed. SHARES: only those of the classes. ALL: so much that the model knows nothing. SOME: all between."""

    SHARES = "shares"
    SOME = "some"
    ALL = "all"


EXPLAINED = {
    Kind.SHARES: ", within the classes nothing",
    Kind.SOME: "",
    Kind.ALL: ", the model is no better than guessing",
}


def propose(policy: DriftPolicy, view: PolicyView) -> Decision | None:
    """The answer to an alarm that is new since the last proposal; or the way back to what is usual, once it is calm."""
    portions = [point for point in view.curve if "portion" in point.metrics]
    alarms = [point for point in portions if point.metrics.get("drift")]
    if not alarms:
        return None
    quiet = number_of(portions[-1]) - number_of(alarms[-1])
    if quiet < policy.calm_portions:
        return _answered(policy, view, alarms[-1]) if alarms[-1].step > view.proposed_at else None
    return _calmed(policy, view, number_of(alarms[-1]), quiet)


def _answered(policy: DriftPolicy, view: PolicyView, alarm: Point) -> Decision | None:
    kind = kind_of(alarm)
    wanted = changed_by(policy, view.usual, number_of(alarm), kind)
    changed = {name: value for name, value in wanted.items() if view.params.get(name) != value}
    if not changed:
        return None
    tests = [test for test in ("inputs", "labels", "error") if alarm.metrics.get(f"drift_{test}")]
    what = f"{', '.join(tests)} changed" if tests else "the data changed"
    what += EXPLAINED[kind]
    reason = f"Drift at portion {number_of(alarm)} ({what}): {_listed(changed)}."
    return Decision(reason, changed, back_to=NEWEST if policy.roll_back else None)


def _calmed(policy: DriftPolicy, view: PolicyView, alarm: int, quiet: int) -> Decision | None:
    """The parameters that answers changed go back to their usual values. Alarms in a row may have had different
    answers, so what any of them would have set counts."""
    raised = [item for kind in Kind for item in changed_by(policy, view.usual, alarm, kind).items()]
    back = {
        name: view.usual[name]
        for name, value in raised
        if name not in STAYS and view.params.get(name) == value and view.usual.get(name) != value
    }
    if not back:
        return None
    forgotten = view.params.get("forget_before")
    stays = f"; what came before portion {forgotten} stays forgotten" if forgotten else ""
    return Decision(f"No alarm for {quiet} portions: {_listed(back)} as before{stays}.", back)


def kind_of(alarm: Point) -> Kind:
    """What has changed, as far as the tests can tell."""
    metrics = alarm.metrics
    if metrics.get("drift_class_inputs") == 0:
        return Kind.SHARES
    adapted, guessing = metrics.get("adapted_error"), metrics.get("guess_error")
    if adapted is not None and guessing is not None and adapted >= GUESSING * guessing:
        return Kind.ALL
    return Kind.SOME


def changed_by(policy: DriftPolicy, usual: Mapping[str, Any], portion: int, kind: Kind) -> dict[str, float]:
    """The parameters that an answer sets instead of the usual ones, at an alarm of this portion."""
    changed: dict[str, float] = {
        "learning_rate": min(HIGHEST_RATE, usual["learning_rate"] * policy.rate_factor),
        "portion_epochs": min(MOST_PASSES, usual["portion_epochs"] * policy.passes),
    }
    changed |= {name: shortened(usual[name], policy.averages_factor) for name in ("beta1", "beta2", "momentum")}
    if policy.clip_inputs:
        changed["clip_inputs"] = min(policy.clip_inputs, usual["clip_inputs"] or policy.clip_inputs)
    if kind is Kind.ALL:
        changed["l2"] = max(policy.l2, usual["l2"])
    if policy.match_labels and kind is Kind.SHARES:
        changed |= {"match_labels": True, "window": 1, "replay_share": max(REPLAY, usual["replay_share"])}
    elif policy.forget:
        changed |= {"forget_before": portion, "window": 0}
    return {name: value for name, value in changed.items() if name == "forget_before" or usual[name] != value}


def shortened(beta: float, factor: float) -> float:
    """1 - (1 - beta) factor: an average over n = 1 / (1 - beta) values becomes one over n / factor, at least 1."""
    return max(0.0, 1 - (1 - beta) * factor)


def number_of(point: Point) -> int:
    """The number of the portion of a report."""
    return int(point.metrics["portion"] or 0)


def _listed(params: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:.4g}" for name, value in params.items())


NO_STREAM: Final = 'policy: only a train task on a stream ("dataset": "stream:FOLDER") has portions that may drift'


def problems(policy: DriftPolicy, task: TrainStudyTask | None, metric: str) -> list[FieldProblem]:  # noqa: ARG001
    """A study without a stream, and challengers that a train task cannot follow while its model trains."""
    follows = task is not None and task.dataset.startswith(STREAM)
    return ([] if follows else [FieldProblem("/policy", NO_STREAM)]) + [
        FieldProblem(json_pointer("challengers", at, name), detail)
        for at, params in enumerate(policy.challengers)
        for name, value in params.items()
        if (detail := live_problem(name, value))
    ]


def mark(policy: DriftPolicy, view: PolicyView) -> MarkRule:  # noqa: ARG001
    """The last alarm."""
    return last_alarm()


def window(policy: DriftPolicy, view: PolicyView, curve: CurveReader, alarm: Point | None) -> list[Point]:  # noqa: ARG001
    """The last portion with an alarm, and the last portion."""
    newest = curve.newest
    if alarm is None or newest is None:
        return []
    portions = (point for point in curve.up_to(newest.step) if "portion" in point.metrics)
    return in_order([alarm, next(portions, None)])


RULE: Final = PolicyRule(propose, window=window, mark=mark, needs_usual=True, problems=problems)
