"""Creating, reading, changing and deleting studies."""

from __future__ import annotations

import secrets

from server.request_context import note
from server.services import blob_sweep, lookup, views
from server.services.idempotency import IdempotencyKey, Nothing, claim_or_replay, store_answer
from server.services.pagination import after_of, page_of
from server.services.runs import completion, versions
from server.services.sampling.best import best_of, best_of_each, best_trials
from server.services.sampling.sampler_pool import SamplerPool
from server.services.studies import budgets, own_code, placement, sources, space_edits, validation
from server.services.transactions import Scope, Transactions
from server.services.trial_rows import new_trial
from server.store import amounts, checkpoints, events, space_revisions, studies, trials
from server.store.blobs import BlobFolder
from server.store.engine import Database, Transaction
from server.store.json_columns import Json
from server.store.reach import EVERY_STUDY, Reach
from server.store.space_revisions import RevisionRow
from server.store.studies import StudyRow
from sturgeon import messages
from sturgeon.errors import StudyBusy, StudyExists, WrongState
from sturgeon.identifiers import StudyId, TrialNumber
from sturgeon.search.random import random_search
from sturgeon.search.registry import REGISTERED
from sturgeon.search.samplers import NOTHING
from sturgeon.states import STUDY_MOVES, StudyState


def create(
    database: Database, request: messages.StudyRequest, key: IdempotencyKey, reach: Reach = EVERY_STUDY
) -> messages.Study:
    """Create a study, which is active at once.

    Raises: Contradiction, StudyExists, IdempotencyMismatch, Forbidden (its name, or the study that its trials start
    from, is not within reach).
    """
    reach.require(request.name)
    validation.require_valid(request)
    with database.writing() as tx:
        if (answered := claim_or_replay(tx, key, messages.Study, None)) is not None:
            return answered
        row = _created(tx, request, reach)
        note(study=row.name)
        answer = as_message(tx, row)
        store_answer(tx, key, answer, created=row)
        return answer


class _NotKept(Exception):
    """Rolls a dry run back; it has the answer."""

    def __init__(self, answer: messages.Study) -> None:
        super().__init__()
        self.answer = answer


def checked(database: Database, request: messages.StudyRequest, reach: Reach) -> messages.Study:
    """The study that `create` would make; it is made, and rolled back.

    Raises: Contradiction, StudyExists, Forbidden (as `create`).
    """
    reach.require(request.name)
    validation.require_valid(request)
    try:
        with database.writing() as tx:
            raise _NotKept(as_message(tx, _created(tx, request, reach)))
    except _NotKept as dry:
        return dry.answer


def _created(tx: Transaction, request: messages.StudyRequest, reach: Reach) -> StudyRow:
    studies.wait_to_create(tx)
    seed = secrets.randbelow(messages.LARGEST_SEED) if request.search.seed is None else request.search.seed
    now = tx.now()
    source = None
    if isinstance(request.task, messages.TrainStudyTask):
        given = sources.given(request.space, request.params or {})
        unfit = sources.problems(tx, request.task, request.space, given, reach)
        validation.require_none(unfit, "The study is not valid")
        source = sources.source_study(tx, request.task, given)
    row = insert_study(tx, request, seed, now, source)
    if row is None:
        raise StudyExists(f"A study named {request.name} exists already; choose another name.")
    return _begin_panda(tx, row, request, now) if request.mode == "panda" else row


def insert_study(
    tx: Transaction, request: messages.StudyRequest, seed: int, now: int, source: StudyId | None
) -> StudyRow | None:
    """A new study without trials; None if its name is taken. source: the study that its trials start from."""
    row = studies.insert(tx, _values(request, seed, now) | {"source_study_id": source})
    if row is not None:
        space_revisions.insert(tx, RevisionRow(row.id, row.revision, row.space, row.constraints, {}, row.seq, now))
        sources.tie_to(tx, row)
    return row


def _begin_panda(tx: Transaction, study: StudyRow, request: messages.StudyRequest, now: int) -> StudyRow:
    """Queue the one trial of the study. Parameters that the request does not give are drawn."""
    point = random_search(request.space, study.seed, 0, NOTHING).point if request.space.searched else ()
    params = request.space.decode(point) | (request.params or {})
    trials.insert(tx, [new_trial(study, TrialNumber(0), params, point, now)])
    return studies.update(tx, study.id, next_number=1)


