"""A space that is edited while its study runs: which edits are possible, and where older trials lie afterwards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from sturgeon.errors import FieldProblem, json_pointer
from sturgeon.search.samplers import Point
from sturgeon.space import AnyParameter, Space


class Revision(NamedTuple):
    """The space from revision `number` on. `added`: the values that older trials get of its new parameters."""

    number: int
    space: Space
    added: Mapping[str, object]


def point_under(revisions: Sequence[Revision], of: int, params: Mapping[str, object]) -> Point | None:
    """Where a trial that was made under revision `of` lies in the space of the newest of `revisions`.

    Its parameters are encoded again. A parameter that it lacks has the value that the first later revision added it
    with; one that the newest space lacks is ignored. None when the trial lies outside of that space: beyond narrowed
    bounds, or at a value that was taken out.
    """
    values = dict(params)
    for revision in revisions:
        if revision.number > of:
            values = {**revision.added, **values}
    return revisions[-1].space.place(values)


def edit_problems(old: Space, new: Space, added: Mapping[str, object]) -> list[FieldProblem]:
    """Why `old` cannot become `new`, with what to write instead. `new` is valid in itself."""
    problems = []
    for name in new:
        pointer = json_pointer("space", name)
        if name in old:
            if sentence := _change_problem(old[name], new[name]):
                problems.append(FieldProblem(pointer, f"{name}: {sentence}"))
        elif name not in added:
            detail = f'{name}: it is new; say what the older trials count as having: "added": {{"{name}": VALUE}}'
            problems.append(FieldProblem(pointer, detail))
    return problems + [problem for name in added if (problem := _added_problem(old, new, name, added[name]))]


def _change_problem(old: AnyParameter, new: AnyParameter) -> str | None:
    instead = "leave this parameter as it is and add another one, or create a new study"
    if "fixed" not in (old.type, new.type) and old.type != new.type:
        return f"its type cannot change from {old.type} to {new.type}: {instead}"
    before, after = getattr(old, "scale", None), getattr(new, "scale", None)
    if None not in (before, after) and before != after:
        return f"its scale cannot change from {before} to {after}: {instead}"
    return None


def _added_problem(old: Space, new: Space, name: str, value: object) -> FieldProblem | None:
    if name not in new or name in old:
        why = "it is not in the space" if name not in new else "it was in the space before"
        return FieldProblem(
            json_pointer("added", name), f"{name}: {why}, and `added` is for new parameters alone; leave it out"
        )
    try:
        new[name].encode(value)
    except ValueError as error:
        detail = f"{name}: the older trials would lie outside of the new space, and none be of use: {error}"
        return FieldProblem(json_pointer("added", name), detail)
    return None
