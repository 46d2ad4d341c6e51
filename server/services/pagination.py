"""Page tokens: opaque to clients; for the server the place in a list that the next page begins after."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from typing import Final, TypeVar

from sturgeon.errors import FieldProblem, Invalid, WrongState
from sturgeon.messages import LARGEST_FENCE, Page

Item = TypeVar("Item")
NO_KEY: Final = "none"

# ASCII digits, as \d would take those of other scripts.
_WHOLE: Final = "[0-9]{1,18}"
_KEY: Final = "none|-?[0-9]{1,18}|-?[0-9]{1,18}[.][0-9]{1,30}|-?[0-9](?:[.][0-9]{1,30})?e-?[0-9]{1,3}"
NUMBER: Final = f"^{_WHOLE}$"
THREE_NUMBERS: Final = f"^{_WHOLE}:{_WHOLE}:{_WHOLE}$"
SORTED_PLACE: Final = f"^(?:{_KEY}):{_WHOLE}$"
"""The patterns of all tokens; nothing else is taken."""


def after_of(token: str | None) -> int:
    """The number in a page token; -1 without one. Raises: Invalid, WrongState (see `_parts`)."""
    return -1 if token is None else int(_parts(token, NUMBER)[0])


def three_places_of(token: str) -> tuple[int, int, int]:
    """The three numbers of a token that was joined by `token_of`; the first two fit columns of 32 bits.

    Raises: Invalid, WrongState (see `_parts`).
    """
    first, second, third = map(int, _parts(token, THREE_NUMBERS))
    return min(first, LARGEST_FENCE), min(second, LARGEST_FENCE), third


def sorted_place_of(token: str) -> tuple[float | None, int]:
    """The key and the number of a token that was joined by `token_of`. Raises: Invalid, WrongState (see `_parts`)."""
    key, number = _parts(token, SORTED_PLACE)
    if key == NO_KEY:
        return None, min(int(number), LARGEST_FENCE)
    value = int(key) if key.lstrip("-").isdigit() else float(key)
    return max(-sys.float_info.max, min(value, sys.float_info.max)), min(int(number), LARGEST_FENCE)


def _parts(token: str, pattern: str) -> list[str]:
    """The parts of a token of the list that is read.

    Raises: Invalid (the token is not one of this server), WrongState (it is one of another list).
    """
    if re.search(pattern, token):
        return token.split(":")
    detail = "send the next_page_token of the page before, or leave it out"
    if re.search(f"{NUMBER}|{THREE_NUMBERS}|{SORTED_PLACE}", token):
        raise WrongState(f"The page_token is that of another list, or of another order: {detail}.")
    problem = FieldProblem("query:page_token", detail)
    raise Invalid(f"The page_token is not one of this server: {detail}.", (problem,))


def token_of(*parts: float | None) -> str:
    """A token of several parts. The plus sign of an exponent is left out: in a query it would mean a space."""
    return ":".join(NO_KEY if part is None else repr(part).replace("+", "") for part in parts)


def page_of(items: Sequence[Item], size: int, keys: Sequence[int | str]) -> Page[Item]:
    """A page of `size` from up to size + 1 items. keys: of each item, the token of a page that begins after it."""
    more = len(items) > size
    return Page(items=list(items[:size]), next_page_token=str(keys[size - 1]) if more else None)
