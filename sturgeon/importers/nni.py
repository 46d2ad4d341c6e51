"""NNI: search spaces (`search_space.json`) and the experiment files that name them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from sturgeon.importers.drafts import CannotImport, Draft, choice, normal, number, rounded, uniform
from sturgeon.values import Json

SAMPLERS: Final = {"random": "random", "gridsearch": "grid", "batch": "grid"}
SAME: Final = ("tpe", "anneal", "evolution", "smac", "gp", "metis", "dngo", "bohb")
"""Tuners that learn from results: coarse to fine takes their place."""

_EXPERIMENT: Final = (
    "experimentName",
    "searchSpace",
    "searchSpaceFile",
    "searchSpacePath",
    "trialCommand",
    "trialCodeDirectory",
    "trialGpuNumber",
    "trialConcurrency",
    "maxTrialNumber",
    "maxTrialNum",
    "maxExperimentDuration",
    "maxExecDuration",
    "tuner",
    "assessor",
    "trial",
    "trainingService",
    "trainingServicePlatform",
    "authorName",
    "useAnnotation",
)


def is_space(content: Json) -> bool:
    """Whether a mapping is a search space of NNI."""
    return bool(content) and all(
        isinstance(one, dict) and {"_type", "_value"} <= one.keys() for one in content.values()
    )


def is_experiment(content: Json) -> bool:
    """Whether a mapping is an experiment, of either version of its format."""
    return any(key in content for key in ("searchSpace", "searchSpaceFile", "searchSpacePath"))


def read_space(content: Json) -> Draft:
    """The study of a search space. Raises: CannotImport."""
    draft = Draft()
    _add_all(draft, content, "", {})
    return draft


def read_experiment(content: Json, folder: Path, read: Callable[[Path], Json]) -> Draft:
    """The study of an experiment. folder: that of the file, `read`: reads the search space that it names.

    Raises: CannotImport.
    """
    draft = Draft()
    draft.leftover(content, _EXPERIMENT)
    space = content.get("searchSpace")
    _add_all(draft, space or read(folder / str(content.get("searchSpaceFile") or content["searchSpacePath"])), "", {})
    if content.get("experimentName"):
        draft.call_it(content["experimentName"])
    _tuner(draft, content.get("tuner") or {})
    if content.get("assessor"):
        _assessor(draft, content["assessor"])
    _budget(draft, content)
    _command(draft, content)
    service = content.get("trainingService") or {"platform": content.get("trainingServicePlatform", "local")}
    platform = service.get("platform") if isinstance(service, dict) else service
    if platform != "local":
        draft.cannot(f"trainingService: {platform}", "start workers there instead")
    for field in ("authorName", "useAnnotation"):
        if content.get(field):
            draft.cannot(field, "a study has no such field")
    return draft


def _add_all(draft: Draft, space: Json, above: str, when: Json) -> None:
    if not isinstance(space, dict):
        raise CannotImport("The search space must be a mapping of names.")
    for key, fields in space.items():
        if key == "_name":
            continue
        name = f"{above}{key}"
        if not isinstance(fields, dict) or "_type" not in fields:
            raise CannotImport(f"The parameter {name} has no _type.")
        _add(draft, name, fields, when)


def _add(draft: Draft, name: str, fields: Json, when: Json) -> None:
    kind, values = fields["_type"], fields.get("_value")
    if not isinstance(values, list) or not values:
        raise CannotImport(f"The parameter {name} has no list _value.")
    draft.leftover(fields, ("_type", "_value"), f"{name}.")
    if kind == "choice" and any(isinstance(value, dict) for value in values):
        _nested(draft, name, values, when)
    elif kind == "choice":
        draft.add(name, choice(values), when)
    elif (made := _number(name, kind, values)) is not None:
        draft.add(name, made, when)
    else:
        draft.cannot(name, f"there is no type {kind!r}; write another one and import again")


def _nested(draft: Draft, name: str, values: list[Any], when: Json) -> None:
    """A choice of branches, each with parameters of its own: they are active under that branch."""
    labels = [value.get("_name") if isinstance(value, dict) else value for value in values]
    if any(isinstance(label, dict) or label is None for label in labels):
        raise CannotImport(f"Each branch of {name} needs a _name.")
    parent = draft.add(name, choice(labels), when)
    for label, value in zip(labels, values, strict=True):
        if isinstance(value, dict):
            _add_all(draft, value, f"{name}.", {parent: [label]})


def _number(name: str, kind: str, values: list[Any]) -> Json | None:
    numbers = [number(value, f"{name}._value") for value in values]
    expected = 3 if kind in ("quniform", "qloguniform", "qnormal", "qlognormal") else 2
    if kind in ("randint", "uniform", "loguniform", "normal", "lognormal") or expected == 3:
        if len(numbers) != expected:
            raise CannotImport(f"The parameter {name} is a {kind}: its _value has {expected} numbers.")
    else:
        return None
    low, high, *rest = numbers
    if kind == "randint":  # without its upper end
        return uniform(int(low), int(high) - 1, whole=True)
    if "normal" in kind:
        return normal(low, high, log="log" in kind, step=rest[0] if rest else None)
    log = "log" in kind
    return rounded(low, high, rest[0], log=log) if rest else uniform(low, high, log=log)


def _tuner(draft: Draft, tuner: Json) -> None:
    name = str(tuner.get("name") or tuner.get("builtinTunerName") or "TPE")
    arguments = tuner.get("classArgs") or {}
    draft.study["metric"] = "default"
    draft.study["direction"] = arguments.get("optimize_mode", "maximize")
    draft.assume('NNI\'s metric has no name: it is called default, as in nni.report_final_result({"default": ..}).')
    draft.leftover(tuner, ("name", "builtinTunerName", "classArgs", "gpuIndices"), "tuner.")
    for key, value in arguments.items():
        if key == "seed":
            draft.study["search"] = {"seed": value}
        elif key != "optimize_mode":
            draft.cannot(f"tuner.classArgs.{key}", "a study's sampler has no such option")
    sampler = SAMPLERS.get(name.lower(), "coarse_to_fine")
    if name.lower() == "hyperband":
        draft.study["pruning"] = {"rule": "asha"}
    elif sampler == "coarse_to_fine" and name.lower() not in SAME:
        draft.cannot(f"tuner.name: {name}", "coarse_to_fine is used instead")
    draft.study["search"] = {"sampler": sampler} | draft.study.get("search", {})


def _assessor(draft: Draft, assessor: Json) -> None:
    name = str(assessor.get("name") or assessor.get("builtinAssessorName"))
    arguments = dict(assessor.get("classArgs") or {})
    arguments.pop("optimize_mode", None)
    if name.lower() == "medianstop":
        start = arguments.pop("start_step", None)
        draft.study["pruning"] = {"rule": "median"} | ({"grace": int(start)} if start else {})
    elif name.lower() == "curvefitting":
        draft.study["pruning"] = {"rule": "curve", "epochs": int(arguments.pop("epoch_num", 20))}
        start = arguments.pop("start_step", None)
        draft.study["pruning"] |= {"grace": int(start)} if start else {}
    else:
        draft.cannot(f"assessor.name: {name}", "only Medianstop and Curvefitting are known")
    for key in arguments:
        draft.cannot(f"assessor.classArgs.{key}", "the pruning rule has no such option")


def _budget(draft: Draft, content: Json) -> None:
    budget: Json = {}
    if trials := content.get("maxTrialNumber") or content.get("maxTrialNum"):
        budget["max_trials"] = int(number(trials, "maxTrialNumber"))
    concurrency = int(number(content.get("trialConcurrency", 1), "trialConcurrency"))
    if duration := content.get("maxExperimentDuration") or content.get("maxExecDuration"):
        budget["max_seconds"] = _seconds(str(duration)) * concurrency
        draft.assume(f"max_seconds counts all trials together: {duration} times {concurrency} at a time.")
    if "trialConcurrency" in content:
        draft.cannot("trialConcurrency", "as many trials run at a time as your workers have slots")
    draft.study["budget"] = budget


def _seconds(duration: str) -> float:
    match = re.fullmatch(r"\s*([0-9.]+)\s*([smhd])\s*", duration)
    if match is None:
        raise CannotImport(f"maxExperimentDuration is {duration!r}; it is a number with s, m, h or d.")
    return float(match[1]) * {"s": 1, "m": 60, "h": 3600, "d": 86_400}[match[2]]


def _command(draft: Draft, content: Json) -> None:
    trial = content.get("trial") or {}
    draft.leftover(trial, ("command", "codeDir", "gpuNum"), "trial.")
    command = content.get("trialCommand") or trial.get("command")
    if gpus := content.get("trialGpuNumber") or trial.get("gpuNum"):
        draft.study["needs"] = {"gpus": int(number(gpus, "trialGpuNumber"))}
    if not command:
        draft.assume("The file names no program: your own code asks for the trials.")
        return
    argv = [word.replace("{", "{{").replace("}", "}}") for word in shlex.split(str(command))]
    if any(sign in str(command) for sign in ("&&", "|", ";", "$", ">")):
        argv = ["sh", "-c", str(command).replace("{", "{{").replace("}", "}}")]
    folder = content.get("trialCodeDirectory") or trial.get("codeDir")
    draft.run(argv, **({} if folder in (None, ".") else {"cwd": str(folder)}))
    draft.assume("The program asks NNI for its parameters: let it read the JSON in STURGEON_PARAMS instead.")
    draft.assume('The program reports to NNI: let it print STURGEON {"step": 3, "default": 0.2} instead.')
