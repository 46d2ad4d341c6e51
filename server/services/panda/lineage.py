"""The tree of forks and promoted trials that a trial belongs to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from server.services import lookup
from server.services.runs.resume import initial_live_params
from server.store import trials
from server.store.engine import Database
from server.store.json_columns import Json
from server.store.trials import TrialRow
from sturgeon import messages
from sturgeon.identifiers import TrialNumber

MOST: Final = 1000


def read(database: Database, name: str, number: TrialNumber) -> messages.Lineage:
    """Raises: NotFound."""
    with database.reading() as tx:
        study = lookup.get_study(tx, name)
        trial = lookup.get_trial(tx, study, number)
        by_number = {row.number: row for row in trials.branches(tx, study.id)}
        root = _root(trial, by_number)
        tree = _tree(root, by_number)
        first = lookup.get_trial(tx, study, root)
    rows = [first, *(by_number[number] for number in tree[: MOST - 1])]
    return messages.Lineage(root=root, items=[_relative(row) for row in rows], left_out=len(tree) + 1 - len(rows))


def _root(trial: TrialRow, by_number: Mapping[TrialNumber, TrialRow]) -> TrialNumber:
    while trial.parent_number is not None and trial.parent_number in by_number:
        trial = by_number[trial.parent_number]
    return trial.number if trial.parent_number is None else trial.parent_number


def _tree(root: TrialNumber, by_number: Mapping[TrialNumber, TrialRow]) -> list[TrialNumber]:
    """All that go on from the root and from each other, by number; a parent's number is below those of its branches."""
    found = {root}
    for number, row in by_number.items():
        if row.parent_number in found:
            found.add(number)
    return sorted(found - {root})


def _relative(row: TrialRow) -> messages.Relative:
    parent = None
    if row.parent_number is not None and row.parent_step is not None:
        parent = messages.Parent(number=row.parent_number, step=row.parent_step)
    return messages.Relative(
        number=row.number,
        parent=parent,
        state=row.state,
        mode=row.mode,
        value=row.value,
        invalid=row.invalid_reason is not None,
        changed=_changed(row),
    )


def _changed(row: TrialRow) -> Json:
    if row.origin is None:
        return {}
    before: Json = dict(row.origin["params"])
    for _, params in row.origin["schedule"]:
        before |= params
    return {name: value for name, value in initial_live_params(row).items() if before.get(name) != value}
