"""Editing the space of a study that runs: each edit is a new revision."""

from __future__ import annotations

import json
from typing import Any

from server.services.studies import validation
from server.services.transactions import Scope
from server.store import events, space_revisions
from server.store import studies as study_rows
from server.store.engine import Transaction
from server.store.space_revisions import RevisionRow
from server.store.studies import StudyRow
from sturgeon import messages
from sturgeon.errors import FieldProblem, WrongState
from sturgeon.search.revisions import edit_problems
from sturgeon.space import Space


def stored_space(space: Space) -> dict[str, Any]:
    """A space as its row has it: without conditions that there are none of, but with a fixed null."""
    whole: dict[str, dict[str, Any]] = space.model_dump(mode="json")
    return {
        name: {field: value for field, value in parameter.items() if (field, value) != ("when", None)}
        for name, parameter in whole.items()
    }


def edit_space(scope: Scope, space: Space, added: dict[str, Any]) -> None:
    """Give the study this space from here on; the space that it has already is no revision. The study's row is locked.

    Raises: Invalid (an edit that is not possible), WrongState.
    """
    tx, study, now = scope.tx, scope.study, scope.now
    if study.state == "cancelled":
        raise WrongState(f"The study {study.name} is cancelled; its space does not change any more.")
    # As text: the order of the parameters is the order of the cube's coordinates.
    if json.dumps(stored_space(space)) == json.dumps(study.space) and _were_added(tx, study, added):
        return
    _require_possible(study, space, added)
    seq = study_rows.next_seq(tx, study.id)
    revision = study.revision + 1
    space_revisions.insert(tx, RevisionRow(study.id, revision, stored_space(space), added, seq, now))
    changed = [name for name in space if name not in study.space or stored_space(space)[name] != study.space[name]]
    gone = [name for name in study.space if name not in space]
    events.insert(tx, study.id, "space", now, revision=revision, changed=changed, left_out=gone, added=added)
    scope.update_study(space=stored_space(space), revision=revision)


def _were_added(tx: Transaction, study: StudyRow, added: dict[str, Any]) -> bool:
    """The same patch again says what it said before."""
    *_, latest = space_revisions.until(tx, study.id, study.seq)
    return not added or added == latest.added


def _require_possible(study: StudyRow, space: Space, added: dict[str, Any]) -> None:
    found = validation.space_problems(space)
    if not found:
        found = edit_problems(Space.model_validate(study.space), space, added)
        search = messages.Search(sampler=study.sampler, **study.sampler_options)
        found += validation.search_problems(search, space)
    if not found and study.task is not None:
        found = _task_problems(messages.TrainStudyTask.model_validate(study.task), space)
    validation.require_none(found, "The space cannot be changed so")


def _task_problems(task: messages.TrainStudyTask, space: Space) -> list[FieldProblem]:
    """As at the study's creation; but here the task cannot be changed, so the problem is the space's."""
    fixed = [name for name in space if name in task.fixed]
    if fixed:
        return [
            FieldProblem(f"/space/{n}", f"{n}: the study's task fixes it; a new study can search it") for n in fixed
        ]
    return validation.task_problems_of(task, space)


def require_together(patch: messages.StudyPatch) -> None:
    """Raises Invalid for `added` without `space`."""
    if patch.added and patch.space is None:
        detail = "added: write the new `space` beside it"
        validation.require_none([FieldProblem("/added", detail)], "The change is not valid")
