"""Editing the space of an active study: each edit is a new revision."""

from __future__ import annotations

import json

from server.services.studies import own_code, sources, validation
from server.services.transactions import Scope
from server.services.views import budget_of
from server.store import events, space_revisions
from server.store import studies as study_rows
from server.store.engine import Transaction
from server.store.json_columns import Json
from server.store.space_revisions import RevisionRow
from server.store.studies import StudyRow
from sturgeon import messages
from sturgeon.errors import FieldProblem, WrongState
from sturgeon.messages import TrainStudyTask
from sturgeon.messages.tasks import task_of
from sturgeon.search.registry import search_problems
from sturgeon.search.revisions import edit_problems
from sturgeon.space import Space


def stored_space(space: Space) -> Json:
    """A space as its row stores it. A parameter without a condition has no `when`; a fixed value of null is stored."""
    whole: dict[str, Json] = space.model_dump(mode="json")
    return {
        name: {field: value for field, value in parameter.items() if (field, value) != ("when", None)}
        for name, parameter in whole.items()
    }


def edit_space(scope: Scope, space: Space, added: Json) -> None:
    """Make this space a new revision of the study; the space that the study has already is none. The study's row is
    locked.

    added: for each new parameter, the value that earlier trials count as having.
    Raises: Invalid (the edit is not possible), WrongState (the study is cancelled).
    """
    tx, study, now = scope.tx, scope.study, scope.now
    if study.state == "cancelled":
        raise WrongState(f"The study {study.name} is cancelled; its space does not change any more.")
    # As text: the order of the parameters is the order of the cube's coordinates.
    if json.dumps(stored_space(space)) == json.dumps(study.space) and _were_added(tx, study, added):
        return
    _require_possible(tx, study, space, added)
    if study.trains:
        task = TrainStudyTask.model_validate(study.task)
        unfit = sources.problems(tx, task, space, sources.given(space, {}))
        validation.require_none(unfit, "The space is not valid")
    seq = study_rows.next_seq(tx, study.id)
    revision = study.revision + 1
    space_revisions.insert(tx, RevisionRow(study.id, revision, stored_space(space), added, seq, now))
    changed = [name for name in space if name not in study.space or stored_space(space)[name] != study.space[name]]
    gone = [name for name in study.space if name not in space]
    events.insert(tx, study.id, "space", now, revision=revision, changed=changed, left_out=gone, added=added)
    scope.update_study(space=stored_space(space), revision=revision)


def _were_added(tx: Transaction, study: StudyRow, added: Json) -> bool:
    """Whether the newest revision added the same: then the patch is one that was sent again."""
    *_, latest = space_revisions.until(tx, study.id, study.seq)
    return not added or added == latest.added


def _require_possible(tx: Transaction, study: StudyRow, space: Space, added: Json) -> None:
    problems = validation.space_problems(space)
    if not problems:
        problems = edit_problems(Space.model_validate(study.space), space, added)
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
            FieldProblem(f"/space/{name}", f"{name}: the study's task fixes it; a new study can search it")
            for name in fixed
        ]
    return validation.task_problems_of(task, space)


def require_together(patch: messages.StudyPatch) -> None:
    """Raises: Invalid (the patch gives `added` without `space`)."""
    if patch.added and patch.space is None:
        detail = "added: write the new `space` beside it"
        validation.require_none([FieldProblem("/added", detail)], "The change is not valid")
