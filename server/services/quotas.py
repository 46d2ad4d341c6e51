"""How much a study may keep of what comes without being asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Quotas:
    """The limits of each study. Sizes are in bytes.

    late_results, late_results_size, events, logs_size (compressed): of more, the oldest are deleted. checkpoints_size:
    what would exceed it is refused.
    """

    late_results: int = 1000
    late_results_size: int = 16_000_000
    events: int = 100_000
    checkpoints_size: int = 100_000_000_000
    logs_size: int = 1_000_000_000


DEFAULT: Final = Quotas()
