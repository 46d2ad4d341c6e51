"""Calls such as `tune.loguniform(1e-4, 1e-1)` in Python source or as text: they are read, and never run."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sturgeon.importers.drafts import CannotImport


@dataclass(frozen=True)
class Call:
    """A call of a function by its last name; `source`: the text of it."""

    function: str
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    source: str

    def argument(self, place: int, name: str, default: Any = ...) -> Any:
        """An argument by its place or name. Raises: CannotImport (it is missing)."""
        if place < len(self.args):
            return self.args[place]
        if name in self.kwargs:
            return self.kwargs[name]
        if default is ...:
            raise CannotImport(f"{self.source} has no argument {name}.")
        return default


class Unreadable(Exception):
    """An expression whose value only running the program tells."""


def function_of(node: ast.AST) -> str | None:
    """The last name of the function that is called: `loguniform` of `tune.loguniform(..)`."""
    if not isinstance(node, ast.Call):
        return None
    if isinstance(node.func, ast.Attribute):
        return node.func.attr
    return node.func.id if isinstance(node.func, ast.Name) else None


def call_of(node: ast.Call, names: Mapping[str, Any]) -> Call:
    """A call whose arguments are constants, or names of constants.

    Raises: Unreadable.
    """
    kwargs = {keyword.arg: value_of(keyword.value, names) for keyword in node.keywords if keyword.arg is not None}
    if len(kwargs) < len(node.keywords):
        raise Unreadable
    args = tuple(value_of(one, names) for one in node.args)
    return Call(function_of(node) or "", args, kwargs, ast.unparse(node))


def value_of(node: ast.AST, names: Mapping[str, Any]) -> Any:
    """The value of a constant, a list, a dict, a sign or a power of constants, a name of one, or an f-string.

    Raises: Unreadable.
    """
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.Name) and node.id in names:
        return names[node.id]
    if isinstance(node, ast.List | ast.Tuple):
        return [value_of(one, names) for one in node.elts]
    if isinstance(node, ast.ListComp) and len(node.generators) == 1:
        return _comprehended(node, node.generators[0], names)
    if isinstance(node, ast.Dict) and None not in node.keys:
        keys = [value_of(key, names) for key in node.keys if key is not None]
        return dict(zip(keys, (value_of(one, names) for one in node.values), strict=True))
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return -_number(node.operand, names)
    if isinstance(node, ast.BinOp):
        return _arithmetic(node, names)
    if isinstance(node, ast.JoinedStr):
        return "".join(str(value_of(part, names)) for part in node.values)
    if isinstance(node, ast.FormattedValue) and node.conversion == -1 and node.format_spec is None:
        return value_of(node.value, names)
    if function_of(node) == "range" and isinstance(node, ast.Call) and not node.keywords:
        ends = [value_of(one, names) for one in node.args]
        if all(isinstance(end, int) for end in ends) and len(made := range(*ends)) <= 1000:
            return list(made)
    raise Unreadable


def _comprehended(node: ast.ListComp, loop: ast.comprehension, names: Mapping[str, Any]) -> list[Any]:
    """`[2**i for i in range(9)]`"""
    turns = value_of(loop.iter, names)
    if loop.ifs or not isinstance(loop.target, ast.Name) or not isinstance(turns, list):
        raise Unreadable
    return [value_of(node.elt, {**names, loop.target.id: turn}) for turn in turns]


def _number(node: ast.AST, names: Mapping[str, Any]) -> Any:
    value = value_of(node, names)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Unreadable
    return value


def _arithmetic(node: ast.BinOp, names: Mapping[str, Any]) -> Any:
    left, right = _number(node.left, names), _number(node.right, names)
    try:
        if isinstance(node.op, ast.Pow) and abs(right) <= 64 and abs(left) <= 1024:
            return left**right
        if isinstance(node.op, ast.Mult):
            return left * right
        if isinstance(node.op, ast.Add):
            return left + right
        if isinstance(node.op, ast.Sub):
            return left - right
        if isinstance(node.op, ast.Div):
            return left / right
    except (ZeroDivisionError, OverflowError):
        pass
    raise Unreadable


def constants(tree: ast.AST) -> dict[str, Any]:
    """The constants that a module names at its top level, each assigned once."""
    found: dict[str, Any] = {}
    twice: set[str] = set()
    for node in getattr(tree, "body", []):
        if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
            name = node.targets[0].id
            if name in found:
                twice.add(name)
            try:
                found[name] = value_of(node.value, found)
            except Unreadable:
                twice.add(name)
    return {name: value for name, value in found.items() if name not in twice}


def parsed(source: str, text: str) -> ast.Module:
    """The tree of a module. Raises: CannotImport (it is no Python)."""
    try:
        return ast.parse(text)
    except (SyntaxError, ValueError, RecursionError) as error:
        raise CannotImport(f"{source} is no Python that can be read: {error}.") from None
