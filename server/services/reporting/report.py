"""What a leased trial's holder says: intermediate reports, and the end. Both idempotent by (fence, step)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from server.policies.curve import epoch_of
from server.services import views
from server.services.metrics import Counters
from server.services.panda import challengers, guards
from server.services.runs import completion, desired_state, pruning
from server.services.runs.curve import present_run_reports, rollback_generation_of
from server.services.studies import budgets, lifecycle
from server.store import events, leases, reports
from server.store.engine import Database, Transaction
from server.store.studies import StudyRow
from server.store.trials import TrialRow
from sturgeon import messages
from sturgeon.errors import FieldProblem, Invalid, LeaseLost, Problem, ReportConflict, TrialFinished
from sturgeon.states import TERMINAL


def report(
    database: Database, counters: Counters, name: str, number: int, request: messages.ReportRequest
) -> messages.ReportAnswer:
    """Store metrics of steps and renew the lease; the answer says what is desired of the run.

    Raises NotFound, LeaseLost, ReportConflict, Invalid (a version was applied that nobody desired).
    """
    with database.writing() as tx:
        study = lifecycle.required(tx, name)
        trial = lifecycle.required_trial(tx, study, number)
        looked_at = pruning.may_look(study, trial, request.reports)
        if looked_at or budgets.is_watched(study) or guards.may_act(study, trial):
            study = lifecycle.required(tx, name, lock=True)
        now = tx.now()
        lost: LeaseLost | None = None
        reached = max(map(epoch_of, request.reports), default=None)
        best = pruning.best_of(study, request.reports)
        held = leases.renew(tx, trial.id, request.fence, now, reached, best, reported=True)
        if held is None:
            lost = _park(tx, counters, study, number, "report", request, now)
        else:
            held = desired_state.acknowledge(tx, held, request.applied_version, request.applied_step)
            new_steps = _store(tx, held, request, now)
            _note(tx, counters, study, held, request.events, now)
            if looked_at:
                new = [one for one in request.reports if one.step in new_steps]
                held = pruning.consider(tx, study, held, trial, new, now)
            if new_steps:
                held = guards.after_report(tx, study, held)
            if new_steps and challengers.is_watched(study):
                study = lifecycle.required(tx, name, lock=True)  # it may have given numbers to challengers
                challengers.decide(tx, study)
                held = lifecycle.required_trial(tx, study, number, lock=True)
            if budgets.is_watched(study):
                budgets.settle(tx, study, now)
            desired = desired_state.desired_of(held)
    if lost is not None:  # after the commit: the late result is kept
        raise lost
    return messages.ReportAnswer(desired=desired)


def _store(tx: Transaction, row: TrialRow, request: messages.ReportRequest, now: int) -> list[int]:
    """Store what is new; the steps of it."""
    if not request.reports:
        return []
    leg = rollback_generation_of(tx, row, request.applied_version)
    known = reports.of_steps(tx, row.id, request.fence, leg, [r.step for r in request.reports])
    rows: dict[int, dict[str, Any]] = {}
    for one in request.reports:
        before = known.get(one.step)
        earlier = rows.get(one.step) if before is None else {"metrics": before.metrics, "epoch": before.epoch}
        if earlier is None:
            rows[one.step] = {
                "trial_id": row.id,
                "fence": request.fence,
                "leg": leg,
                "step": one.step,
                "epoch": one.epoch,
                "metrics": one.metrics,
                "at": now,
            }
        elif earlier["metrics"] != one.metrics or earlier["epoch"] != one.epoch:
            raise ReportConflict(f"Step {one.step} was reported before with other values; nothing was changed.")
    if rows:
        reports.insert(tx, list(rows.values()))
    return list(rows)


def _note(
    tx: Transaction,
    counters: Counters,
    study: StudyRow,
    row: TrialRow,
    told: Sequence[messages.RunEvent],
    now: int,
) -> None:
    """Keep what happened to the run, once: a run that goes on from its checkpoint may tell it again."""
    if not told:
        return
    known = events.keys_of_trial(tx, study.id, row.number, {event.kind for event in told})
    for event in told:
        if event.key not in known:
            known.add(event.key)
            detail = event.model_dump(mode="json", exclude={"kind"}, exclude_defaults=True)
            events.insert(tx, study.id, event.kind, now, row.number, **detail)
            counters.stream_events.labels(event.kind).inc()


def _park(
    tx: Transaction,
    counters: Counters,
    study: StudyRow,
    number: int,
    kind: str,
    request: messages.ReportRequest | messages.TellRequest,
    now: int,
) -> LeaseLost:
    """Keep what came too late as evidence; it counts for nothing."""
    body = request.model_dump(mode="json", exclude={"number"})
    late = {
        "study_id": study.id,
        "number": number,
        "fence": request.fence,
        "kind": kind,
        "body": body,
        "at": now,
    }
    reports.insert_late(tx, late)
    counters.fenced_writes.labels(kind).inc()
    return LeaseLost(
        f"The lease of trial {number} under fence {request.fence} is lost; your {kind} was kept as a late result "
        "and changed nothing."
    )


def tell(
    database: Database,
    counters: Counters,
    max_attempts: int,
    name: str,
    number: int,
    request: messages.TellRequest,
) -> messages.Trial:
    """End a trial. Raises NotFound, LeaseLost, TrialFinished, Invalid (complete without the study's metric)."""
    with database.writing() as tx:
        study = lifecycle.required(tx, name, lock=True)
        outcome = _tell(tx, counters, max_attempts, study, number, request, tx.now())
    if isinstance(outcome, Problem):  # after the commit: the late result is kept
        raise outcome
    return outcome


def tell_many(
    database: Database,
    counters: Counters,
    max_attempts: int,
    name: str,
    tells: Iterable[messages.TellOne],
) -> messages.TellManyAnswer:
    """End many trials of a study in one transaction; each has its own outcome. Raises NotFound for the study."""
    items = []
    with database.writing() as tx:
        study = lifecycle.required(tx, name, lock=True)
        now = tx.now()
        for one in tells:
            outcome: messages.Trial | Problem
            try:
                outcome = _tell(tx, counters, max_attempts, study, one.number, one, now)
            except Problem as problem:
                outcome = problem
            if isinstance(outcome, Problem):
                items.append(messages.ToldOne(number=one.number, code=outcome.code, detail=outcome.message))
            else:
                items.append(messages.ToldOne(number=one.number, trial=outcome))
    return messages.TellManyAnswer(items=items)


def _tell(
    tx: Transaction,
    counters: Counters,
    max_attempts: int,
    study: StudyRow,
    number: int,
    request: messages.TellRequest,
    now: int,
) -> messages.Trial | LeaseLost:
    trial = lifecycle.required_trial(tx, study, number)
    if trial.fence == request.fence and trial.state in TERMINAL and trial.lease_until is not None:
        return _again(study, trial, request)
    if _was_queued_by(trial, request):
        return views.trial(study.name, trial)
    value = _value(tx, study, trial, request)
    told = _written(request, value)
    if (again := _goes_on(tx, study, trial, request, now)) is not None:
        # What was told stays to be seen, and the worker, so that the same tell gets the same answer.
        waits = {"state": completion.state_after_return(again), "value": None, "lease_until": None}
        row = leases.end(tx, trial.id, request.fence, now, **(told | waits))
        assert row is not None
        return views.trial(study.name, row)
    attempt = trial.attempt + 1
    if request.state == "failed":
        told |= {"attempt": attempt} | ({"state": "queued", "lease_until": None} if attempt < max_attempts else {})
    row = leases.end(tx, trial.id, request.fence, now, **told)
    if row is None:
        return _park(tx, counters, study, number, "tell", request, now)
    if row.state in TERMINAL:
        row = completion.finish(tx, counters, study, row, now)
    budgets.settle(tx, study, now)
    return views.trial(study.name, row)


def _goes_on(
    tx: Transaction, study: StudyRow, trial: TrialRow, request: messages.TellRequest, now: int
) -> TrialRow | None:
    """The trial, where its run has ended and it has not: it shall go back to a checkpoint, or train longer."""
    if request.state not in ("complete", "diverged") or (trial.desired is None and trial.mode != "panda"):
        return None
    held = leases.renew(tx, trial.id, request.fence, now, None, reported=True)
    if held is None:
        return None
    if desired_state.has_more_to_do(tx, held):
        return held
    if request.state == "diverged":
        return guards.at_divergence(tx, study, held, request.where)
    return guards.at_completion(tx, study, held)


def _again(study: StudyRow, trial: TrialRow, request: messages.TellRequest) -> messages.Trial:
    """The same tell twice is answered twice; another one finds the trial finished."""
    if (trial.state, trial.metrics, trial.step) != (request.state, request.metrics, request.step):
        raise TrialFinished(f"Trial {trial.number} is {trial.state} already; its result does not change any more.")
    return views.trial(study.name, trial)


def _was_queued_by(trial: TrialRow, request: messages.TellRequest) -> bool:
    """The same tell before failed an attempt, and there are more; or the trial goes on. (One that was released has no
    worker, one whose lease ran out still has its `lease_until`: those were not told.)"""
    waits = trial.state in ("queued", "paused") and trial.lease_until is None and trial.worker is not None
    if not waits or trial.fence != request.fence:
        return False
    if request.state == "failed":
        return trial.error == request.error
    return (trial.metrics, trial.step, trial.place) == (request.metrics, request.step, request.where)


def _written(request: messages.TellRequest, value: float | None) -> dict[str, Any]:
    return {
        "state": request.state,
        "value": value,
        "metrics": request.metrics,
        "step": request.step,
        "place": request.where,
        "error": request.error,
    }


def _value(tx: Transaction, study: StudyRow, trial: TrialRow, request: messages.TellRequest) -> float | None:
    """The study's metric in the tell; with `"reduce": "best"` the best over the run's reports and the tell.

    A trial that diverged or failed has none. Raises Invalid for a complete one without it.
    """
    if request.state in ("diverged", "failed"):
        return None
    scores = [request.metrics.get(study.metric)]
    if study.reduce == "best":
        scores = [one.metrics.get(study.metric) for one in present_run_reports(tx, study, trial)] + scores
    value = completion.reduced_value(study, scores)
    if value is None and request.state == "complete":
        detail = (
            f"a complete trial needs the study's metric {study.metric} as a finite number; "
            'if it is not finite, tell {"state": "diverged"}'
        )
        raise Invalid(f"The tell lacks its metric: {detail}.", (FieldProblem(f"/metrics/{study.metric}", detail),))
    return value
