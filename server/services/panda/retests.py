"""Retests: while a panda follows a stream, small caviar studies ask now and then whether its optimum has moved.

A retest trains anew on the portions so far, with the incumbent's parameters (trial 0) and with some around them. Events
of the panda say that it began, and what came of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from server.policies import retest
from server.policies.curve import Point
from server.policies.drift import number_of
from server.services.studies import lifecycle, live_params
from server.services.transactions import Scope
from server.services.trial_rows import new_trial
from server.store import events, trials
from server.store import studies as study_rows
from server.store.events import EventRow
from server.store.studies import StudyRow
from server.store.trials import TrialRow
from sturgeon import messages
from sturgeon.identifiers import TrialNumber
from sturgeon.messages import DriftPolicy
from sturgeon.search.samplers import uniform_point
from sturgeon.training import flagged

BEGUN, DECIDED, SKIPPED = "retest", "retest_decided", "retest_skipped"
METRIC: Final = "recent_error"
AROUND: Final = 4.0
"""Rates from a quarter of the incumbent's to four times it."""


def consider(scope: Scope, row: TrialRow, policy: DriftPolicy, curve: Sequence[Point]) -> None:
    """Conclude a retest that is complete; begin one that is due. The rows of the study and the trial are locked."""
    wanted = policy.retest_after is not None or policy.retest_after_s is not None
    if not wanted or not curve or "portion" not in curve[-1].metrics:
        return
    own = [e for e in events.of_kinds(scope.tx, scope.study.id, (BEGUN, DECIDED, SKIPPED)) if e.number == row.number]
    concluded = {event.detail["retest"] for event in own if event.kind == DECIDED}
    open_retests = [event for event in own if event.kind == BEGUN and event.detail["retest"] not in concluded]
    for event in open_retests:
        _conclude(scope, row, event)
    portion = number_of(curve[-1])
    earlier = [event for event in own if event.kind != DECIDED]
    last = max((event.detail["portion"] for event in earlier), default=0)
    since = max((event.at for event in earlier), default=row.started_at or row.created_at)
    seconds = (scope.now - since) / 1_000_000
    if not open_retests and retest.is_due(portion - last, seconds, policy.retest_after, policy.retest_after_s):
        _begin(scope, row, policy, portion)


def _begin(scope: Scope, row: TrialRow, policy: DriftPolicy, portion: int) -> None:
    tx, study, now = scope.tx, scope.study, scope.now
    assert study.task is not None
    name = f"{study.name[:80]}-{row.number}-retest-{portion}"
    request = _request(study, row, policy, portion, name)
    made = lifecycle.insert_study(tx, request, study.seed, now)
    if made is None:
        events.insert(tx, study.id, SKIPPED, now, row.number, portion=portion, reason=f"A study {name} exists already.")
        return
    incumbent = {parameter: live_params.params_in_force(study, row)[parameter] for parameter in request.space}
    point = request.space.encode(incumbent)
    trials.insert(tx, [new_trial(made, TrialNumber(0), incumbent, tuple(point), now)])
    rest = range(1, policy.retest_trials)
    points = {number: uniform_point(made.seed, number, len(request.space.searched)) for number in rest}
    trials.insert(tx, [new_trial(made, TrialNumber(n), request.space.decode(u), u, now) for n, u in points.items()])
    study_rows.update(tx, made.id, next_number=policy.retest_trials)
    events.insert(tx, study.id, BEGUN, now, row.number, retest=name, portion=portion, incumbent=incumbent)


def _request(study: StudyRow, row: TrialRow, policy: DriftPolicy, portion: int, name: str) -> messages.StudyRequest:
    """The same task on the portions so far, with what the incumbent trains with but for what is searched."""
    assert study.task is not None
    now = live_params.params_in_force(study, row)
    rate, replay = now["learning_rate"], now["replay_share"]
    space: dict[str, Any] = {
        "learning_rate": {"type": "float", "low": rate / AROUND, "high": min(100.0, rate * AROUND), "scale": "log"},
        "replay_share": {"type": "float", "low": max(0.0, replay - 0.3), "high": min(0.95, replay + 0.3)},
    }
    of_run = {*flagged("live"), *row.params, *study.task["fixed"]} - {"epochs", "dataset", *space}
    fixed = {name: now[name] for name in sorted(of_run)}
    task = {
        "kind": "train",
        "dataset": study.task["dataset"],
        "epochs": portion + 1,
        "fixed": fixed,
        "checkpoints": None,
    }
    return messages.StudyRequest.model_validate(
        {
            "name": name,
            "title": f"Has the optimum of trial {row.number} of {study.name} moved at portion {portion}?",
            "metric": METRIC,
            "space": space,
            "search": {"sampler": "random"},
            "pruning": {"rule": "none"},
            "budget": {"max_trials": policy.retest_trials},
            "task": task,
        }
    )


def _conclude(scope: Scope, row: TrialRow, begun: EventRow) -> None:
    """Whether the optimum has moved, as an event."""
    tx, study = scope.tx, scope.study
    found = study_rows.find(tx, begun.detail["retest"])
    if found is not None and found.state == "active":
        return
    numbers = range(0 if found is None else found.next_number)
    rows = [one for number in numbers if found and (one := trials.find(tx, found.id, TrialNumber(number)))]
    values: dict[int, float] = {
        one.number: one.value for one in rows if one.state == "complete" and one.value is not None
    }
    detail: dict[str, Any] = {"retest": begun.detail["retest"], "moved": None, "errors": {}}
    if 0 not in values or len(values) < 2:
        detail["reason"] = "The retest has no results to compare: its trials did not complete, or it was deleted."
    else:
        found_out = retest.compare(values, rows[0].metrics.get("recent_examples") or 1.0)
        best, uncertainty = found_out.best, found_out.uncertainty
        what = "has moved" if found_out.moved else "has not moved, as far as can be told"
        told = f"recent_error {values[best]:.4g} of the best against {values[0]:.4g} of the incumbent's parameters"
        detail["reason"] = f"The optimum {what}: {told} (two standard errors: {2 * uncertainty:.2g})."
        detail |= {"moved": found_out.moved, "uncertainty": uncertainty}
        detail["best"] = next(one.params for one in rows if one.number == best)
        detail["errors"] = {str(number): value for number, value in values.items()}
    events.insert(tx, study.id, DECIDED, scope.now, row.number, **detail)
