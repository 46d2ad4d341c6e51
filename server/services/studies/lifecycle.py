"""Creating, reading, changing and deleting studies."""

from __future__ import annotations

import secrets
from typing import Any

from server.services import views
from server.services.idempotency import IdempotencyKey, claim_or_replay, store_answer
from server.services.pagination import after_of, page_of
from server.services.sampling.best import best_of, best_trials
from server.services.studies import budgets, space_edits, validation
from server.services.trial_rows import new_trial
from server.store import checkpoints, events, space_revisions, studies, trials
from server.store.blobs import BlobFolder
from server.store.engine import Database, Transaction
from server.store.space_revisions import RevisionRow
from server.store.studies import StudyRow
from server.store.trials import TrialRow
from sturgeon import messages
from sturgeon.errors import NotFound, StudyBusy, StudyExists, WrongState
from sturgeon.search.registry import REGISTERED
from sturgeon.search.samplers import uniform_point
from sturgeon.states import STUDY_MOVES


def create(database: Database, request: messages.StudyRequest, once: IdempotencyKey) -> messages.Study:
    """Raises Invalid, StudyExists, IdempotencyMismatch."""
    validation.require_valid(request)
    seed = secrets.randbits(63) if request.search.seed is None else request.search.seed
    with database.writing() as tx:
        if (answered := claim_or_replay(tx, once, messages.Study)) is not None:
            return answered
        now = tx.now()
        row = added(tx, request, seed, now)
        if row is None:
            raise StudyExists(f"A study named {request.name} exists already; choose another name.")
        if request.mode == "panda":
            row = _begin_panda(tx, row, request, now)
        answer = _answer(tx, row)
        store_answer(tx, once, answer, now)
        return answer


def added(tx: Transaction, request: messages.StudyRequest, seed: int, now: int) -> StudyRow | None:
    """A new study without trials; None if there is one of that name."""
    row = studies.insert(tx, _values(request, seed, now))
    if row is not None:
        space_revisions.insert(tx, RevisionRow(row.id, row.revision, row.space, {}, row.seq, now))
    return row


def _begin_panda(tx: Transaction, study: StudyRow, request: messages.StudyRequest, now: int) -> StudyRow:
    """The one trial of the study, queued: with the given parameters, else with a sample."""
    point = uniform_point(study.seed, 0, len(request.space.searched))
    params = request.space.decode(point) | (request.params or {})
    trials.insert(tx, [new_trial(study, 0, params, point, now)])
    return studies.update(tx, study.id, next_number=1)


def _values(request: messages.StudyRequest, seed: int, now: int) -> dict[str, Any]:
    task = request.task
    return {
        "name": request.name,
        "title": request.title,
        "state": "active",
        "mode": request.mode,
        "metric": request.metric,
        "direction": request.direction,
        "reduce": request.reduce,
        "space": space_edits.stored_space(request.space),
        "revision": 0,
        "sampler": _sampler(request),
        "sampler_options": _sampler_options(request),
        "seed": seed,
        "pruning": validation.chosen_pruning(request).model_dump(mode="json", exclude_none=True),
        **budgets.budget_columns(request.budget),
        "replicates": request.search.replicates,
        "task": None if task is None else task.model_dump(mode="json"),
        "policies": [policy.model_dump(mode="json") for policy in request.policies],
        "seq": 0,
        "next_number": 0,
        "created_at": now,
    }


def _sampler(request: messages.StudyRequest) -> str:
    """A panda's one sample is drawn at random: there is nothing to learn from before it, or after."""
    return "random" if request.mode == "panda" else request.search.sampler


def _sampler_options(request: messages.StudyRequest) -> dict[str, Any]:
    """The options of the study's sampler, all of them, so that a later default changes no study."""
    if request.mode == "panda":
        return {}
    search = request.search
    samples = request.budget.max_trials // search.replicates
    return REGISTERED[search.sampler].recorded(search, request.space, samples)


def required(tx: Transaction, name: str, *, lock: bool = False) -> StudyRow:
    """The study, its row locked if asked. Raises NotFound."""
    row = studies.lock(tx, name) if lock else studies.find(tx, name)
    if row is None:
        raise NotFound(f"There is no study named {name}.")
    return row


