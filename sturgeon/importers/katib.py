"""Katib experiments (kubeflow.org)."""

from __future__ import annotations

import re
from typing import Any, Final

from sturgeon.importers.drafts import CannotImport, Draft, choice, normal, number, uniform
from sturgeon.values import Json

SAMPLERS: Final = {"random": "random", "grid": "grid", "sobol": "sobol", "hyperband": "random"}
SAME: Final = ("bayesianoptimization", "tpe", "multivariate-tpe", "cmaes")
"""Algorithms that learn from results: coarse to fine takes their place."""

NUMBER: Final = r"([+-]?\d*\.?\d+(?:[Ee][+-]?\d+)?)"
_NOT_RUN: Final = ("pbt", "enas", "darts")
_SPEC: Final = (
    "objective",
    "algorithm",
    "parallelTrialCount",
    "maxTrialCount",
    "maxFailedTrialCount",
    "parameters",
    "trialTemplate",
    "earlyStopping",
    "metricsCollectorSpec",
)


def is_experiment(content: Json) -> bool:
    """Whether a mapping is an experiment."""
    return content.get("kind") == "Experiment" and str(content.get("apiVersion", "")).startswith("kubeflow.org")


def read_experiment(content: Json) -> Draft:
    """The study of an experiment.

    Raises: CannotImport.
    """
    spec = content.get("spec")
    if not isinstance(spec, dict) or not isinstance(spec.get("parameters"), list):
        raise CannotImport(
            "The experiment has no list spec.parameters; an architecture search is no space of parameters."
        )
    draft = Draft()
    draft.leftover(spec, _SPEC, "spec.")
    draft.call_it((content.get("metadata") or {}).get("name") or "experiment")
    for parameter in spec["parameters"]:
        _parameter(draft, parameter)
    _objective(draft, spec.get("objective") or {})
    _algorithm(draft, spec.get("algorithm") or {})
    _early(draft, spec.get("earlyStopping") or {})
    if "maxTrialCount" in spec:
        budget = draft.study.setdefault("budget", {})
        budget["max_trials"] = int(number(spec["maxTrialCount"], "maxTrialCount"))
    if "parallelTrialCount" in spec:
        draft.cannot("spec.parallelTrialCount", "as many trials run at a time as your workers have slots")
    if "maxFailedTrialCount" in spec:
        draft.cannot("spec.maxFailedTrialCount", "failed trials do not end a study")
    _template(draft, spec.get("trialTemplate") or {}, _lines(draft, spec))
    return draft


def _parameter(draft: Draft, parameter: Json) -> None:
    name, kind = str(parameter.get("name")), parameter.get("parameterType")
    space = parameter.get("feasibleSpace") or {}
    draft.leftover(parameter, ("name", "parameterType", "feasibleSpace"), f"parameters.{name}.")
    draft.leftover(space, ("min", "max", "step", "list", "distribution"), f"parameters.{name}.feasibleSpace.")
    if kind == "categorical":
        draft.add(name, choice([str(value) for value in space["list"]]))
    elif kind == "discrete":
        made = choice([number(value, name) for value in space["list"]])
        draft.add(name, made | ({"ordered": True} if made["type"] == "choice" else {}))
    elif kind in ("double", "int"):
        draft.add(name, _number(draft, name, space, whole=kind == "int"))
    else:
        raise CannotImport(
            f"The parameter {name} has the type {kind!r}; known are double, int, discrete and categorical."
        )


