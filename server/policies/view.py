"""What a policy looks at, and what it decides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from server.policies.curve import Point
from sturgeon.direction import Direction, sign_of

NEWEST: Final = "newest"
"""As `Decision.back_to`: the newest checkpoint."""


@dataclass(frozen=True)
class ParamsChange:
    """A change of parameters in force: it counts from the step after `from_step`; `guarded`: it has its own guard."""

    version: int
    from_step: int
    guarded: bool = False


@dataclass(frozen=True)
class PolicyView:
    """A steered trial as a policy sees it.

    curve: its reports by step, without those that it went back before. params: its live parameters in force; usual:
    what they would be without this policy. changes: of those in force the newest with and without a guard of its
    own, by version. metric, direction: the study's.
    proposed_at: the step of this policy's newest proposal for the trial, -1 before any; accepted: how many of its
    proposals were. diverged_in: where the run diverged, for a policy that decides at a divergence, if that is known.
    """

    curve: Sequence[Point]
    params: Mapping[str, Any]
    usual: Mapping[str, Any] = field(default_factory=dict)
    changes: Sequence[ParamsChange] = ()
    metric: str = ""
    direction: Direction = "minimize"
    proposed_at: int = -1
    accepted: int = 0
    diverged_in: str | None = None

    @property
    def changed_at(self) -> int:
        """The step after which the newest change of parameters counts; -1 before any."""
        return max((change.from_step for change in self.changes), default=-1)

    def sign(self, metric: str) -> float:
        """1 where less of a metric is better, else -1: all but the study's own are errors and losses."""
        return sign_of(self.direction) if metric == self.metric else 1.0


@dataclass(frozen=True)
class Decision:
    """A change of parameters, and where to go back to first; `reason` is a sentence.

    back_to: None to go on from here, NEWEST, or the version before whose change the run is to go back.
    """

    reason: str
    params: dict[str, Any] = field(default_factory=dict)
    back_to: Literal["newest"] | int | None = None
