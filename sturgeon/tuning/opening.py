"""`sturgeon.study`: makes a study, or loads the one that has its name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pydantic import BaseModel

from sturgeon import messages as m
from sturgeon.client import Client
from sturgeon.errors import Conflict, NotFound, StudyExists, SturgeonError
from sturgeon.space import Space
from sturgeon.values import short_text

COMPARED: Final = frozenset({"space", "metric", "direction", "reduce", "search", "pruning", "task", "budget"})
"""Fields whose differences have sentences of their own."""


def open_study(client: Client, name: str, wanted: Mapping[str, Any]) -> m.Study:
    """The study of this name; made from `wanted`, the fields of a StudyRequest, if there is none.

    Raises: Conflict (there is another study of this name; the difference is named), NotFound (there is none, and no
    space is wanted), Invalid (it cannot be made).
    """
    try:
        found = client.study(name)
    except NotFound:
        if "space" not in wanted:
            raise NotFound(f"There is no study named {name}; give its space, metric and trials to make it.") from None
        try:
            return client.create_study(_request(name, wanted))
        except StudyExists:  # another process made it meanwhile
            found = client.study(name)
    return _same(client, found, wanted)


def _request(name: str, wanted: Mapping[str, Any]) -> dict[str, Any]:
    if "metric" not in wanted:
        raise SturgeonError(f'A new study needs a metric: study("{name}", space=.., minimize="dev_loss").')
    if "max_trials" not in wanted.get("budget", {}):
        raise SturgeonError(f'A new study needs the number of its trials: study("{name}", space=.., trials=100).')
    return {"name": name, **wanted}


def _same(client: Client, found: m.Study, wanted: Mapping[str, Any]) -> m.Study:
    """The study found, with more trials if more are wanted. Raises: Conflict (it is another one)."""
    if differences := list(_differences(found, wanted)):
        raise Conflict(
            f"There is a study named {found.name}, and it is another one: {'; '.join(differences)}. "
            "Choose another name for this one, or leave these out to go on with that one."
        )
    trials = wanted.get("budget", {}).get("max_trials")
    if trials is None or trials <= found.budget.max_trials:
        return found
    return client.patch_study(found.name, {"budget": {"max_trials": trials}})


def _differences(found: m.Study, wanted: Mapping[str, Any]) -> list[str]:
    differences = []
    if "space" in wanted:
        differences += space_differences(found.space, wanted["space"])
    if "constraints" in wanted and list(wanted["constraints"]) != found.constraints:
        differences.append(f"its constraints are {found.constraints}, not {list(wanted['constraints'])}")
    for field in ("metric", "direction", "reduce"):
        if field in wanted and wanted[field] != getattr(found, field):
            differences.append(f"its {field} is {getattr(found, field)}, not {wanted[field]}")
    differences += _model_differences("search", found.search, wanted.get("search", {}))
    differences += _model_differences("pruning", found.pruning, wanted.get("pruning", {}))
    if "task" in wanted:
        differences += _model_differences("task", found.task, wanted["task"] or {})
    for field in wanted.keys() - COMPARED:
        stored = _plain(getattr(found, field, None))
        if not _agrees(stored, wanted[field]):
            differences.append(f"its {field} is {short_text(stored)}, not {short_text(wanted[field])}")
    trials = wanted.get("budget", {}).get("max_trials")
    if trials is not None and trials < found.budget.max_trials:
        differences.append(f"it has {found.budget.max_trials} trials, not {trials}")
    return differences


def space_differences(found: Space, wanted: Space | Mapping[str, Any]) -> list[str]:
    """Where two spaces differ, in half a sentence each; the order of the parameters makes no difference.

    Raises: pydantic.ValidationError (`wanted` is no space).
    """
    asked = wanted if isinstance(wanted, Space) else Space.model_validate(dict(wanted))
    differences = [f"it has no parameter {name}" for name in asked if name not in found.root]
    for name in found:
        if name not in asked.root:
            differences.append(f"it has a parameter {name}")
        elif (stored := found[name]) != asked[name]:
            differences.append(f"its {name} is {_shown(stored)}, not {_shown(asked[name])}")
    return differences


def _model_differences(title: str, found: Any, wanted: Mapping[str, Any]) -> list[str]:
    """The fields that are wanted otherwise than they are."""
    stored = {} if found is None else found.model_dump(mode="json")
    return [
        f"its {title} has {name} {stored.get(name)}, not {value}"
        for name, value in wanted.items()
        if not _agrees(stored.get(name), value)
    ]


def _plain(value: Any) -> Any:
    return value.model_dump(mode="json") if isinstance(value, BaseModel) else value


def _agrees(stored: Any, wanted: Any) -> bool:
    """Whether what is stored is as it is wanted; fields that are not mentioned may be anything."""
    if isinstance(wanted, Mapping) and isinstance(stored, Mapping):
        return all(_agrees(stored.get(name), value) for name, value in wanted.items())
    return bool(stored == wanted)


def _shown(parameter: Any) -> str:
    """A parameter in a few words: `float 1e-05..0.1 log`."""
    plain = parameter.model_dump(mode="json", exclude_defaults=True)
    ends = f"{plain.pop('low')!r}..{plain.pop('high')!r}" if "low" in plain else ""
    rest = [str(value) if name == "scale" else f"{name} {value}" for name, value in plain.items() if name != "type"]
    return " ".join(part for part in (str(parameter.type), ends, *rest) if part)
