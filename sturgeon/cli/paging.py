"""Lists that the server sends in pages."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from sturgeon.messages import Page

Item = TypeVar("Item")

PAGE_SIZE = 1000


def every_item(fetch: Callable[[int, str | None], Page[Item]]) -> Iterator[Item]:
    """All items of a list. `fetch` requests one page, by its size and page token."""
    token = None
    while True:
        page = fetch(PAGE_SIZE, token)
        yield from page.items
        token = page.next_page_token
        if token is None:
            return
