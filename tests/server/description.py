"""The server's OpenAPI document, which takes half a second to make: once in a process of the tests."""

from __future__ import annotations

import copy
from functools import cache
from typing import Any

from server.app import create_app
from server.settings import Settings


def openapi() -> dict[str, Any]:
    """A copy of one's own. Nothing is opened for it."""
    return copy.deepcopy(_document())


@cache
def _document() -> dict[str, Any]:
    return create_app(Settings(database_url="sqlite:///unused.db")).openapi()
