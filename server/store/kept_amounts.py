"""What the ended trials of a study come to, as a process keeps it: see `amounts.py`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple


@dataclass
class Amounts:
    """How many trials of a study are in each state, and what all its trials have used."""

    counts: dict[str, int] = field(default_factory=dict)
    epochs: float = 0.0
    microseconds: int = 0

    @property
    def seconds(self) -> float:
        return self.microseconds / 1e6

    @property
    def trials(self) -> int:
        """How many trials there are, in whatever state."""
        return sum(self.counts.values())

    def add(self, state: str, count: int, epochs: float, microseconds: int) -> None:
        """Add trials of one state."""
        self.counts[state] = self.counts.get(state, 0) + count
        self.epochs += epochs
        self.microseconds += int(microseconds)

    def copy(self) -> Amounts:
        """The same amounts, to add others to."""
        return Amounts(dict(self.counts), self.epochs, self.microseconds)


class EndedUpTo(NamedTuple):
    """What the trials come to that had ended at a number of the study's sequence."""

    seq: int
    amounts: Amounts
