"""The trial whose checkpoint a study's trials start from (`start_from`): it has to fit when the study is created."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from server.services import views
from server.services.studies.live_params import initial_params
from server.store import studies, trials
from server.store.engine import Transaction
from server.store.reach import Reach
from server.store.studies import StudyRow
from server.store.trials import TrialRow
from sturgeon.errors import FieldProblem
from sturgeon.identifiers import StudyId, TrialNumber
from sturgeon.messages import TrainStudyTask
from sturgeon.space import Fixed, Space
from sturgeon.training import DATASETS, TrainTask

LAYERS = ("hidden_units", "hidden_layers", "activation", "batch_norm")
"""The fields that make the hidden layers, which a trial takes over from its source."""
START: Final = "start_from"
"""The field that names the source, as STUDY/NUMBER."""


class Hidden(NamedTuple):
    """The hidden layers of a network."""

    units: tuple[int, ...]
    activations: tuple[str, ...]
    batch_norm: bool

    def __str__(self) -> str:
        norm = " and batch_norm" if self.batch_norm else ""
        return f"the hidden layers {list(self.units)} with {', '.join(dict.fromkeys(self.activations)) or 'none'}{norm}"


def given(space: Space, params: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters that all trials of a study have beside those that its task fixes; of a panda, `params`."""
    fixed = {name: parameter.value for name, parameter in space.root.items() if isinstance(parameter, Fixed)}
    return fixed | dict(params)


def given_of(tx: Transaction, study: StudyRow, space: Space) -> dict[str, Any]:
    """As `given`, of a study that is there, with this space."""
    panda = trials.find(tx, study.id, TrialNumber(0)) if study.mode == "panda" else None
    return given(space, {} if panda is None else panda.params)


def study_named(task: TrainStudyTask, given: Mapping[str, Any]) -> str | None:
    """The name of the study of which trials start from a trial; None where they start from none.

    given: as the function of this name makes it.
    """
    named = _named(task, given)
    return None if named is None else named[0]


def _named(task: TrainStudyTask, given: Mapping[str, Any]) -> tuple[str, TrialNumber] | None:
    named = (task.fixed | dict(given)).get(START)
    if not isinstance(named, str):
        return None
    name, _, number = named.rpartition("/")
    return name, TrialNumber(int(number))


def source_study(tx: Transaction, task: TrainStudyTask, given: Mapping[str, Any]) -> StudyId | None:
    """The id of the study that `start_from` names; None where it names none, or one that is not there yet: `tie_to`
    gives it then."""
    name = study_named(task, given)
    study = None if name is None else studies.find(tx, name)
    return None if study is None else study.id


def tie_to(tx: Transaction, made: StudyRow) -> None:
    """A study has been made: those whose trials start from the study of this name mean this one from now on, and not
    another one that gets its name."""
    # Again until there is none: a retest may have been made while this waited for the row of its panda's study.
    while waiting := [study for study in studies.without_source(tx) if _is_named(tx, made, study)]:
        for study in waiting:
            studies.give_source(tx, study.id, made.id)


def _is_named(tx: Transaction, made: StudyRow, study: StudyRow) -> bool:
    task = TrainStudyTask.model_validate(study.task)
    return study_named(task, given_of(tx, study, views.space_of(study))) == made.name


def source_of(tx: Transaction, task: TrainStudyTask, given: Mapping[str, Any]) -> tuple[StudyRow, TrialRow] | None:
    """The trial that `start_from` names; None where it names none, or one that is not there yet."""
    named = _named(task, given)
    study = None if named is None else studies.find(tx, named[0])
    trial = None if named is None or study is None else trials.find(tx, study.id, named[1])
    return None if study is None or trial is None else (study, trial)


def problems(
    tx: Transaction, task: TrainStudyTask, space: Space, given: Mapping[str, Any], reach: Reach
) -> list[FieldProblem]:
    """What keeps trials of this task and space from starting from the trial that they name.

    given: as the function of this name makes it. Nothing is known of the layers of own code, and of files no inputs.
    Raises: Forbidden (it is of a study that is not within reach: any worker would fetch its checkpoint).
    """
    _require_within(reach, task.fixed, {name: space[name].extremes[0] for name in space if name == START}, given)
    found = source_of(tx, task, given)
    if found is None or not found[0].trains:
        return []
    fields = initial_params(*found)
    named = f"{found[0].name}/{found[1].number}"
    dataset = fields["dataset"]
    if task.dataset != dataset and {task.dataset, dataset} <= {*DATASETS}:
        detail = f"dataset: {named} was trained on {dataset}, whose inputs are others than those of {task.dataset}"
        return [FieldProblem("/task/dataset", detail)]
    mine = {name: info.default for name, info in TrainTask.model_fields.items()} | task.fixed | dict(given)
    # Of a range the ends: trials between them differ from the source, too.
    searched = {name: space[name].extremes for name in LAYERS if name in space and name not in given}
    wanted = hidden(fields)
    for values in itertools.product(*searched.values()):
        if (other := hidden(mine | dict(zip(searched, values, strict=True)))) != wanted:
            detail = f"start_from: {named} has {wanted}, but trials of this study may have {other}: take the same"
            return [FieldProblem(_pointer(task, space, given), detail)]
    return []


def _require_within(reach: Reach, *fields: Mapping[str, Any]) -> None:
    """Of all fields that name a source, also of those that others hide: another trial of the study may lack these.

    Raises: Forbidden.
    """
    for of_one in fields:
        if isinstance(named := of_one.get(START), str):
            reach.require(named.rpartition("/")[0])


def hidden(fields: Mapping[str, Any]) -> Hidden:
    """The hidden layers that these fields of a TrainTask ask for."""
    units, layers = fields["hidden_units"], fields["hidden_layers"]
    widths = tuple(units) if isinstance(units, list) else (units,) * (1 if layers is None else layers)
    activation = fields["activation"]
    activations = tuple(activation) if isinstance(activation, list) else (activation,) * len(widths)
    return Hidden(widths, activations, fields["batch_norm"])


def _pointer(task: TrainStudyTask, space: Space, given: Mapping[str, Any]) -> str:
    """Where the layers are written, or what asks for others."""
    places = {"/space": space.root, "/task/fixed": task.fixed, "/params": given}
    written = [f"{place}/{name}" for place, fields in places.items() for name in LAYERS if name in fields]
    named = [f"{place}/start_from" for place, fields in places.items() if "start_from" in fields]
    return [*written, *named][0]
