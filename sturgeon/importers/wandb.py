"""Sweeps of Weights & Biases: the mapping that `wandb sweep` takes."""

from __future__ import annotations

import math
from typing import Any, Final

from sturgeon.importers.drafts import CannotImport, Draft, choice, normal, number, rounded, uniform
from sturgeon.values import Json

KNOWN: Final = (
    "name",
    "description",
    "program",
    "method",
    "metric",
    "parameters",
    "early_terminate",
    "command",
    "run_cap",
)
SAMPLERS: Final = {"grid": "grid", "random": "random", "bayes": "coarse_to_fine"}
COMMAND: Final = ("${env}", "${interpreter}", "${program}", "${args}")

_PARAMETER: Final = ("value", "values", "probabilities", "distribution", "min", "max", "mu", "sigma", "q")


def is_sweep(content: Json) -> bool:
    """Whether a mapping is a sweep."""
    return isinstance(content.get("parameters"), dict) and ("method" in content or "program" in content)


def read_sweep(content: Json) -> Draft:
    """The study of a sweep.

    Raises: CannotImport.
    """
    draft = Draft()
    draft.leftover(content, KNOWN)
    if content.get("name"):
        draft.call_it(content["name"])
    if content.get("description"):
        draft.study["title"] = str(content["description"])
    _goal(draft, content.get("metric") or {})
    _parameters(draft, content["parameters"], "")
    method = content.get("method", "bayes")
    if method not in SAMPLERS:
        draft.cannot(f"method: {method}", "coarse_to_fine is used instead")
    draft.study["search"] = {"sampler": SAMPLERS.get(method, "coarse_to_fine")}
    if content.get("run_cap"):
        draft.study["budget"] = draft.study.get("budget", {}) | {
            "max_trials": int(number(content["run_cap"], "run_cap"))
        }
    if content.get("early_terminate"):
        _early(draft, content["early_terminate"])
    _command(draft, content)
    return draft


def _goal(draft: Draft, metric: Json) -> None:
    draft.leftover(metric, ("name", "goal", "target"), "metric.")
    if "name" in metric:
        draft.study["metric"] = metric["name"]
        draft.study["direction"] = metric.get("goal", "minimize")
    if "target" in metric:
        bound = "below" if metric.get("goal", "minimize") == "minimize" else "above"
        draft.study["budget"] = {"stop_when": {bound: number(metric["target"], "metric.target")}}


def _parameters(draft: Draft, parameters: Json, above: str) -> None:
    for key, fields in parameters.items():
        name = f"{above}{key}"
        if not isinstance(fields, dict):
            raise CannotImport(f"The parameter {name} must be a mapping.")
        if isinstance(fields.get("parameters"), dict):
            draft.leftover(fields, ("parameters",), f"parameters.{name}.")
            draft.cannot(
                f"parameters.{name}", "W&B passes it as one object; here each entry of it is a parameter of its own"
            )
            _parameters(draft, fields["parameters"], f"{name}.")
            continue
        draft.leftover(fields, _PARAMETER, f"parameters.{name}.")
        if (made := _parameter(draft, name, fields)) is not None:
            draft.add(name, made)


def _parameter(draft: Draft, name: str, fields: Json) -> Json | None:
    kind = fields.get("distribution") or _kind(fields)
    if kind == "constant":
        return {"type": "fixed", "value": fields.get("value")}
    if kind in ("categorical", "categorical_w_probabilities"):
        return choice(fields["values"], fields.get("probabilities"))

    def at(field: str, default: float | None = None) -> Any:
        if field not in fields and default is None:
            raise CannotImport(f"The parameter {name} has no {field}.")
        return number(fields.get(field, default), f"{name}.{field}")

    q = at("q", 1) if "q" in kind else None
    plain = kind.removeprefix("q_").removeprefix("inv_")
    if plain in ("normal", "log_normal"):
        return normal(at("mu", 0), at("sigma", 1), log=plain == "log_normal", step=q)
    if plain == "int_uniform":
        return uniform(int(at("min")), int(at("max")), whole=True)
    if plain not in ("uniform", "log_uniform", "log_uniform_values"):
        draft.cannot(f"parameters.{name}", f"there is no distribution {kind!r}; write another one and import again")
        return None
    low, high = at("min"), at("max")
    if plain == "log_uniform":  # the ends are exponents of e; of the inverse, those of 1 / x
        low, high = (-high, -low) if kind.startswith("inv_") else (low, high)
        low, high = math.exp(low), math.exp(high)
    log = plain != "uniform"
    return uniform(low, high, log=log) if q is None else rounded(low, high, q, log=log)


def _kind(fields: Json) -> str:
    """The distribution that W&B takes where none is named."""
    if "value" in fields:
        return "constant"
    if "values" in fields:
        return "categorical"
    if "mu" in fields or "sigma" in fields:
        return "normal"
    whole = all(isinstance(fields.get(end), int) for end in ("min", "max"))
    return "int_uniform" if whole else "uniform"


def _early(draft: Draft, fields: Json) -> None:
    if fields.get("type") != "hyperband":
        draft.cannot(f"early_terminate.type: {fields.get('type')}", "only hyperband is known")
        return
    eta = int(number(fields.get("eta", 3), "early_terminate.eta"))
    if "min_iter" in fields:
        grace = int(number(fields["min_iter"], "early_terminate.min_iter"))
    else:
        brackets = int(number(fields.get("s", 1), "early_terminate.s"))
        grace = max(1, int(number(fields.get("max_iter", eta), "early_terminate.max_iter")) // eta**brackets)
    draft.study["pruning"] = {"rule": "asha", "eta": max(2, eta), "grace": grace}
    draft.leftover(fields, ("type", "eta", "min_iter", "max_iter", "s"), "early_terminate.")
    if "min_iter" in fields and "s" in fields:
        draft.cannot("early_terminate.s", "asha goes on with rungs up to the end of a trial")


def _command(draft: Draft, content: Json) -> None:
    if "program" not in content and "command" not in content:
        draft.assume("The file names no program: your own code asks for the trials.")
        return
    argv: list[str] = []
    for part in content.get("command") or COMMAND:
        argv += _words(draft, str(part), content)
    draft.run(argv)
    draft.assume(
        f"The program reports {draft.study.get('metric', 'its metric')} to W&B. Workers read a line of its output: "
        'STURGEON {"step": 3, "' + str(draft.study.get("metric", "loss")) + '": 0.2}.'
    )


def _words(draft: Draft, part: str, content: Json) -> list[str]:
    """The arguments that one entry of `command` stands for."""
    names = draft.study["space"]
    if part == "${env}":
        return []
    if part in ("${interpreter}", "${program}"):
        return ["python" if part == "${interpreter}" else str(content.get("program", ""))]
    if part == "${args}":
        return [f"--{name}={{{name}}}" for name in names]
    if part == "${args_no_hyphens}":
        return [f"{name}={{{name}}}" for name in names]
    if part == "${args_json_file}":
        return ["{params_file}"]
    if part == "${args_no_boolean_flags}":
        draft.cannot("command: ${args_no_boolean_flags}", "true and false are passed as values, not as flags")
        return [f"--{name}={{{name}}}" for name in names]
    if "${" in part:
        draft.cannot(f"command: {part}", "this macro is left out")
        return []
    return [part.replace("{", "{{").replace("}", "}}")]
