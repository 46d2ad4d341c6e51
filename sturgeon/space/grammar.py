"""Reads a constraint: `units1 >= units2`, `lr * batch_size <= 10`, `optimizer == "sgd" or beta <= 0.99`.

    constraint = both ("or" both)*          both = compared ("and" compared)*
    compared   = sum (("<" | "<=" | ">" | ">=" | "==" | "!=") sum)*
    sum        = product (("+" | "-") product)*          product = signed (("*" | "/") signed)*
    signed     = "-"* (number | name | `name` | "text" | true | false | null | "(" constraint ")")

A comparison may go on, as in `low <= middle <= high`. The text is read by this parser alone and never run as code.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final, NamedTuple, cast

from sturgeon.space.expressions import (
    Arithmetic,
    Comparison,
    Is,
    Joined,
    Literally,
    Logical,
    Node,
    Numeric,
    Parameter,
    Relation,
    Sign,
)

MOST_LETTERS: Final = 500
MOST_NESTED: Final = 20

_TOKEN: Final = re.compile(
    r"""\s*(?:(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)|(?P<word>[^\W\d][\w.]*)|`(?P<quoted>[^`]+)`"""
    r"""|"(?P<text>[^"]*)"|'(?P<single>[^']*)'|(?P<sign><=|>=|==|!=|[-+*/()<>]))"""
)
_LITERALS: Final[dict[str, bool | None]] = {"true": True, "false": False, "null": None}
_RELATIONS: Final = ("<", "<=", ">", ">=", "==", "!=")


_INSTEAD: Final = {
    "=": "write ==",
    "not": "write the opposite comparison",
    "!": "write the opposite comparison",
    "*": "there are no powers, write a product",
    "^": "there are no powers, write a product",
    "(": "there are no functions",
    ",": "there are no functions",
    "%": "there are no remainders",
    "&": "write and",
    "|": "write or",
}
"""What a person may have meant by what is not in the grammar, and what to write instead."""


class _Token(NamedTuple):
    kind: str
    text: str


def parse(text: str) -> Logical:
    """The tree of a constraint. Raises: ValueError (what is wrong, and at which sign)."""
    if len(text) > MOST_LETTERS:
        raise ValueError(f"write at most {MOST_LETTERS} characters")
    reader = _Reader(_tokens(text))
    node = reader.either()
    if reader.next is not None:
        raise _unexpected(reader.next)
    if not isinstance(node, Logical):
        raise ValueError("compare two sides with one of " + " ".join(_RELATIONS))
    return node


def _unexpected(token: _Token) -> ValueError:
    return ValueError(f"{token.text!r} is not expected there{_meant(token.text)}")


def _meant(sign: str) -> str:
    return f"; {_INSTEAD[sign]}" if sign in _INSTEAD else ""


def _tokens(text: str) -> list[_Token]:
    tokens, at = [], 0
    while text[at:].strip():
        match = _TOKEN.match(text, at)
        if match is None:
            rest = text[at:].lstrip()
            hint = "" if rest[0] == "=" else "; a name with such signs stands in `backticks`"
            raise ValueError(f"{rest[0]!r} at place {len(text) - len(rest) + 1} has no meaning{_meant(rest[0])}{hint}")
        kind = match.lastgroup or ""
        tokens.append(_Token(kind, match[kind]))
        at = match.end()
    return tokens


class _Reader:
    """Reads the tokens from the left to the right, one function for each level of the grammar."""

    def __init__(self, tokens: list[_Token]) -> None:
        self._tokens = tokens
        self._at = 0
        self._nested = 0

    @property
    def next(self) -> _Token | None:
        return self._tokens[self._at] if self._at < len(self._tokens) else None

    def _took(self, kind: str, *texts: str) -> str | None:
        """The next token, if it is one of these; then it is read."""
        token = self.next
        if token is None or token.kind != kind or token.text not in texts:
            return None
        self._at += 1
        return token.text

    def either(self) -> Node:
        return self._joined("or", lambda: self._joined("and", self._compared))

    def _joined(self, word: Any, part: Callable[[], Node]) -> Node:
        parts = [part()]
        while self._took("word", word):
            parts.append(part())
        if len(parts) == 1:
            return parts[0]
        for one in parts:
            if not isinstance(one, Logical):
                raise ValueError(f"{word} stands between comparisons")
        return Joined(word, tuple(cast("list[Logical]", parts)))

    def _compared(self) -> Node:
        left = self._sum()
        comparisons: list[Logical] = []
        while relation := self._took("sign", *_RELATIONS):
            right = self._sum()
            comparisons.append(_comparison(cast("Relation", relation), left, right))
            left = right
        if not comparisons:
            return left
        return comparisons[0] if len(comparisons) == 1 else Joined("and", tuple(comparisons))

    def _sum(self) -> Node:
        return self._arithmetic(("+", "-"), lambda: self._arithmetic(("*", "/"), self._signed))

    def _arithmetic(self, signs: tuple[str, ...], part: Callable[[], Node]) -> Node:
        node = part()
        while sign := self._took("sign", *signs):
            node = Arithmetic(cast("Sign", sign), _number(node), _number(part()))
        return node

    def _signed(self) -> Node:
        negative = False
        while self._took("sign", "-"):
            negative = not negative
        node = self._one()
        return Arithmetic("-", Literally(0.0), _number(node)) if negative else node

    def _one(self) -> Node:
        token = self.next
        if token is None:
            raise ValueError("it ends where a parameter or a number is expected")
        self._at += 1
        if token.kind == "number":
            return Literally(float(token.text))
        if token.kind in ("text", "single"):
            return Literally(token.text)
        if token.kind == "word" and token.text in _LITERALS:
            return Literally(_LITERALS[token.text])
        if token.kind == "quoted" or (token.kind == "word" and token.text not in ("and", "or", "not")):
            return Parameter(token.text)
        if token.text == "(":
            return self._inner()
        raise _unexpected(token)

    def _inner(self) -> Node:
        self._nested += 1
        if self._nested > MOST_NESTED:
            raise ValueError(f"write at most {MOST_NESTED} pairs of parentheses")
        node = self.either()
        if not self._took("sign", ")"):
            raise ValueError("a parenthesis is not closed")
        return node


def _number(node: Node) -> Numeric:
    """Raises: ValueError (it is none)."""
    is_literal = isinstance(node, Literally) and not isinstance(node.value, float)
    if is_literal or not isinstance(node, Numeric):
        raise ValueError("only numbers are added, subtracted, multiplied, divided and put in order")
    return node


def _comparison(relation: Relation, left: Node, right: Node) -> Logical:
    for one, other in ((left, right), (right, left)):
        if isinstance(other, Literally) and not isinstance(other.value, float):
            if not isinstance(one, Parameter) or relation not in ("==", "!="):
                raise ValueError("text, true, false and null are compared with a parameter alone, by == or !=")
            return Is(one.name, other.value, relation == "!=")
    return Comparison(relation, _number(left), _number(right))
