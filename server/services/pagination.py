"""Page tokens: opaque to the client, a number for us."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from sturgeon.errors import FieldProblem, Invalid
from sturgeon.messages import Page

Item = TypeVar("Item")


def after_of(token: str | None) -> int:
    """The number in a page token; -1 without one. Raises Invalid for a token that we did not give."""
    if token is None:
        return -1
    if not (token.isascii() and token.isdigit() and len(token) <= 18):
        detail = "send the next_page_token of the page before, or leave it out"
        raise Invalid(
            f"The page_token is not one of this server: {detail}.",
            (FieldProblem("query:page_token", detail),),
        )
    return int(token)


def page_of(items: Sequence[Item], size: int, keys: Sequence[int]) -> Page[Item]:
    """A page of `size` from up to size + 1 items; `keys` are what the next page comes after."""
    more = len(items) > size
    return Page(items=list(items[:size]), next_page_token=str(keys[size - 1]) if more else None)