def _values(request: messages.StudyRequest, seed: int, now: int) -> Json:
    task = request.task
    return {
        "name": request.name,
        "title": request.title,
        "state": "active",
        "mode": request.mode,
        "metric": request.metric,
        "direction": request.direction,
        "reduce": validation.chosen_reduce(request),
        "space": space_edits.stored_space(request.space),
        "constraints": request.constraints,
        "revision": 0,
        "sampler": _sampler(request),
        "sampler_options": _sampler_options(request),
        "seed": seed,
        "pruning": validation.chosen_pruning(request).model_dump(mode="json", exclude_none=True),
        **budgets.budget_columns(request.budget),
        "replicates": request.search.replicates,
        "task": None if task is None else task.model_dump(mode="json"),
        "task_kind": None if task is None else task.kind,
        "needs": _stored_needs(request.needs),
        "policies": [policy.model_dump(mode="json") for policy in request.policies],
        "tags": request.tags,
        "notes": request.notes,
        "code_version": _code_version(request),
        "seq": 0,
        "next_number": 0,
        "created_at": now,
    }


def _code_version(request: messages.StudyRequest) -> Json | None:
    return None if request.code_version is None else request.code_version.model_dump(mode="json", exclude_none=True)


def _sampler(request: messages.StudyRequest) -> str:
    """A panda has one trial, which is drawn at random: there are no results to learn from."""
    return "random" if request.mode == "panda" else request.search.sampler


def _sampler_options(request: messages.StudyRequest) -> Json:
    """All options of the study's sampler, the defaults too: so a default that changes later changes no study."""
    if request.mode == "panda":
        return {}
    search = request.search
    samples = request.budget.max_trials // search.replicates
    return REGISTERED[search.sampler].recorded(search, request.space, samples)


def as_message(tx: Transaction, row: StudyRow) -> messages.Study:
    """The study with its counts and its best trial."""
    used = amounts.of_studies(tx, [row.id])
    study = views.study(row, used[row.id], best_trials(tx, row, 1), placement.of_studies(tx, [row], used)[row.id])
    return study.model_copy(update={"changes": versions.changes(tx, row)})


def read(database: Database, name: str) -> messages.Study:
    """A study with its counts and its best trial. Raises: NotFound."""
    with database.reading() as tx:
        return as_message(tx, lookup.get_study(tx, name))


def listing(
    database: Database, page_size: int, page_token: str | None, tag: str | None = None, reach: Reach = EVERY_STUDY
) -> messages.Page[messages.Study]:
    """A page of the studies within reach, or of those of them with a tag, the oldest first.

    Raises: Invalid (an unknown page token).
    """
    after = after_of(page_token)
    with database.reading() as tx:
        rows = studies.page(tx, after, page_size + 1, tag, reach)
        used = amounts.of_studies(tx, [row.id for row in rows])
        best = best_of_each(tx, rows)
        placed = placement.of_studies(tx, rows, used)
        items = [views.study(row, used[row.id], best[row.id], placed[row.id]) for row in rows]
    return page_of(items, page_size, [row.id for row in rows])


def best(database: Database, pool: SamplerPool, name: str, k: int) -> messages.Best:
    """The `k` best trials, and the one to take. Raises: NotFound."""
    with database.reading() as tx:
        return best_of(tx, pool, lookup.get_study(tx, name), k)


