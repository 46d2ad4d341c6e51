"""Page tokens: opaque to clients; for the server the place in a list that the next page begins after."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, TypeVar

from sturgeon.errors import FieldProblem, Invalid
from sturgeon.messages import Page

Item = TypeVar("Item")
NO_KEY: Final = "none"
LARGEST: Final = 2**63 - 1


def after_of(token: str | None) -> int:
    """The number in a page token; -1 without one. Raises: Invalid (the token is not one of this server)."""
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
        value = int(key) if key.lstrip("-").isdigit() else float(key)
    except ValueError:
        raise _unknown() from None
    if not math.isfinite(value) or (isinstance(value, int) and abs(value) > LARGEST):
        raise _unknown()
    return value, _whole(number)


def token_of(*parts: float | None) -> str:
    """A token of several parts. The plus sign of an exponent is left out: in a query it would mean a space."""
    return ":".join(NO_KEY if part is None else repr(part).replace("+", "") for part in parts)


def _whole(token: str) -> int:
    if not (token.isascii() and token.isdigit() and len(token) <= 18):
        raise _unknown()
    return int(token)


def _unknown() -> Invalid:
    detail = "send the next_page_token of the page before, or leave it out"
    return Invalid(f"The page_token is not one of this server: {detail}.", (FieldProblem("query:page_token", detail),))


def page_of(items: Sequence[Item], size: int, keys: Sequence[int | str]) -> Page[Item]:
    """A page of `size` from up to size + 1 items. keys: of each item, the token of a page that begins after it."""
    more = len(items) > size
    return Page(items=list(items[:size]), next_page_token=str(keys[size - 1]) if more else None)
