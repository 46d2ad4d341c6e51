"""Page tokens: opaque to the client; for us the place in the list that the next page comes after."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeVar

from sturgeon.errors import FieldProblem, Invalid
from sturgeon.messages import Page

Item = TypeVar("Item")
NO_KEY = "none"


LARGEST = 2**63 - 1


def after_of(token: str | None) -> int:
    """The number in a page token; -1 without one. Raises: Invalid (a token that we did not give)."""
    return -1 if token is None else _whole(token)


def three_places_of(token: str) -> tuple[int, int, int]:
    """The three numbers of a token that was joined by `token_of`. Raises: Invalid."""
    parts = token.split(":")
    if len(parts) != 3:
        raise _unknown()
    first, second, third = map(_whole, parts)
    return first, second, third


def sorted_place_of(token: str) -> tuple[float | None, int]:
    """The key and the number of a token that was joined by `token_of`. Raises: Invalid."""
    key, _, number = token.rpartition(":")
    if key == NO_KEY:
        return None, _whole(number)
    try:
        found = int(key) if key.lstrip("-").isdigit() else float(key)
    except ValueError:
        raise _unknown() from None
    if not math.isfinite(found) or (isinstance(found, int) and abs(found) > LARGEST):
        raise _unknown()
    return found, _whole(number)


def token_of(*parts: float | None) -> str:
    """A token of several parts. A number's plus sign means a space in a query; it can be left out."""
    return ":".join(NO_KEY if part is None else repr(part).replace("+", "") for part in parts)


def _whole(token: str) -> int:
    if not (token.isascii() and token.isdigit() and len(token) <= 18):
        raise _unknown()
    return int(token)


def _unknown() -> Invalid:
    detail = "send the next_page_token of the page before, or leave it out"
    return Invalid(f"The page_token is not one of this server: {detail}.", (FieldProblem("query:page_token", detail),))


def page_of(items: Sequence[Item], size: int, keys: Sequence[int | str]) -> Page[Item]:
    """A page of `size` from up to size + 1 items; `keys` are what the next page comes after."""
    more = len(items) > size
    return Page(items=list(items[:size]), next_page_token=str(keys[size - 1]) if more else None)
