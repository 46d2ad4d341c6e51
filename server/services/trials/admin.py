"""What people do with trials: list, enqueue, requeue, cancel."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from typing import Any

from server.services import views
from server.services.idempotency import IdempotencyKey, claim_or_replay, store_answer
from server.services.pagination import after_of, page_of, sorted_place_of, three_places_of, token_of
from server.services.runs import desired_state
from server.services.runs.curve import applied_rollbacks, counted_reports, is_abandoned
from server.services.studies import budgets, lifecycle
from server.services.trial_rows import new_trial, replicate_group
from server.store import events, reports, space_revisions, trials
from server.store import studies as study_rows
from server.store.engine import Database
from server.store.studies import StudyRow
from server.store.trials import After, Listing, TrialRow
from sturgeon import messages
from sturgeon.errors import BudgetSpent, Invalid, TrialFinished, WrongState
from sturgeon.space import Space
from sturgeon.states import REQUEUEABLE, TERMINAL

EXPORT_PAGE = 1000


def read(database: Database, name: str, number: int) -> messages.Trial:
    with database.reading() as tx:
        study = lifecycle.required(tx, name)
        return views.trial(name, lifecycle.required_trial(tx, study, number))


def listing(
    database: Database, name: str, which: Listing, page_size: int, page_token: str | None
) -> messages.Page[messages.Trial]:
    with database.reading() as tx:
        study = lifecycle.required(tx, name)
        rows = trials.page(tx, study.id, which, _after(which, page_token), page_size + 1)
    return page_of([views.trial(name, row) for row in rows], page_size, [_token(which, row) for row in rows])


def _after(which: Listing, token: str | None) -> After | None:
    """Raises: Invalid (a token of another list)."""
    if token is None:
        return None
    if which.sort == "number":
        return After(after_of(token))
    key, number = sorted_place_of(token)
    return After(number, key)


def _token(which: Listing, row: TrialRow) -> str:
    place = trials.place_of(row, which)
    return str(place.number) if which.sort == "number" else token_of(place.key, place.number)


def enqueue(database: Database, name: str, params: dict[str, Any], once: IdempotencyKey) -> messages.Trial:
    """A queued trial with given parameters, or as many as the study's replicates: then the answer is the first.

    Raises NotFound, Invalid, BudgetSpent, WrongState, IdempotencyMismatch."""
    with database.writing() as tx:
        study = lifecycle.required(tx, name, lock=True)
        if (answered := claim_or_replay(tx, once, messages.Trial)) is not None:
            return answered
        now = tx.now()
        space = Space.model_validate(study.space)
        point = _encode(space, params)
        _take_number(study)
        study_rows.update(tx, study.id, next_number=study.next_number + study.replicates)
        numbers = range(study.next_number, study.next_number + study.replicates)
        whole = space.complete(params)
        rows = [new_trial(study, n, whole, point, now) | replicate_group(study, n, study.next_number) for n in numbers]
        row, *_ = trials.insert(tx, rows)
        events.insert(tx, study.id, "enqueued", now, row.number)
        answer = views.trial(name, row)
        store_answer(tx, once, answer, now)
        return answer


def _encode(space: Space, params: dict[str, Any]) -> tuple[float, ...]:
    try:
        return space.encode(params)
    except Invalid as error:
        moved = tuple(problem._replace(pointer=f"/params{problem.pointer}") for problem in error.errors)
        raise Invalid(error.message, moved) from None


def _take_number(study: StudyRow) -> None:
    if study.state not in ("active", "paused"):
        hint = "raise its budget first" if study.state == "completed" else "it takes no more trials"
        if study.state == "completed":
            raise BudgetSpent(f"The study {study.name} is completed; {hint}.")
        raise WrongState(f"The study {study.name} is {study.state}; {hint}.")
    budgets.require_left(study)
    if study.next_number + study.replicates > study.max_trials:
        raise BudgetSpent(f"All {study.max_trials} trials of {study.name} were given out; raise max_trials to go on.")


def requeue(database: Database, name: str, number: int) -> messages.Trial:
    """Run a failed or cancelled trial again, attempts from 0. Raises NotFound, WrongState."""
    with database.writing() as tx:
        study = lifecycle.required(tx, name, lock=True)
        trial = lifecycle.required_trial(tx, study, number)
        now = tx.now()
        if trial.state not in REQUEUEABLE:
            raise WrongState(f"Trial {number} is {trial.state}; only {' and '.join(REQUEUEABLE)} trials run again.")
        if trial.invalid_reason is not None:
            raise WrongState(f"Trial {number} is invalid, its result would count for nothing; enqueue its parameters.")
        if study.state == "cancelled":
            raise WrongState(f"The study {name} is cancelled; its trials do not run again.")
        budgets.require_left(study)
        seq = study_rows.next_seq(tx, study.id)
        assert trial.left_seq is not None
        trials.record_absence(tx, trial.id, trial.left_seq, seq)
        events.insert(tx, study.id, "requeued", now, number, was=trial.state)
        if study.state == "completed":
            study_rows.update(tx, study.id, state="active")
        if desired_state.desired_of(trial).run != "run":
            desired_state.request_change(tx, trial, "person", run="run")
        again = {
            "state": "queued",
            "attempt": 0,
            "fence": trial.fence + 1,
            "left_seq": None,
            "finished_at": None,
        }
        told: dict[str, Any] = {
            "value": None,
            "metrics": {},
            "step": None,
            "place": None,
            "error": None,
            "lease_until": None,
        }
        return views.trial(name, trials.update(tx, trial.id, worker=None, **again, **told))


def cancel(database: Database, name: str, number: int) -> messages.Trial:
    """Cancel at once; the holder's fence is worth nothing from here. Cancelling twice is no error.

    Raises NotFound, TrialFinished.
    """
    with database.writing() as tx:
        study = lifecycle.required(tx, name, lock=True)
        trial = lifecycle.required_trial(tx, study, number)
        now = tx.now()
        if trial.state == "cancelled":
            return views.trial(name, trial)
        if trial.state in TERMINAL:
            raise TrialFinished(f"Trial {number} is {trial.state} already; it cannot be cancelled.")
        seq = study_rows.next_seq(tx, study.id)
        row = trials.update(tx, trial.id, **lifecycle.cancelled(trial.fence, seq, now))
        events.insert(tx, study.id, "cancelled", now, number, was=trial.state)
        budgets.settle(tx, study, now)
        return views.trial(name, row)


def invalidate(database: Database, name: str, number: int, reason: str) -> messages.Trial:
    """Mark a trial, whatever its state: no sampler, rule or list of the best sees it from here on.

    A running one goes on, and its result counts for nothing either. The same reason again changes nothing.
    Raises NotFound, WrongState (it waits still, or was marked with another reason).
    """
    with database.writing() as tx:
        study = lifecycle.required(tx, name, lock=True)
        trial = lifecycle.required_trial(tx, study, number)
        now = tx.now()
        if trial.invalid_reason == reason:
            return views.trial(name, trial)
        if trial.invalid_reason is not None:
            raise WrongState(f"Trial {number} is invalid already: {trial.invalid_reason}")
        if trial.state not in (*TERMINAL, "running"):
            raise WrongState(f"Trial {number} is {trial.state} and has no result yet; cancel it instead.")
        seq = study_rows.next_seq(tx, study.id)
        events.insert(tx, study.id, "invalidated", now, number, reason=reason)
        row = trials.update(tx, trial.id, invalid_reason=reason, invalid_at=now, invalid_seq=seq)
        budgets.settle(tx, study, now)
        return views.trial(name, row)


def metrics(
    database: Database, name: str, number: int, page_size: int, page_token: str | None, *, left: bool = False
) -> messages.Page[messages.ReportedMetrics]:
    """The trial's curve, in the order of its steps; with `left` every report that came, by leg, run and step."""
    with database.reading() as tx:
        study = lifecycle.required(tx, name)
        trial = lifecycle.required_trial(tx, study, number)
        gone_back = applied_rollbacks(tx, trial)
        keys: list[int | str]
        if left:
            after = None if page_token is None else three_places_of(page_token)
            rows = reports.all_of_trial(tx, trial.id, after, page_size + 1)
            keys = [token_of(row.leg, row.fence, row.step) for row in rows]
        else:
            rows = counted_reports(tx, study, trial, after_of(page_token), page_size + 1)
            keys = [row.step for row in rows]
    return page_of([views.reported_metrics(row, left=is_abandoned(row, gone_back)) for row in rows], page_size, keys)


