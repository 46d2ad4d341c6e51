"""The parameters of a trial, as its code reads them."""

from __future__ import annotations

from typing import Any


class Params(dict[str, Any]):
    """A trial's parameters by name: `params["lr"]`, and `params.lr` where the name is one of Python's."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f"This trial has no parameter {name}; it has {', '.join(self)}.") from None
