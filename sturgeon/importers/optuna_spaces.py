"""Search spaces of Optuna: its distributions as JSON, and the `suggest_` calls of an objective in Python source."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator, Sequence
from typing import Any, Final

from sturgeon.importers.branches import Branches, Conditions
from sturgeon.importers.calls import Call, Unreadable, call_of, constants, function_of, parsed, value_of
from sturgeon.importers.drafts import CannotImport, Draft, choice, number, uniform
from sturgeon.values import Json

SAMPLERS: Final = {"RandomSampler": "random", "GridSampler": "grid", "QMCSampler": "sobol", "BruteForceSampler": "grid"}
SAME: Final = ("TPESampler", "CmaEsSampler", "GPSampler", "BoTorchSampler", "NSGAIISampler")
PRUNERS: Final = {
    "MedianPruner": "median",
    "SuccessiveHalvingPruner": "asha",
    "HyperbandPruner": "asha",
    "NopPruner": "none",
}
_OPTIONS: Final = {"n_warmup_steps": "grace", "min_resource": "grace", "reduction_factor": "eta"}


def is_distributions(content: Json) -> bool:
    """Whether a mapping has distributions of Optuna, as `distribution_to_json` writes them."""
    return bool(content) and all(_distribution(value) is not None for value in content.values())


def is_source(text: str) -> bool:
    """Whether Python source suggests parameters."""
    return ".suggest_" in text


def read_distributions(content: Json) -> Draft:
    """The study of a mapping from names to distributions. Raises: CannotImport."""
    draft = Draft()
    for name, value in content.items():
        draft.add(name, parameter_of(name, *(_distribution(value) or ("", {}))))
    return draft


def parameter_of(name: str, kind: str, said: Json) -> Json:
    """The parameter of a distribution of this class with these attributes.

    Raises: CannotImport (the class is unknown).
    """
    if kind == "CategoricalDistribution":
        return choice(list(said["choices"]))
    low, high, step = said.get("low", 0), said.get("high", 0), said.get("step", said.get("q"))
    if kind in ("FloatDistribution", "UniformDistribution", "LogUniformDistribution", "DiscreteUniformDistribution"):
        log = bool(said.get("log")) or kind == "LogUniformDistribution"
        return uniform(float(low), float(high), log=log, step=step)
    if kind in ("IntDistribution", "IntUniformDistribution", "IntLogUniformDistribution"):
        log = bool(said.get("log")) or kind == "IntLogUniformDistribution"
        return uniform(int(low), int(high), log=log, step=None if step in (None, 1) else int(step), whole=True)
    raise CannotImport(f"{name} has the distribution {kind!r}, which is unknown.")


def read_source(source: str, text: str) -> Draft:
    """The study of a Python file: the calls `trial.suggest_..` of its functions, and of `create_study`.

    Raises: CannotImport.
    """
    tree, draft = parsed(source, text), Draft()
    _Objective(draft, tree).read()
    names = constants(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and function_of(node) in ("create_study", "optimize"):
            _settings(draft, node, names)
    if "pruning" not in draft.study and "should_prune" in text:
        draft.study["pruning"] = {"rule": "median"}
    draft.study.setdefault("metric", "value")
    draft.study.setdefault("direction", "minimize")
    draft.assume("Optuna's objective has no name: the metric is called value.")
    return draft


def _distribution(value: object) -> tuple[str, Json] | None:
    if isinstance(value, str) and value.startswith("{"):
        try:
            value = json.loads(value)
        except ValueError:
            return None
    if not isinstance(value, dict) or not str(value.get("name", "")).endswith("Distribution"):
        return None
    return str(value["name"]), value.get("attributes") or {}


def _settings(draft: Draft, node: ast.Call, names: Json) -> None:
    for keyword in node.keywords:
        name, value = keyword.arg, keyword.value
        if name in ("sampler", "pruner") and isinstance(value, ast.Call):
            _method(draft, value, names)
            continue
        try:
            said = value_of(value, names)
        except Unreadable:
            continue
        if name == "direction":
            draft.study["direction"] = said
        elif name == "directions":
            raise CannotImport("The study has several objectives; a study of ours has one metric.")
        elif name == "study_name" and said:
            draft.call_it(said)
        elif name == "n_trials" and said:
            draft.study["budget"] = {"max_trials": int(said)}
        elif name in ("timeout", "n_jobs") and said:
            draft.cannot(f"optimize({name}={said})", "say it by the budget, or by the number of workers")


def _method(draft: Draft, node: ast.Call, names: Json) -> None:
    """The sampler or the pruner."""
    kind = function_of(node) or ""
    try:
        options = dict(call_of(node, names).kwargs)
    except Unreadable:
        options = {}
    if kind in PRUNERS:
        draft.study["pruning"] = {"rule": PRUNERS[kind]}
        for option in list(options):
            if option in _OPTIONS and isinstance(options[option], int) and options[option] > 0:
                draft.study["pruning"][_OPTIONS[option]] = options.pop(option)
    elif kind in SAMPLERS or kind in SAME:
        draft.study["search"] = {"sampler": SAMPLERS.get(kind, "coarse_to_fine")}
        if isinstance(options.get("seed"), int):
            draft.study["search"]["seed"] = options.pop("seed")
    else:
        draft.cannot(f"{kind}(..)", "no sampler or pruning rule is like it")
    for option in options:
        draft.cannot(f"{kind}({option}=..)", "there is no such option")


class _Objective:
    """Walks through the functions that suggest parameters, as running them would."""

    def __init__(self, draft: Draft, tree: ast.Module) -> None:
        self.draft = draft
        self.names = constants(tree)
        self.branches = Branches(draft)
        functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
        self.functions = {node.name: node for node in functions if any(map(_is_suggestion, ast.walk(node)))}
        self.inside: list[str] = []

    def read(self) -> None:
        called = {
            function_of(node)
            for name, function in self.functions.items()
            for node in ast.walk(function)
            if function_of(node) != name
        }
        roots = [name for name in self.functions if name not in called]
        if not roots:
            raise CannotImport("No function suggests parameters.")
        for name in roots:
            self._function(name, {})

    def _function(self, name: str, when: Conditions) -> None:
        if name not in self.inside:
            self.inside.append(name)
            self._body(self.functions[name].body, when)
            self.inside.pop()

    def _body(self, body: Sequence[ast.stmt], when: Conditions) -> None:
        for statement in body:
            if isinstance(statement, ast.If):
                self._if(statement, when)
            elif isinstance(statement, ast.For):
                self._for(statement, when)
            elif isinstance(statement, ast.With | ast.Try):
                self._body(statement.body, when)
            elif not isinstance(statement, ast.FunctionDef | ast.ClassDef):
                self._statement(statement, when)

    def _statement(self, statement: ast.stmt, when: Conditions) -> None:
        for node in ast.walk(statement):
            if isinstance(node, ast.Call) and _is_suggestion(node):
                name = self._suggestion(node, when)
                if isinstance(statement, ast.Assign) and statement.value is node and name:
                    self.branches.variables |= {t.id: name for t in statement.targets if isinstance(t, ast.Name)}
            elif isinstance(node, ast.Call) and function_of(node) in self.functions:
                self._function(function_of(node) or "", when)

    def _if(self, statement: ast.If, when: Conditions) -> None:
        self._statement(ast.Expr(statement.test), when)
        chosen = any(_is_suggestion(node) or function_of(node) in self.functions for node in _below(statement))
        if not chosen:
            return
        yes, no = self.branches.of(statement.test, when)
        if yes is not None:
            self._body(statement.body, yes)
        if no is not None:
            self._body(statement.orelse, no)

    def _for(self, statement: ast.For, when: Conditions) -> None:
        """A loop over constants, or over range(n) of a parameter n: turn i is active where n is greater than i."""
        if not any(_is_suggestion(node) or function_of(node) in self.functions for node in _below(statement)):
            return
        turns = self.branches.turns(statement, self.names, when)
        if turns is None:
            self.draft.cannot(
                f"line {statement.lineno}: for {ast.unparse(statement.target)} in {ast.unparse(statement.iter)[:60]}",
                "only running the program tells its turns",
            )
            return
        before = self.names
        for value, active in turns:
            self.names = before | ({statement.target.id: value} if isinstance(statement.target, ast.Name) else {})
            self._body(statement.body, active)
        self.names = before

    def _suggestion(self, node: ast.Call, when: Conditions) -> str | None:
        try:
            call = call_of(node, self.names)
            name = str(call.argument(0, "name"))
            made = _suggested(name, call)
        except Unreadable:
            self.draft.cannot(
                f"line {node.lineno}: {ast.unparse(node)[:80]}", "only running the program tells its range"
            )
            return None
        if made is None:
            self.draft.cannot(f"line {node.lineno}: {call.source[:80]}", "it is unknown")
            return None
        return self.branches.add(name, made, when)


def _below(statement: ast.If | ast.For) -> Iterator[ast.AST]:
    for inner in (*statement.body, *statement.orelse):
        yield from ast.walk(inner)


def _is_suggestion(node: ast.AST) -> bool:
    return (function_of(node) or "").startswith("suggest_") and isinstance(getattr(node, "func", None), ast.Attribute)


def _suggested(name: str, call: Call) -> Json | None:
    kind = call.function.removeprefix("suggest_")
    if kind == "categorical":
        values = call.argument(1, "choices")
        if not isinstance(values, list) or not values:
            raise CannotImport(f"{call.source} has no list of choices.")
        return choice(values)
    if kind not in ("float", "int", "uniform", "loguniform", "discrete_uniform"):
        return None

    def at(place: int, argument: str) -> Any:
        return number(call.argument(place, argument), f"{name}.{argument}")

    said: Json = {
        "low": at(1, "low"),
        "high": at(2, "high"),
        "log": kind == "loguniform" or call.kwargs.get("log", False),
    }
    if kind == "discrete_uniform":
        said["step"] = at(3, "q")
    elif kind == "int" and len(call.args) > 3:
        said["step"] = at(3, "step")
    elif call.kwargs.get("step") is not None:
        said["step"] = call.kwargs["step"]
    return parameter_of(name, "IntDistribution" if kind == "int" else "FloatDistribution", said)