def export(database: Database, name: str, which: Listing, form: str) -> Iterator[str]:
    """All trials as csv or ndjson, a page of rows a transaction, so that a slow reader holds no snapshot."""
    with database.reading() as tx:
        study = lifecycle.required(tx, name)
        # Also those that an edit left out: earlier trials have them.
        spaces = [row.space for row in space_revisions.until(tx, study.id, study.seq)]
        names = dict.fromkeys(name for space in reversed(spaces) for name in space)
        columns = [f"params.{p}" for p in names] + [f"metrics.{m}" for m in trials.metric_names(tx, study.id)]
    return _export(database, study, which, form, columns)


def _export(database: Database, study: StudyRow, which: Listing, form: str, columns: list[str]) -> Iterator[str]:
    plain = [
        "number",
        "state",
        "value",
        "seed",
        "attempt",
        "worker",
        "step",
        "created_at",
        "started_at",
        "finished_at",
    ]
    if form == "csv":
        yield _csv([*plain, *columns])
    after: After | None = None
    while True:
        with database.reading() as tx:
            rows = trials.page(tx, study.id, which, after, EXPORT_PAGE)
        items = [views.trial(study.name, row).model_dump(mode="json") for row in rows]
        if form == "csv":
            yield "".join(_csv([*(item[name] for name in plain), *(_cell(item, c) for c in columns)]) for item in items)
        else:
            yield "".join(json.dumps(item, allow_nan=False) + "\n" for item in items)
        if len(rows) < EXPORT_PAGE:
            return
        after = trials.place_of(rows[-1], which)


def _cell(item: dict[str, Any], column: str) -> Any:
    group, _, name = column.partition(".")
    value = item[group].get(name)
    return json.dumps(value) if isinstance(value, bool | list) else value


def _csv(cells: list[Any]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerow(["" if cell is None else cell for cell in cells])
    return text.getvalue()