def _number(draft: Draft, name: str, space: Json, *, whole: bool) -> Json:
    if "min" not in space or "max" not in space:
        raise CannotImport(f"The parameter {name} has no feasibleSpace with min and max.")
    low, high = (number(space[end], f"{name}.{end}") for end in ("min", "max"))
    step = number(space["step"], f"{name}.step") if "step" in space else None
    if whole:
        low, high, step = int(low), int(high), None if step is None else int(step)
    distribution = space.get("distribution", "uniform")
    if distribution in ("uniform", "logUniform"):
        return uniform(low, high, log=distribution == "logUniform", step=step, whole=whole)
    if distribution not in ("normal", "logNormal"):
        draft.cannot(f"parameters.{name}.feasibleSpace.distribution: {distribution}", "it is uniform instead")
        return uniform(low, high, step=step, whole=whole)
    draft.assume(
        f"{name} has its mean in the middle, and a standard deviation of a sixth of the range, as Katib draws it."
    )
    middle = normal((low + high) / 2, (high - low) / 6, log=False, step=step or (1 if whole else None))
    if distribution == "logNormal":
        draft.cannot(
            f"parameters.{name}.feasibleSpace.distribution: logNormal", "it is normal in the same range instead"
        )
    return middle | {"low": low, "high": high}


def _objective(draft: Draft, objective: Json) -> None:
    draft.leftover(objective, ("type", "goal", "objectiveMetricName", "additionalMetricNames"), "objective.")
    if "objectiveMetricName" not in objective:
        raise CannotImport("The experiment has no objectiveMetricName.")
    draft.study["metric"] = objective["objectiveMetricName"]
    draft.study["direction"] = objective.get("type", "minimize")
    if "goal" in objective:
        bound = "below" if draft.study["direction"] == "minimize" else "above"
        draft.study["budget"] = {"stop_when": {bound: number(objective["goal"], "objective.goal")}}


def _algorithm(draft: Draft, algorithm: Json) -> None:
    name = str(algorithm.get("algorithmName", "random"))
    if name in _NOT_RUN:
        raise CannotImport(f"{name} changes models while they train, or searches architectures: no study does that.")
    search: Json = {"sampler": SAMPLERS.get(name, "coarse_to_fine")}
    if name not in SAMPLERS and name not in SAME:
        draft.cannot(f"algorithmName: {name}", "coarse_to_fine is used instead")
    if name == "hyperband":
        draft.study["pruning"] = {"rule": "asha"}
    for setting in algorithm.get("algorithmSettings") or []:
        if setting.get("name") == "random_state":
            search["seed"] = int(number(setting.get("value"), "random_state"))
        else:
            draft.cannot(f"algorithmSettings.{setting.get('name')}", "a study's sampler has no such option")
    draft.study["search"] = search


def _early(draft: Draft, stopping: Json) -> None:
    if not stopping:
        return
    if stopping.get("algorithmName") != "medianstop":
        draft.cannot(f"earlyStopping: {stopping.get('algorithmName')}", "only medianstop is known")
        return
    draft.study["pruning"] = {"rule": "median"}
    for setting in stopping.get("algorithmSettings") or []:
        if setting.get("name") == "start_step":
            draft.study["pruning"]["grace"] = int(number(setting.get("value"), "start_step"))
        else:
            draft.cannot(f"earlyStopping.{setting.get('name')}", "the pruning rule has no such option")


def _lines(draft: Draft, spec: Json) -> Json:
    """Where metrics are read from: Katib's lines `name=number`, or a pattern of the experiment."""
    collector = spec.get("metricsCollectorSpec") or {}
    kind = (collector.get("collector") or {}).get("kind", "StdOut")
    source = collector.get("source") or {}
    if kind not in ("StdOut", "File"):
        draft.cannot(f"metricsCollectorSpec.collector.kind: {kind}", "metrics are read from the program's output")
    elif kind == "File":
        path = (source.get("fileSystemPath") or {}).get("path")
        draft.cannot(f"metricsCollectorSpec: {path}", "metrics are read from the program's output")
    if (source.get("filter") or {}).get("metricsFormat"):
        draft.cannot("metricsCollectorSpec.source.filter", "metrics are read as name=number")
    objective = spec.get("objective") or {}
    names = [objective.get("objectiveMetricName"), *(objective.get("additionalMetricNames") or [])]
    return {name: rf"{re.escape(name)}\s*=\s*{NUMBER}" for name in names if name}


