"""Retests: while a panda follows a stream, small caviar studies ask now and then whether its optimum has moved.

A retest trains anew on the portions so far, with the incumbent's parameters (trial 0) and with some around them. Events
of the panda say that it began, and what came of it.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Final

from server.policies import retest
from server.policies.curve import Point
from server.policies.drift import number_of
from server.services import lookup
from server.services.isolation import isolated
from server.services.studies import lifecycle, live_params
from server.services.transactions import Scope, Transactions
from server.services.trial_rows import new_trial
from server.store import events, trials
from server.store import studies as study_rows
from server.store.engine import Transaction
from server.store.events import EventRow
from server.store.json_columns import Json
from server.store.studies import StudyRow
from server.store.trials import TrialRow
from sturgeon import messages
from sturgeon.errors import NotFound, StudyExists
from sturgeon.identifiers import TrialNumber
from sturgeon.messages import DriftPolicy
from sturgeon.messages.tokens import LONGEST_PREFIX
from sturgeon.search.samplers import uniform_point
from sturgeon.training import flagged

BEGUN, DECIDED, SKIPPED = "retest", "retest_decided", "retest_skipped"
DUTY: Final = "retests"
METRIC: Final = "recent_error"
AROUND: Final = 4.0
"""Rates from a quarter of the incumbent's to four times it."""


def consider(scope: Scope, row: TrialRow, policy: DriftPolicy, newest: Point) -> None:
    """Conclude a retest that is complete; begin one that is due. The rows of the study and the trial are locked."""
    wanted = policy.retest_after is not None or policy.retest_after_s is not None
    if not wanted or "portion" not in newest.metrics:
        return
    newest_of = events.newest(scope.tx, scope.study.id, (BEGUN, DECIDED, SKIPPED), row.number)
    begun, decided, skipped = (newest_of.get(kind) for kind in (BEGUN, DECIDED, SKIPPED))
    # One after the other: the newest is the only one that may be open.
    is_open = begun is not None and (decided is None or decided.detail["retest"] != begun.detail["retest"])
    if begun is not None and is_open:
        _conclude(scope, row, begun)
    portion = number_of(newest)
    earlier = [event for event in (begun, skipped) if event is not None]
    last = max((event.detail["portion"] for event in earlier), default=0)
    # What the runs are charged is steady time: a clock that is put forward makes no retest due.
    seconds = row.spent_us / 1_000_000
    since = max((event.detail.get("seconds", 0.0) for event in earlier), default=0.0)
    if not is_open and retest.is_due(portion - last, seconds - since, policy.retest_after, policy.retest_after_s):
        with scope.attempt(SKIPPED, row.number, portion=portion, seconds=seconds), scope.tx.savepoint():
            _begin(scope, row, policy, portion, seconds)


def watch(transactions: Transactions) -> None:
    """Conclude the retests that are complete, also those of pandas that have ended. Each by itself."""
    with transactions.database.reading() as tx:
        begun = [(study.name, one.number) for study in study_rows.pandas(tx) for one in _open(tx, study)]
    for name, number in begun:
        assert number is not None, "a trial has begun each retest"
        # NotFound: the study was deleted meanwhile.
        with isolated(DUTY, study=name), suppress(NotFound), transactions.on_study(name) as scope:
            row = lookup.lock_trial(scope.tx, scope.study, number)
            for event in _open(scope.tx, scope.study, number):
                _conclude(scope, row, event)


def _open(tx: Transaction, study: StudyRow, number: TrialNumber | None = None) -> list[EventRow]:
    """The events of the retests that began and were not decided."""
    decided = {event.detail["retest"] for event in events.of_kind(tx, study.id, DECIDED, number)}
    return [event for event in events.of_kind(tx, study.id, BEGUN, number) if event.detail["retest"] not in decided]


def _begin(scope: Scope, row: TrialRow, policy: DriftPolicy, portion: int, seconds: float) -> None:
    tx, study, now = scope.tx, scope.study, scope.now
    assert study.trains
    name = f"{study.name[:LONGEST_PREFIX]}-{row.number}-retest-{portion}"
    request = _request(study, row, policy, portion, name)
    made = lifecycle.insert_study(tx, request, study.seed, now, study.source_study_id)
    if made is None:
        raise StudyExists(f"A study {name} exists already.")
    incumbent = {parameter: live_params.params_in_force(study, row)[parameter] for parameter in request.space}
    point = request.space.encode(incumbent)
    trials.insert(tx, [new_trial(made, TrialNumber(0), incumbent, tuple(point), now)])
    rest = range(1, policy.retest_trials)
    points = {number: uniform_point(made.seed, number, len(request.space.searched)) for number in rest}
    trials.insert(tx, [new_trial(made, TrialNumber(n), request.space.decode(u), u, now) for n, u in points.items()])
    study_rows.update(tx, made.id, next_number=policy.retest_trials)
    detail = {"retest": name, "portion": portion, "seconds": seconds, "incumbent": incumbent}
    events.insert(tx, study.id, BEGUN, now, row.number, **detail)


def _request(study: StudyRow, row: TrialRow, policy: DriftPolicy, portion: int, name: str) -> messages.StudyRequest:
    """The same task on the portions so far, with what the incumbent trains with but for what is searched."""
    assert study.task is not None
    assert study.trains
    now = live_params.params_in_force(study, row)
    rate, replay = now["learning_rate"], now["replay_share"]
    space: Json = {
        "learning_rate": {"type": "float", "low": rate / AROUND, "high": min(100.0, rate * AROUND), "scale": "log"},
        # A panda that replays more than usual can be retested, too.
        "replay_share": {"type": "float", "low": max(0.0, replay - 0.3), "high": max(replay, min(0.95, replay + 0.3))},
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
            "needs": study.needs or {},
            "task": task,
        }
    )


def _conclude(scope: Scope, row: TrialRow, begun: EventRow) -> None:
    """Whether the optimum has moved, as an event."""
    tx, study = scope.tx, scope.study
    study_row = study_rows.find(tx, begun.detail["retest"])
    if study_row is not None and study_row.created_at != begun.at:  # a later study has the name of a deleted retest
        study_row = None
    if study_row is not None and study_row.state in ("active", "paused"):
        return
    numbers = range(0 if study_row is None else study_row.next_number)
    rows = [trial for number in numbers if study_row and (trial := trials.find(tx, study_row.id, TrialNumber(number)))]
    if any(trial.state == "running" for trial in rows):  # of a stopped study: they will still tell their results
        return
    values: dict[int, float] = {
        trial.number: trial.value for trial in rows if trial.state == "complete" and trial.value is not None
    }
    detail: Json = {"retest": begun.detail["retest"], "moved": None, "errors": {}}
    if 0 not in values or len(values) < 2:
        detail["reason"] = "The retest has no results to compare: its trials did not complete, or it was deleted."
    else:
        comparison = retest.compare(values, rows[0].metrics.get("recent_examples") or 1.0)
        best, uncertainty = comparison.best, comparison.uncertainty
        what = "has moved" if comparison.moved else "has not moved, as far as can be told"
        errors = f"recent_error {values[best]:.4g} of the best against {values[0]:.4g} of the incumbent's parameters"
        detail["reason"] = f"The optimum {what}: {errors} (two standard errors: {2 * uncertainty:.2g})."
        detail |= {"moved": comparison.moved, "uncertainty": uncertainty}
        detail["best"] = next(trial.params for trial in rows if trial.number == best)
        detail["errors"] = {str(number): value for number, value in values.items()}
    events.insert(tx, study.id, DECIDED, scope.now, row.number, **detail)
