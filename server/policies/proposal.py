"""What a policy proposes, and what it looks at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from server.policies.guard import Point


@dataclass(frozen=True)
class Panda:
    """A steered trial as a policy sees it.

    curve: what it reported and did not go back behind, by step. params: its live parameters in force. changed_at: the
    step from which its newest change of parameters counts, -1 before any. proposed_at: the step of this policy's newest
    proposal for it, -1 before any. done: how many of its proposals were accepted.
    """

    curve: Sequence[Point]
    params: Mapping[str, Any]
    changed_at: int = -1
    proposed_at: int = -1
    done: int = 0


@dataclass(frozen=True)
class Proposal:
    """A change of parameters, with `back` after going back to the newest checkpoint; `reason` is a sentence."""

    reason: str
    params: dict[str, Any] = field(default_factory=dict)
    back: bool = False


def epoch_of(point: Point) -> float:
    """Epochs done; steps, where a run does not report epochs."""
    return float(point.step) if point.epoch is None else point.epoch


def epoch_at(curve: Sequence[Point], step: int) -> float:
    """The epoch of the last report up to a step; 0 before any."""
    return max((epoch_of(point) for point in curve if point.step <= step), default=0.0)
