"""The checks of tasks that run the user's own code: what its arguments name has to be in the space."""

from __future__ import annotations

from sturgeon.errors import FieldProblem
from sturgeon.messages import TRIAL_PLACEHOLDERS, CommandTask, OwnCode
from sturgeon.placeholders import names_in
from sturgeon.space import Space
from sturgeon.strictness import unknown_name


def problems(space: Space, task: OwnCode) -> list[FieldProblem]:
    """What keeps this task from running with parameters of this space."""
    return placeholder_problems(task, space) + _checkpoint_problems(task)


def placeholder_problems(task: OwnCode, space: Space) -> list[FieldProblem]:
    """Arguments of a command, and the name of a metrics file, that name what is no parameter of the space."""
    known = [*space, *TRIAL_PLACEHOLDERS]
    argv = task.argv if isinstance(task, CommandTask) else []
    texts = {f"argv/{place}": argument for place, argument in enumerate(argv)}
    if task.metrics.file is not None:
        texts["metrics/file"] = task.metrics.file
    return [
        FieldProblem(f"/task/{field}", f"{title}: {{{name}}}: {unknown_name('parameter', name, known).message()}")
        for field, text in texts.items()
        for title in ("argv" if field.startswith("argv") else "metrics.file",)
        for name in names_in(text)
        if name not in known
    ]


def _checkpoint_problems(task: OwnCode) -> list[FieldProblem]:
    """A command that names a checkpoint folder which it does not have."""
    if not isinstance(task, CommandTask) or task.checkpoints is not None:
        return []
    detail = 'argv: {checkpoint} is the checkpoint folder: write "checkpoints": {} beside argv'
    return [
        FieldProblem(f"/task/argv/{place}", detail)
        for place, argument in enumerate(task.argv)
        if "checkpoint" in names_in(argument)
    ]
