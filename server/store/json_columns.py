"""The type of a JSON column that holds an object."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]
"""An object of a JSON column, as the database gives it: what its values are, the message that validates it says."""
