"""Spaces of Ray Tune: in Python source, or as JSON or YAML with calls as text and with `grid_search`."""

from __future__ import annotations

import ast
from typing import Any, Final

from sturgeon.importers.calls import Call, Unreadable, call_of, constants, function_of, parsed, value_of
from sturgeon.importers.drafts import CannotImport, Draft, choice, normal, number, rounded, uniform
from sturgeon.values import Json

_QUANTIZED: Final = ("quniform", "qloguniform", "qrandn", "qrandint", "qlograndint")
CALLS: Final = (
    *("choice", "uniform", "loguniform", "randn", "randint", "lograndint", "grid_search", "sample_from"),
    *_QUANTIZED,
)
SCHEDULERS: Final = {
    "ASHAScheduler": "asha",
    "AsyncHyperBandScheduler": "asha",
    "MedianStoppingRule": "median",
    "FIFOScheduler": "none",
}
_ABOVE: Final = ("param_space", "config", "tune_config", "num_samples", "metric", "mode", "stop", "run", "name")


def is_space(content: Json) -> bool:
    """Whether somewhere in a mapping a parameter is written as a call, or as `grid_search`."""
    return any(_is_domain(value) or (isinstance(value, dict) and is_space(value)) for value in content.values())


def is_source(text: str) -> bool:
    """Whether Python source uses Ray Tune."""
    return "tune." in text and ("ray" in text)


def read_space(content: Json) -> Draft:
    """The study of a space, or of an experiment that has one in `param_space` or `config`.

    Raises: CannotImport.
    """
    draft = Draft()
    if len(content) == 1 and isinstance(inner := next(iter(content.values())), dict) and "config" in inner:
        draft.call_it(next(iter(content)))  # the file of an experiment has its name above it
        content = inner
    space = content.get("param_space", content.get("config"))
    if isinstance(space, dict):
        _settings(draft, content | (content.get("tune_config") or {}))
        draft.leftover(content, _ABOVE)
    _add_all(draft, space if isinstance(space, dict) else content, "")
    _sampler(draft)
    return draft


def read_source(source: str, text: str) -> Draft:
    """The study of a Python file: its dictionaries with calls of `tune`, and what its calls say of the search.

    Raises: CannotImport.
    """
    tree, draft = parsed(source, text), Draft()
    names = constants(tree)
    spaces = [node for node in ast.walk(tree) if isinstance(node, ast.Dict) and _has_calls(node)]
    inside = {id(inner) for outer in spaces for inner in ast.walk(outer) if inner is not outer}
    outermost = [node for node in spaces if id(node) not in inside]
    if len(outermost) != 1:
        where = ", ".join(f"line {node.lineno}" for node in outermost) or "none"
        raise CannotImport(f"{source} should have one dictionary with calls of tune; it has {len(outermost)}: {where}.")
    _add_all(draft, _plain(draft, outermost[0], names, ""), "")
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and function_of(node) in ("TuneConfig", "run", *SCHEDULERS):
            _settings(draft, _readable(node, names))
    _sampler(draft)
    return draft


def _is_domain(value: object) -> bool:
    if isinstance(value, dict):
        return "grid_search" in value and len(value) == 1
    return isinstance(value, str) and _as_call(value) is not None


def _as_call(text: str) -> Call | None:
    """`tune.uniform(0, 1)` or `uniform(0, 1)`, written as text; None if it is other text."""
    if not text.endswith(")") or "(" not in text:
        return None
    try:
        node = ast.parse(text.strip(), mode="eval").body
        return call_of(node, {}) if isinstance(node, ast.Call) and function_of(node) in CALLS else None
    except (SyntaxError, ValueError, RecursionError):
        return None
    except Unreadable:
        return Call("sample_from", (), {}, text)


def _has_calls(node: ast.Dict) -> bool:
    return any(_is_tune(inner) for value in node.values for inner in ast.walk(value))


def _is_tune(node: ast.AST) -> bool:
    if not isinstance(node, ast.Call) or function_of(node) not in CALLS:
        return False
    if isinstance(node.func, ast.Attribute):
        return isinstance(node.func.value, ast.Name) and node.func.value.id == "tune"
    return function_of(node) != "choice" or len(node.args) == 1


def _plain(draft: Draft, node: ast.Dict, names: Json, above: str) -> Json:
    """The dictionary, with calls of tune as `Call`; what only the program knows is named."""
    made: Json = {}
    for key, value in zip(node.keys, node.values, strict=True):
        name = str(key.value) if isinstance(key, ast.Constant) else "" if key is None else ast.unparse(key)
        try:
            if isinstance(value, ast.Dict) and _has_calls(value):
                made[name] = _plain(draft, value, names, f"{above}{name}/")
            elif isinstance(value, ast.Call):
                if not _is_tune(value):
                    raise Unreadable
                made[name] = call_of(value, names)
            else:
                made[name] = value_of(value, names)
        except Unreadable:
            draft.cannot(
                f"{above}{name or '**'}: {ast.unparse(value)[:80]}", "only running the program tells its value"
            )
    return made


