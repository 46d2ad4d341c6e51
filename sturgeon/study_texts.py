"""Studies and spaces as text: JSON, or YAML by the rules of YAML 1.2, so that both mean the same: 1e-4 is a number,
`no` and 2026-11-23 are text."""

from __future__ import annotations

import json
import math
import re
from typing import Any, ClassVar, Final, NoReturn

import yaml

MOST_VALUES: Final = 100_000
"""Values that a YAML text with aliases may have, those of each alias counted."""
MOST_DEPTH: Final = 100
"""Levels of lists and mappings: far more than a study has, and far fewer than whoever writes them again can bear."""

_TAG: Final = "tag:yaml.org,2002:"


class Unreadable(ValueError):
    """The text is no mapping in JSON or YAML. `what` goes on from its source: "is not valid YAML: line 3, ..".
    `line` counts from 1, where it is known."""

    def __init__(self, what: str, line: int | None = None) -> None:
        super().__init__(what)
        self.what, self.line = what, line


def read_text(text: str, *, is_yaml: bool | None = None) -> dict[str, Any]:
    """The mapping in a text; its first character tells JSON from YAML, unless it is said. Raises: Unreadable."""
    if is_yaml is None:
        is_yaml = not text.lstrip().startswith(("{", "["))
    try:
        content = _from_yaml(text) if is_yaml else _from_json(text)
        _require_shallow(content)
    except json.JSONDecodeError as error:
        raise Unreadable(f"is not JSON: {error}", error.lineno) from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        raise Unreadable(f"is not valid YAML: {_location(error)}", mark.line + 1 if mark else None) from None
    except RecursionError:
        raise Unreadable("is nested too deeply") from None
    except ValueError as error:
        raise Unreadable(f"cannot be read: {error}") from None
    if not isinstance(content, dict):
        raise Unreadable("is not a mapping: write names with values, as in examples/digits.yaml")
    return content


def _require_shallow(content: object) -> None:
    """Raises: RecursionError."""
    level = [content]
    for _ in range(MOST_DEPTH + 1):
        inner = [one for one in level if isinstance(one, list | dict)]
        level = [part for one in inner for part in (one.values() if isinstance(one, dict) else one)]
        if not level:
            return
    raise RecursionError


def _from_json(text: str) -> object:
    return json.loads(text, object_pairs_hook=_unique, parse_float=_finite, parse_constant=_finite)


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    mapping = dict(pairs)
    if len(mapping) < len(pairs):
        names = [name for name, _ in pairs]
        duplicate = next(name for i, name in enumerate(names) if name in names[:i])
        raise ValueError(f"the name {duplicate!r} is used twice in one object")
    return mapping


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is not a finite number")
    return number


def _from_yaml(text: str) -> object:
    return yaml.load(text, _Loader)  # a safe loader, with fewer types


def _location(error: yaml.YAMLError) -> str:
    """Where the error is and what is wrong, in one line."""
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        mark = error.problem_mark
        return f"line {mark.line + 1}, column {mark.column + 1}: {error.problem}"
    return " ".join(str(error).split())


class _Loader(yaml.SafeLoader):
    """Only JSON's types, by the core schema of YAML 1.2. Each name may be used once in a mapping."""

    # PyYAML's way: filled below.
    yaml_implicit_resolvers: dict[Any, Any] = {}  # noqa: RUF012 - an instance attribute for its stubs
    yaml_constructors: ClassVar[dict[Any, Any]] = {}

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self._values = 0
        self._values_of: dict[int, int] = {}

    def compose_node(self, parent: Any, index: Any) -> yaml.Node | None:
        """Counts the values: a few aliases that refer to each other stand for any number of them."""
        alias = self.peek_event() if self.check_event(yaml.AliasEvent) else None  # type: ignore[no-untyped-call]
        before = self._values
        node: yaml.Node | None = super().compose_node(parent, index)
        if alias is None:
            self._values += 1
            self._values_of[id(node)] = self._values - before
            return node
        if id(node) not in self._values_of:
            problem = f"the alias *{alias.anchor} stands for what contains it"
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=alias.start_mark)
        self._values += self._values_of[id(node)]
        if self._values > MOST_VALUES:
            problem = f"with the alias *{alias.anchor} there are more than {MOST_VALUES} values"
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=alias.start_mark)
        return node

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        assert node is not None
        names: set[str] = set()
        for key, _ in node.value:
            if key.tag not in (f"{_TAG}str", f"{_TAG}merge"):
                raise yaml.MarkedYAMLError(
                    problem='a name must be text: put it in quotes ("..")', problem_mark=key.start_mark
                )
            if key.value in names:
                problem = f"the name {key.value!r} is used twice in one mapping"
                raise yaml.MarkedYAMLError(problem=problem, problem_mark=key.start_mark)
            names.add(key.value)
        return node


def _number(_loader: yaml.SafeLoader, node: yaml.ScalarNode) -> int | float:
    text = node.value
    try:
        if node.tag == f"{_TAG}float":
            return _finite(text.replace(".inf", "inf").replace(".nan", "nan"))
        return int(text, 0) if text.startswith(("0x", "0o")) else int(text)
    except ValueError as error:
        raise yaml.MarkedYAMLError(problem=str(error), problem_mark=node.start_mark) from None


def _unknown(_loader: yaml.SafeLoader, node: yaml.Node) -> NoReturn:
    problem = f"write text, numbers, lists and mappings; {node.tag.removeprefix(_TAG)} is not supported"
    raise yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark)


_CORE: Final = {
    "null": (r"~|null|Null|NULL|", "~nN\0", lambda _loader, _node: None),
    "bool": (r"true|True|TRUE|false|False|FALSE", "tTfF", lambda _loader, node: node.value.lower() == "true"),
    "int": (r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", "-+0123456789", _number),
    "float": (
        r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
        "-+.0123456789",
        _number,
    ),
    "merge": (r"<<", "<", _unknown),
}
for _name, (_pattern, _first, _construct) in _CORE.items():
    # "\0" stands for the empty text, which PyYAML looks up under "".
    _starts = ["" if character == "\0" else character for character in _first]
    _Loader.add_implicit_resolver(_TAG + _name, re.compile(f"^(?:{_pattern})$"), _starts)
    _Loader.yaml_constructors[_TAG + _name] = _construct
_Loader.yaml_constructors |= {
    f"{_TAG}str": yaml.SafeLoader.construct_yaml_str,
    f"{_TAG}seq": yaml.SafeLoader.construct_yaml_seq,
    f"{_TAG}map": yaml.SafeLoader.construct_yaml_map,
    None: _unknown,
}
