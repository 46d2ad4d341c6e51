"""The type of a JSON column that holds an object, and what is asked of one that holds a list."""

from __future__ import annotations

import json
from typing import Any

import sqlalchemy as sa
from pydantic_core import from_json

Json = dict[str, Any]
"""An object of a JSON column, as the database gives it: what its values are, the message that validates it says."""


def json_value(text: str | bytes) -> Any:
    """The value of a JSON column. A request reads many small ones, for which `json.loads` takes five to ten times as
    long; it takes what is no valid Unicode, or nested very deeply."""
    try:
        return from_json(text)
    except ValueError:
        return json.loads(text)


def has_tag(column: sa.Column[Any], tag: str) -> sa.ColumnElement[bool]:
    """Whether a list of tags has this one. Both databases compare the text exactly, as LIKE of SQLite does not; a tag
    has no sign that JSON escapes."""
    text = sa.cast(column, sa.Text)
    return sa.func.replace(text, f'"{tag}"', "") != text