def required_trial(tx: Transaction, study: StudyRow, number: int, *, lock: bool = False) -> TrialRow:
    """The trial, its row locked if asked, after the study's. Raises NotFound."""
    row = trials.lock(tx, study.id, number) if lock else trials.find(tx, study.id, number)
    if row is None:
        raise NotFound(f"The study {study.name} has no trial {number}.")
    return row


def _answer(tx: Transaction, row: StudyRow) -> messages.Study:
    return views.study(row, studies.amounts(tx, [row.id])[row.id], best_trials(tx, row, 1))


def read(database: Database, name: str) -> messages.Study:
    with database.reading() as tx:
        return _answer(tx, required(tx, name))


def listing(database: Database, page_size: int, page_token: str | None) -> messages.Page[messages.Study]:
    after = after_of(page_token)
    with database.reading() as tx:
        rows = studies.page(tx, after, page_size + 1)
        used = studies.amounts(tx, [row.id for row in rows])
        items = [views.study(row, used[row.id], best_trials(tx, row, 1)) for row in rows]
    return page_of(items, page_size, [row.id for row in rows])


def best(database: Database, name: str, k: int) -> messages.Best:
    """Raises NotFound."""
    with database.reading() as tx:
        return best_of(tx, required(tx, name), k)


def change(database: Database, name: str, patch: messages.StudyPatch) -> messages.Study:
    """Raises NotFound, WrongState, Invalid (a budget below what was given out, a space that cannot follow)."""
    space_edits.require_together(patch)
    with database.writing() as tx:
        study = required(tx, name, lock=True)
        now = tx.now()
        if patch.title is not None:
            study = studies.update(tx, study.id, title=patch.title)
        if patch.budget is not None:
            study = _set_budget(tx, study, patch.budget, now)
        if patch.policies is not None:
            validation.require_policies(study, patch.policies)
            policies = [policy.model_dump(mode="json") for policy in patch.policies]
            study = studies.update(tx, study.id, policies=policies)
        if patch.space is not None:
            study = space_edits.edit_space(tx, study, patch.space, patch.added, now)
        if patch.state is not None and patch.state != study.state:
            study = _set_state(tx, study, patch.state, now)
        return _answer(tx, budgets.settle(tx, study, now))


def _set_budget(tx: Transaction, study: StudyRow, patch: messages.BudgetPatch, now: int) -> StudyRow:
    budget = budgets.patched_budget(study, patch)
    validation.require_budget(budget, study)
    events.insert(tx, study.id, "budget", now, **budget.model_dump(mode="json", exclude_none=True))
    return studies.update(tx, study.id, **budgets.budget_columns(budget))


def _set_state(tx: Transaction, study: StudyRow, state: Any, now: int) -> StudyRow:
    if state not in STUDY_MOVES[study.state]:
        allowed = ", ".join(sorted(STUDY_MOVES[study.state])) or "none"
        hint = " (raise its budget to go on)" if study.state == "completed" else ""
        raise WrongState(f"The study is {study.state}; from there it can become: {allowed}{hint}.")
    events.insert(tx, study.id, "state", now, state=state, was=study.state)
    if state == "cancelled":
        for trial in trials.unfinished(tx, study.id):
            seq = studies.next_seq(tx, study.id)
            trials.update(tx, trial.id, **cancelled(trial.fence, seq, now))
    return studies.update(tx, study.id, state=state)


def cancelled(fence: int, seq: int, now: int) -> dict[str, Any]:
    """What a cancelled trial's row says: its holder's fence is worth nothing any more."""
    return {
        "state": "cancelled",
        "fence": fence + 1,
        "lease_until": None,
        "left_seq": seq,
        "finished_at": now,
    }


def delete(database: Database, blobs: BlobFolder, name: str, *, force: bool) -> None:
    """Raises NotFound, StudyBusy (trials run and `force` is not given)."""
    with database.writing() as tx:
        study = required(tx, name, lock=True)
        running = studies.amounts(tx, [study.id])[study.id].counts.get("running", 0)
        if running and not force:
            raise StudyBusy(f"{running} trials of {name} are running; wait for them, or add ?force=true.")
        hashes = checkpoints.of_study(tx, study.id)
        studies.delete(tx, study.id)
        orphans = set(hashes) - checkpoints.referenced(tx, hashes)
    # After the commit: a blob without a row is swept up later, a row without its blob would be a lie.
    for sha256 in orphans:
        blobs.delete(sha256)
