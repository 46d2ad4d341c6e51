"""Editing the space of an active study: each edit is a new revision."""

from __future__ import annotations

import json

from server.services import views
from server.services.studies import own_code, sources, validation
from server.services.transactions import Scope
from server.services.views import budget_of
from server.store import events, space_revisions
from server.store import studies as study_rows
from server.store.engine import Transaction
from server.store.json_columns import Json
from server.store.reach import Reach
from server.store.space_revisions import RevisionRow
from server.store.studies import StudyRow
from sturgeon import messages
from sturgeon.errors import FieldProblem, WrongState, json_pointer
from sturgeon.identifiers import StudyId
from sturgeon.messages import TrainStudyTask
from sturgeon.messages.tasks import task_of
from sturgeon.search.registry import search_problems
from sturgeon.search.revisions import edit_problems
from sturgeon.space import Space


def stored_space(space: Space) -> Json:
    """A space as its row stores it: what a parameter does not have is left out, but a fixed value of null is stored."""
    whole: Json = space.model_dump(mode="json")
    return whole


def edit_space(scope: Scope, patch: messages.StudyPatch, reach: Reach) -> None:
    """Make the patch's space and constraints a new revision of the study; what it does not give stays. What the study
    has already is no revision. The study's row is locked.

    Raises: Contradiction (the edit is not possible), WrongState (the study is cancelled), Forbidden (its trials start
    from a study that is not within reach).
    """
    tx, study, now, added = scope.tx, scope.study, scope.now, patch.added
    if study.state == "cancelled":
        raise WrongState(f"The study {study.name} is cancelled; its space does not change any more.")
    old = views.space_of(study)
    constraints = study.constraints if patch.constraints is None else patch.constraints
    space = (old if patch.space is None else patch.space).constrained(constraints)
    if space == old and _were_added(tx, study, added):
        return
    _require_possible(tx, study, space, added)
    source = _source(tx, study, old, space, reach) if study.trains else study.source_study_id
    seq = study_rows.next_seq(tx, study.id, changes_past=True)
    revision, stored = study.revision + 1, stored_space(space)
    space_revisions.insert(tx, RevisionRow(study.id, revision, stored, constraints, added, seq, now))
    before = stored_space(old)
    changed = [name for name in space if json.dumps(before.get(name)) != json.dumps(stored[name])]
    detail: Json = {"changed": changed, "left_out": [name for name in old if name not in space], "added": added}
    if constraints != study.constraints:
        detail["constraints"] = constraints
    events.insert(tx, study.id, "space", now, revision=revision, **detail)
    scope.update_study(space=stored, constraints=constraints, revision=revision, source_study_id=source)


def _source(tx: Transaction, study: StudyRow, old: Space, space: Space, reach: Reach) -> StudyId | None:
    """The study that trials start from after the edit: another one only where the edit names another.

    Raises: Contradiction (its trial does not fit), Forbidden.
    """
    task = TrainStudyTask.model_validate(study.task)
    before, given = sources.given_of(tx, study, old), sources.given_of(tx, study, space)
    validation.require_none(sources.problems(tx, task, space, given, reach), "The space is not valid")
    if sources.study_named(task, given) == sources.study_named(task, before):
        return study.source_study_id
    return sources.source_study(tx, task, given)


def _were_added(tx: Transaction, study: StudyRow, added: Json) -> bool:
    """Whether the newest revision added the same: then the patch is one that was sent again."""
    *_, latest = space_revisions.until(tx, study.id, study.seq)
    return not added or added == latest.added


def _require_possible(tx: Transaction, study: StudyRow, space: Space, added: Json) -> None:
    problems = validation.space_problems(space)
    if not problems:
        problems = edit_problems(views.space_of(study), space, added)
        search = messages.Search(sampler=study.sampler, **study.sampler_options)
        problems += search_problems(search, space)
    if not problems and study.task is not None:
        problems = _task_problems(task_of(study.task), space)
        problems += validation.undefined_metrics_of(tx, study, space, budget_of(study))
    validation.require_none(problems, "The space cannot be changed to this one")


def _task_problems(task: messages.StudyTask, space: Space) -> list[FieldProblem]:
    """The problems of task and space, as at the study's creation. The task cannot be changed any more, so all of them
    are the space's."""
    if not isinstance(task, TrainStudyTask):
        return [FieldProblem("/space", problem.detail) for problem in own_code.placeholder_problems(task, space)]
    fixed = [name for name in space if name in task.fixed]
    if fixed:
        return [
            FieldProblem(json_pointer("space", name), f"{name}: the study's task fixes it; a new study can search it")
            for name in fixed
        ]
    return validation.task_problems_of(task, space)


def require_together(patch: messages.StudyPatch) -> None:
    """Raises: Contradiction (the patch gives `added` without `space`)."""
    if patch.added and patch.space is None:
        detail = "added: write the new `space` beside it"
        validation.require_none([FieldProblem("/added", detail)], "The change is not valid")
