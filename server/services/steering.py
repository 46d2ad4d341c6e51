"""The desired state of a trial: the one way in which pruning, budgets, people and policies steer a run.

No command is sent or queued. What is desired stands in the trial's row under a version that only rises; the answer to
every report, every renewal and every lease carries it; the worker brings its run there between two steps and says
`applied_version` and `applied_step` in what it sends next. So a server or a worker may restart, or an answer be lost,
and nothing is forgotten or done twice.

To steer, in a write transaction that locks the study's row and then the trial's (in this order, as all do):

    study = studies.required(tx, name, lock=True)
    row = studies.required_trial(tx, study, number, lock=True)
    row = steering.desire(tx, row, why="person", params=steering.of(row).params | {"learning_rate": 0.01})

What is not given stays, but for `restore`, which belongs to the version that asks for it. `params` are all live
parameters that differ from the trial's own, not the last change alone: a worker may miss versions in between.

`run="stop"` is a wish: the worker finishes its epoch and tells how it ended. If its lease runs out, or is given back,
before it does, `ending.of_stopped` says what the trial becomes: no other worker begins it again.
"""

from __future__ import annotations

from typing import Any, Literal

from server.store import trials
from server.store.engine import Transaction
from server.store.trials import TrialRow
from sturgeon.errors import FieldProblem, Invalid
from sturgeon.messages import Desired

Why = Literal["pruned", "person", "policy", "study"]
Run = Literal["run", "pause", "stop"]


def of(row: TrialRow) -> Desired:
    """What is desired of the trial; version 0 while nobody has desired anything."""
    return Desired() if row.desired is None else Desired.model_validate(row.desired)


def desire(
    tx: Transaction,
    row: TrialRow,
    why: Why | None,
    *,
    params: dict[str, Any] | None = None,
    run: Run | None = None,
    restore: int | None = None,
) -> TrialRow:
    """Raise the version; the trial's row is locked. `restore`: the step whose checkpoint the run shall go back to."""
    now = of(row)
    wanted = Desired(
        version=now.version + 1,
        params=now.params if params is None else params,
        run=run or now.run,
        restore=restore,
        why=why,
    )
    return trials.update(tx, row.id, desired=wanted.model_dump(mode="json"))


def acknowledge(tx: Transaction, row: TrialRow, version: int | None, step: int | None) -> TrialRow:
    """Note what the worker has applied; it never goes back. The trial's row is locked.

    Raises Invalid for a version that nobody desired.
    """
    if version is None or version <= (row.applied_version or 0):
        return row
    if version > (newest := of(row).version):
        detail = f"version {version} was not desired yet, {newest} is the newest: send the one that an answer gave you"
        raise Invalid(f"applied_version: {detail}.", (FieldProblem("/applied_version", detail),))
    return trials.update(tx, row.id, applied_version=version, applied_step=step)
