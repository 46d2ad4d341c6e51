"""Which of the checkpoints that wait for the server are worth their memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sturgeon.messages import CheckpointRule
from worker.child.protocol import SavedCheckpoint


class ThinningRule(NamedTuple):
    """How many checkpoints the study keeps: the `best` by value, and the `last`."""

    best: int = 0
    last: int = 1
    maximize: bool = False


def rule_of(task: Mapping[str, Any]) -> ThinningRule:
    """The rule of a study's task. Also where nothing is to be kept in the end, a run goes on from its newest."""
    given = task.get("checkpoints")
    maximize = task.get("direction") == "maximize"
    if given is None:
        return ThinningRule(maximize=maximize)
    rule = CheckpointRule.model_construct(**given)  # whether it is one, the run will say
    return ThinningRule(rule.best, max(rule.last, 1), maximize)


def thinned(waiting: Sequence[SavedCheckpoint], rule: ThinningRule) -> list[SavedCheckpoint]:
    """Those of the waiting, oldest first, that the server would keep if it had them all: the newest, the best, and
    all that somebody asked for. Of equally good ones the later is better, as in the run."""
    newest = range(len(waiting) - rule.last, len(waiting))
    sign = -1.0 if rule.maximize else 1.0
    measured = [(sign * saved.value, -index) for index, saved in enumerate(waiting) if saved.value is not None]
    best = {-negative for _, negative in sorted(measured)[: rule.best]}
    return [saved for index, saved in enumerate(waiting) if saved.wanted or index in newest or index in best]