def change(
    transactions: Transactions,
    name: str,
    patch: messages.StudyPatch,
    key: IdempotencyKey,
    reach: Reach,
) -> messages.Study:
    """Change what the patch gives.

    Raises: NotFound, WrongState, Contradiction (a budget below what was given out, or an edit of the space that is not
    possible), Forbidden (trials are to start from a study that is not within reach), IdempotencyMismatch.
    """
    space_edits.require_together(patch)
    with transactions.on_study(name) as scope:
        if (answered := claim_or_replay(scope.tx, key, messages.Study, scope.study)) is not None:
            return answered
        if patch.title is not None:
            scope.update_study(title=patch.title)
        if patch.tags is not None:
            scope.update_study(tags=patch.tags)
        if patch.notes is not None:
            scope.update_study(notes=patch.notes)
        if patch.budget is not None:
            _set_budget(scope, patch.budget)
        if patch.needs is not None:
            _set_needs(scope, patch.needs)
        if patch.task is not None:
            _set_task(scope, patch.task)
        if patch.policies is not None:
            validation.require_policies(scope.study, patch.policies)
            scope.update_study(policies=[policy.model_dump(mode="json") for policy in patch.policies])
        if patch.space is not None or patch.constraints is not None:
            space_edits.edit_space(scope, patch, reach)
        if patch.state is not None and patch.state != scope.study.state:
            _set_state(scope, patch.state)
        answer = as_message(scope.tx, budgets.settle(scope))
        store_answer(scope.tx, key, answer)
        return answer


def _set_budget(scope: Scope, patch: messages.BudgetPatch) -> None:
    budget = budgets.patched_budget(scope.study, patch)
    validation.require_budget(scope.tx, budget, scope.study)
    detail = budget.model_dump(mode="json", exclude_none=True)
    events.insert(scope.tx, scope.study.id, "budget", scope.now, **detail)
    scope.update_study(**budgets.budget_columns(budget))


def _set_needs(scope: Scope, needs: messages.Needs) -> None:
    wanted = _stored_needs(needs)
    if wanted != scope.study.needs:
        events.insert(scope.tx, scope.study.id, "needs", scope.now, **needs.model_dump(mode="json"))
        scope.update_study(needs=wanted)


def _set_task(scope: Scope, task: messages.CommandTask | messages.PythonTask) -> None:
    """Raises: Contradiction (it names no parameter of the space), WrongState (the study has another task)."""
    wanted = task.model_dump(mode="json")
    if scope.study.task == wanted:
        return
    if scope.study.task is not None:
        raise WrongState(f"The study {scope.study.name} has a task, which its trials were made for.")
    problems = own_code.problems(views.space_of(scope.study), task)
    validation.require_none(problems, "The task is not valid")
    events.insert(scope.tx, scope.study.id, "task", scope.now, task=task.kind)
    scope.update_study(task=wanted, task_kind=wanted["kind"])


def _stored_needs(needs: messages.Needs) -> Json | None:
    """As the study's row has them: null for nothing but a slot."""
    return None if needs == messages.Needs() else needs.model_dump(mode="json")


def _set_state(scope: Scope, state: StudyState) -> None:
    was = scope.study.state
    if state not in STUDY_MOVES[was]:
        allowed = ", ".join(sorted(STUDY_MOVES[was])) or "none"
        hint = " (raise its budget to go on)" if was == "completed" else ""
        raise WrongState(f"The study is {was}; from there it can become: {allowed}{hint}.")
    events.insert(scope.tx, scope.study.id, "state", scope.now, state=state, was=was)
    if state == "cancelled":
        for trial in lookup.lock_unfinished(scope.tx, scope.study):
            completion.cancel(scope, trial)
    scope.update_study(state=state)


def delete(database: Database, blobs: BlobFolder, name: str, key: IdempotencyKey, *, force: bool) -> None:
    """Delete a study with its trials, reports and checkpoints. The same request again deletes no other study that has
    its name by then.

    Raises: NotFound, StudyBusy (trials run and `force` is not given), IdempotencyMismatch.
    """
    with database.writing() as tx:
        if claim_or_replay(tx, key, Nothing, None) is not None:
            return
        study = lookup.lock_study(tx, name)
        running = amounts.of_studies(tx, [study.id])[study.id].counts.get("running", 0)
        if running and not force:
            are = "1 trial is" if running == 1 else f"{running} trials are"
            raise StudyBusy(f"{are} running in {name}; wait, or delete it all the same (--force, ?force=true).")
        hashes = checkpoints.of_study(tx, study.id)
        studies.delete(tx, study.id, tx.now())
        store_answer(tx, key, Nothing())
    # After the commit: the sweep finds a blob without a row later; a row without its blob could not be mended.
    blob_sweep.delete_unnamed(database, blobs, hashes)
