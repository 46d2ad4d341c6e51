"""What the integrations need of a trial: that of `sturgeon.study`, of `sturgeon.trial()`, or of `sturgeon.testing`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol


class RunningTrial(Protocol):
    """A trial that this process runs."""

    @property
    def params(self) -> Mapping[str, Any]: ...

    @property
    def should_stop(self) -> bool: ...

    @property
    def should_pause(self) -> bool: ...

    def report(self, step: Any = None, /, *, epoch: Any = None, **metrics: Any) -> object: ...


def numbers_in(values: Mapping[str, Any]) -> dict[str, float]:
    """The values that are single numbers, tensors of one element among them; what is left out is no metric."""
    found = {}
    for name, value in values.items():
        if isinstance(value, str | bytes):
            continue
        try:
            found[str(name)] = float(value)
        except (TypeError, ValueError, RuntimeError):  # whatever a framework raises for a tensor of several numbers
            continue
    return found
