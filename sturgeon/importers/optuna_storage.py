"""Finished trials in a storage of Optuna: with dates, states and curves, and the study that they make."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from sturgeon.extras import require
from sturgeon.importers.drafts import CannotImport, Draft
from sturgeon.importers.optuna_spaces import parameter_of
from sturgeon.messages import ImportedReport, ImportedTrial
from sturgeon.values import Json, Name, is_number, value_key

STATES: Final = {"COMPLETE": "complete", "PRUNED": "pruned", "FAIL": "failed"}
FURTHER: Final = 100
"""A study that is made of imported trials may try so many more."""

_NAME: Final[TypeAdapter[str]] = TypeAdapter(Name)


@dataclass(frozen=True)
class StoredStudy:
    """A study in a storage: what it makes here, and its finished trials."""

    draft: Draft
    trials: list[ImportedTrial]


def read_storage(url: str, name: str | None = None) -> StoredStudy:
    """The study of this name in Optuna's storage; without a name the only one.

    Raises: MissingExtra, CannotImport (no such storage or study, several studies, or several objectives).
    """
    require("optuna", "`sturgeon import optuna`", ("optuna",))
    import optuna

    if url.startswith("sqlite:///") and not Path(url.removeprefix("sqlite:///").partition("?")[0]).is_file():
        raise CannotImport(f"There is no file {url.removeprefix('sqlite:///')}.")  # Optuna would make an empty one
    try:
        names = optuna.get_all_study_names(url)
        if name is None and len(names) != 1:
            raise CannotImport(f"{url} has {len(names)} studies; name one with --study: {', '.join(names[:20])}")
        if name is not None and name not in names:
            raise CannotImport(f"{url} has no study {name!r}; it has {', '.join(names[:20])}.")
        stored = optuna.load_study(study_name=name or names[0], storage=url)
    except CannotImport:
        raise
    except Exception as error:  # whatever the database's driver raises
        raise CannotImport(f"{url} cannot be read: {type(error).__name__}: {str(error)[:200]}") from None
    if len(stored.directions) != 1:
        raise CannotImport(
            f"The study {stored.study_name} has {len(stored.directions)} objectives; ours has one metric."
        )
    return _study(stored)


def _study(stored: Any) -> StoredStudy:
    draft = Draft()
    draft.call_it(stored.study_name)
    names = stored.metric_names
    draft.study["metric"] = names[0] if names else "value"
    draft.study["direction"] = stored.direction.name.lower()
    if not names:
        draft.assume("Optuna's objective has no name: the metric is called value.")
    everything = stored.get_trials(deepcopy=False)
    finished = [trial for trial in everything if trial.state.name in STATES]
    if len(finished) < len(everything):
        left = Counter(trial.state.name.lower() for trial in everything if trial.state.name not in STATES)
        draft.cannot(
            ", ".join(f"{count} {state} trials" for state, count in left.items()), "only finished ones are taken"
        )
    _space(draft, finished)
    draft.study["budget"] = {"max_trials": len(finished) + FURTHER}
    draft.assume(f"max_trials is {len(finished) + FURTHER}: the imported trials, and {FURTHER} more.")
    return StoredStudy(draft, [_trial(draft, stored.study_name, trial) for trial in finished])


def _trial(draft: Draft, study: str, trial: Any) -> ImportedTrial:
    metric = draft.study["metric"]
    metrics = {name: value for name, value in trial.user_attrs.items() if is_number(value) and _is_name(name)}
    for name in trial.user_attrs.keys() - metrics.keys():
        draft.cannot(f"trial {trial.number}: user attribute {name}", "a metric is a number with a name")
    if trial.value is not None and math.isfinite(trial.value):
        metrics[metric] = trial.value
    state = STATES[trial.state.name]
    if state == "complete" and metric not in metrics:
        state = "diverged"
    return ImportedTrial.model_validate(
        {
            "key": f"optuna:{study}/{trial.number}",
            "params": {draft.names[name]: value for name, value in trial.params.items()},
            "state": state,
            "metrics": metrics,
            "step": max(trial.intermediate_values, default=None),
            "error": "It failed in Optuna." if state == "failed" else None,
            "started_at": _moment(trial.datetime_start or trial.datetime_complete),
            "finished_at": _moment(trial.datetime_complete),
            "reports": [
                ImportedReport(step=step, metrics={metric: value if math.isfinite(value) else None})
                for step, value in sorted(trial.intermediate_values.items())
            ],
        }
    )


def _moment(at: datetime) -> datetime:
    """Optuna stores the local time of the machine that ran the trial, without its zone."""
    return at.astimezone()


def _is_name(name: str) -> bool:
    try:
        _NAME.validate_python(name)
    except ValidationError:
        return False
    return True


def _space(draft: Draft, trials: Sequence[Any]) -> None:
    """The space that all trials lie in. A parameter that some do not have is active where they have it."""
    seen: dict[str, list[Any]] = {}
    for trial in trials:
        for name, distribution in trial.distributions.items():
            seen.setdefault(name, []).append(distribution)
    if not seen:
        raise CannotImport("No trial of the study has finished with parameters.")
    for name, distributions in sorted(seen.items(), key=lambda entry: -len(entry[1])):
        when = {} if len(distributions) == len(trials) else _condition(draft, name, trials)
        draft.add(name, parameter_of(name, type(distributions[-1]).__name__, _widest(draft, name, distributions)), when)


def _widest(draft: Draft, name: str, distributions: Sequence[Any]) -> Json:
    """The attributes of a distribution that holds what all of them hold."""
    attributes: Json = dict(distributions[-1]._asdict())
    if "choices" in attributes:
        return {"choices": list({value_key(c): c for one in distributions for c in one.choices}.values())}
    low, high = min(one.low for one in distributions), max(one.high for one in distributions)
    if (low, high) != (attributes["low"], attributes["high"]):
        draft.assume(f"The range of {name} changed in the study; the widest one is taken, from {low} to {high}.")
    return attributes | {"low": low, "high": high}


def _condition(draft: Draft, name: str, trials: Sequence[Any]) -> Json:
    """A condition on another parameter that tells the trials that have this one from the others."""
    have = [trial.params for trial in trials if name in trial.params]
    lack = [trial.params for trial in trials if name not in trial.params]
    for other, called in draft.names.items():
        parameter = draft.study["space"][called]
        if any(other not in params for params in have):
            continue
        here, there = ([params[other] for params in group if other in params] for group in (have, lack))
        if parameter["type"] == "choice" and not any(value in there for value in here):
            return {called: [value for value in parameter["values"] if value in here]}
        if parameter["type"] == "int" and there and min(here) > max(there):
            return {called: {"at_least": min(here)}}
        if parameter["type"] == "int" and there and max(here) < min(there):
            return {called: {"at_most": max(here)}}
    draft.cannot(
        f"{name}, which {len(lack)} of {len(trials)} trials do not have", "no value of another parameter says when"
    )
    return {}