def _readable(node: ast.Call, names: Json) -> Json:
    """The keyword arguments of a call that are constants, and the scheduler that it names."""
    found: Json = {}
    for keyword in node.keywords:
        try:
            found[keyword.arg or "**"] = value_of(keyword.value, names)
        except Unreadable:
            continue
    if (name := function_of(node)) in SCHEDULERS:
        found = {"scheduler": name} | {k: v for k, v in found.items() if k in ("grace_period", "reduction_factor")}
    return found


def _settings(draft: Draft, said: Json) -> None:
    """Metric, number of samples and scheduler."""
    if isinstance(said.get("metric"), str):
        draft.study["metric"] = said["metric"]
    if said.get("mode") in ("min", "max"):
        draft.study["direction"] = "minimize" if said["mode"] == "min" else "maximize"
    if isinstance(said.get("num_samples"), int) and said["num_samples"] > 0:
        draft.study["budget"] = {"max_trials": said["num_samples"]}
    scheduler = said.get("scheduler")
    if isinstance(scheduler, dict):
        said, scheduler = {**said, **scheduler}, scheduler.get("type")
    if scheduler in SCHEDULERS:
        rule = SCHEDULERS[scheduler]
        options = {"eta": said.get("reduction_factor"), "grace": said.get("grace_period")}
        kept = {name: int(value) for name, value in options.items() if value and (rule == "asha" or name == "grace")}
        draft.study["pruning"] = {"rule": rule} | (kept if rule != "none" else {})
    elif scheduler:
        draft.cannot(f"scheduler: {scheduler}", "no pruning rule is like it")
    for field in ("stop", "run", "search_alg", "time_budget_s", "max_concurrent_trials"):
        if said.get(field) is not None:
            draft.cannot(f"{field}: {said[field]}", "say it in the study yourself")


def _add_all(draft: Draft, space: Json, above: str) -> None:
    for key, value in space.items():
        name = f"{above}{key}"
        if isinstance(value, dict) and not _is_domain(value):
            _add_all(draft, value, f"{name}/")
            continue
        call = value if isinstance(value, Call) else _as_call(value) if isinstance(value, str) else None
        if isinstance(value, dict):
            call = Call("grid_search", (value["grid_search"],), {}, f"grid_search({value['grid_search']})")
        if call is None:
            draft.add(name, {"type": "fixed", "value": value})
        elif (made := _parameter(name, call)) is not None:
            draft.add(name, made)
        else:
            draft.cannot(f"{name}: {call.source[:80]}", "only running the program tells its value")


def _parameter(name: str, call: Call) -> Json | None:
    kind = call.function
    if kind in ("choice", "grid_search"):
        values = call.argument(0, "categories" if kind == "choice" else "values")
        if not isinstance(values, list) or not values:
            raise CannotImport(f"{name}: {call.source} has no list of values.")
        made = choice(values)
        return made | {"grid": True} if kind == "grid_search" and made["type"] == "choice" else made
    if kind == "sample_from":
        return None

    def at(place: int, argument: str, default: Any = ...) -> Any:
        return number(call.argument(place, argument, default), f"{name}.{argument}")

    if kind in ("randn", "qrandn"):
        step = at(2, "q") if kind == "qrandn" else None
        return normal(at(0, "mean", 0.0), at(1, "sd", 1.0), step=step)
    low, high, log = at(0, "lower"), at(1, "upper"), "log" in kind
    if kind in ("randint", "lograndint"):  # without its upper end
        return uniform(int(low), int(high) - 1, log=log, whole=True)
    if kind in ("qrandint", "qlograndint"):
        return rounded(low, high, at(2, "q", 1), log=log, whole=True)
    if kind in ("quniform", "qloguniform"):
        return rounded(low, high, at(2, "q"), log=log)
    return uniform(low, high, log=log)


def _sampler(draft: Draft) -> None:
    """A grid if all parameters are `grid_search`; otherwise those are choices."""
    searched = {name: p for name, p in draft.study["space"].items() if p["type"] != "fixed"}
    marked = [name for name, parameter in searched.items() if parameter.pop("grid", False)]
    if marked and len(marked) == len(searched):
        draft.study["search"] = {"sampler": "grid"}
        draft.study.pop("budget", None)
    elif marked:
        draft.cannot(f"grid_search of {', '.join(marked)}", "beside sampled parameters it is a choice like others")