def _template(draft: Draft, template: Json, lines: Json) -> None:
    if "trialSpec" not in template:
        draft.cannot("trialTemplate", "it has no trialSpec in this file: your own code asks for the trials")
        return
    containers = list(_containers(template["trialSpec"]))
    primary = template.get("primaryContainerName")
    chosen = next((c for c in containers if c.get("name") == primary), containers[0] if containers else None)
    if chosen is None:
        draft.cannot("trialTemplate.trialSpec", "it has no container: your own code asks for the trials")
        return
    references = {one.get("name"): one.get("reference") for one in template.get("trialParameters") or []}
    words = [str(word) for word in [*(chosen.get("command") or []), *(chosen.get("args") or [])]]
    if not words:
        draft.cannot("trialTemplate: the container has no command", "your own code asks for the trials")
        return
    argv = [_argument(draft, word, references) for word in words]
    draft.run(argv, metrics={"lines": lines}, **_environment(draft, chosen))
    draft.leftover(chosen, ("name", "command", "args", "env", "resources"), "container.")
    if len(containers) > 1:
        draft.cannot("trialTemplate.trialSpec", "it has several containers; only the primary one is run")
    for replica in [key for key in (template["trialSpec"].get("spec") or {}) if key.endswith("ReplicaSpecs")]:
        draft.cannot(f"trialTemplate.trialSpec.{replica}", "a trial is one process on one machine")


def _containers(node: Any) -> Any:
    """All containers that are described somewhere below."""
    if isinstance(node, dict):
        for key, value in node.items():
            if key == "containers" and isinstance(value, list):
                yield from (one for one in value if isinstance(one, dict))
            else:
                yield from _containers(value)
    elif isinstance(node, list):
        for one in node:
            yield from _containers(one)


def _argument(draft: Draft, word: str, references: Json) -> str:
    """An argument, with the placeholders of a study."""
    parts = re.split(r"(\$\{trialParameters\.[^}]+\})", word)
    made = ""
    for part in parts:
        if not part.startswith("${trialParameters."):
            made += part.replace("{", "{{").replace("}", "}}")
            continue
        reference = draft.names.get(references.get(part[len("${trialParameters.") : -1], ""))
        if reference is None:
            draft.cannot(part, "it is no parameter of the experiment")
            made += part.replace("{", "{{").replace("}", "}}")
        else:
            made += f"{{{reference}}}"
    return made


def _environment(draft: Draft, container: Json) -> Json:
    """Variables as `env` of the task; what the container asks for becomes `needs`."""
    env: Json = {}
    needs: Json = {}
    for variable in container.get("env") or []:
        if "value" in variable:
            env[variable["name"]] = str(variable["value"])
        else:
            draft.cannot(f"container.env.{variable.get('name')}", "its value comes from the cluster")
    resources = container.get("resources") or {}
    asked = {**(resources.get("requests") or {}), **(resources.get("limits") or {})}
    for name, amount in asked.items():
        if name.endswith("/gpu"):
            needs["gpus"] = int(number(amount, name))
        elif name == "memory" and (gigabytes := _gigabytes(str(amount))):
            needs["memory_gb"] = gigabytes
        else:
            draft.cannot(f"container.resources.{name}: {amount}", "a study needs gpus and memory_gb only")
    if needs:
        draft.study["needs"] = needs
    return {"env": env} if env else {}


def _gigabytes(amount: str) -> float | None:
    units = {
        "Ki": 2**10,
        "Mi": 2**20,
        "Gi": 2**30,
        "Ti": 2**40,
        "k": 1e3,
        "K": 1e3,
        "M": 1e6,
        "G": 1e9,
        "T": 1e12,
        "": 1,
    }
    match = re.fullmatch(r"([0-9.]+)([A-Za-z]{0,2})", amount)
    if match is None or match[2] not in units:
        return None
    return round(float(match[1]) * units[match[2]] / 1e9, 3)
