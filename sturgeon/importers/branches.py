"""The branches of an objective in Python: which parameters are active under which values of others."""

from __future__ import annotations

import ast
from typing import Any, Final

from sturgeon.importers.calls import Unreadable, value_of
from sturgeon.importers.drafts import Draft
from sturgeon.values import Json

Conditions = dict[str, Any]
"""What a parameter's `when` says: by the name of another one, its values, or a range."""

_RANGES: Final[dict[type, tuple[str, str]]] = {
    ast.GtE: ("at_least", "below"),
    ast.Gt: ("above", "at_most"),
    ast.LtE: ("at_most", "above"),
    ast.Lt: ("below", "at_least"),
}
"""For an operator the range in which it holds, and that in which it does not."""


class Branches:
    """variables: the parameter whose value a variable holds."""

    def __init__(self, draft: Draft) -> None:
        self.draft = draft
        self.variables: dict[str, str] = {}

    def add(self, name: str, parameter: Json, when: Conditions) -> str:
        """Add a parameter that is active under these conditions; one that is there already is active under both."""
        known = self.draft.study["space"].get(name)
        if known is None:
            return self.draft.add(name, parameter, when)
        before = known.get("when") or {}
        if {key: value for key, value in known.items() if key != "when"} != parameter:
            self.draft.cannot(f"{name}: {parameter}", f"a parameter has one range, and {name} has another one before")
        elif before != when:
            known.pop("when", None)
            if both := _either(before, when):
                known["when"] = both
        return name

    def of(self, test: ast.expr, when: Conditions) -> tuple[Conditions | None, Conditions | None]:
        """The conditions under which a test holds, and under which it does not; None where that can never be.

        A test that no condition says is named, and its branches are always active.
        """
        read = self._read(test)
        if read is None:
            self.draft.cannot(
                f"line {test.lineno}: if {ast.unparse(test)[:60]}", "the parameters in its branches are always active"
            )
            return when, when
        return tuple(None if one is None else _both(when, one) for one in read)  # type: ignore[return-value]

    def turns(self, loop: ast.For, names: Json, when: Conditions) -> list[tuple[Any, Conditions]] | None:
        """The values of a loop's variable, and under which conditions it takes them."""
        try:
            values = value_of(loop.iter, names)
            return [(value, when) for value in values] if isinstance(values, list) else None
        except Unreadable:
            pass
        arguments = loop.iter.args if isinstance(loop.iter, ast.Call) and not loop.iter.keywords else []
        name = self._parameter(arguments[0]) if len(arguments) == 1 else None
        counted = self.draft.study["space"].get(name) or {}
        if name is None or counted.get("type") != "int" or counted["high"] > 100:
            return None
        low: int = counted["low"]
        return [
            (turn, when if turn < low else _both(when, {name: {"at_least": turn + 1}}))
            for turn in range(counted["high"])
        ]

    def _parameter(self, node: ast.AST) -> str | None:
        """The parameter that a variable holds."""
        return self.variables.get(node.id) if isinstance(node, ast.Name) else None

    def _read(self, test: ast.expr) -> tuple[Conditions | None, Conditions | None] | None:
        if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
            read = self._read(test.operand)
            return None if read is None else (read[1], read[0])
        if (name := self._parameter(test)) is not None:
            return self._among(name, [True])
        if not isinstance(test, ast.Compare) or len(test.ops) != 1:
            return None
        name, operator = self._parameter(test.left), test.ops[0]
        try:
            value = value_of(test.comparators[0], {})
        except Unreadable:
            return None
        if name is None:
            return None
        if isinstance(operator, ast.Eq | ast.NotEq | ast.In | ast.NotIn):
            read = self._among(name, value if isinstance(operator, ast.In | ast.NotIn) else [value])
            negated = isinstance(operator, ast.NotEq | ast.NotIn)
            return (read[1], read[0]) if read is not None and negated else read
        if type(operator) in _RANGES and self.draft.study["space"][name]["type"] in ("int", "float"):
            holds, fails = _RANGES[type(operator)]
            return {name: {holds: value}}, {name: {fails: value}}
        return None

    def _among(self, name: str, wanted: Any) -> tuple[Conditions | None, Conditions | None] | None:
        """Whether a parameter has one of these values."""
        parameter = self.draft.study["space"][name]
        if parameter["type"] != "choice" or not isinstance(wanted, list):
            return None
        yes = [value for value in parameter["values"] if value in wanted]
        no = [value for value in parameter["values"] if value not in wanted]
        return ({name: yes} if yes else None), ({name: no} if no else None)


def _both(first: Conditions, second: Conditions) -> Conditions:
    """Where both hold."""
    merged = dict(first)
    for name, wanted in second.items():
        before = merged.get(name)
        if isinstance(before, list) and isinstance(wanted, list):
            merged[name] = [value for value in before if value in wanted] or wanted
        elif isinstance(before, dict) and isinstance(wanted, dict):
            merged[name] = _narrowed(before, wanted)
        else:
            merged[name] = wanted
    return merged


def _narrowed(first: Json, second: Json) -> Json:
    """The range in which both hold."""
    ends = {"at_least": max, "above": max, "at_most": min, "below": min}
    return {
        end: stricter(one[end] for one in (first, second) if end in one)
        for end, stricter in ends.items()
        if end in first or end in second
    }


def _either(first: Conditions, second: Conditions) -> Conditions:
    """Where one of them holds; without conditions (always) unless they are lists of values of one parameter."""
    if len(first) == len(second) == 1 and first.keys() == second.keys():
        (name,) = first
        if isinstance(first[name], list) and isinstance(second[name], list):
            return {name: first[name] + [value for value in second[name] if value not in first[name]]}
    return {}
