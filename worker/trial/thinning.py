"""Which of the checkpoints that wait for the server are worth their memory."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from sturgeon.direction import Direction, sign_of
from sturgeon.messages import CheckpointRule
from sturgeon.values import Json
from worker.child.protocol import SavedCheckpoint


class ThinningRule(NamedTuple):
    """How many checkpoints the study keeps: the `best` by value, and the `last`. most_bytes: for those that wait."""

    best: int = 0
    last: int = 1
    direction: Direction = "minimize"
    most_bytes: float = math.inf


def rule_of(task: Json) -> ThinningRule:
    """The rule of a study's task. Also where nothing is to be kept in the end, a run goes on from its newest."""
    direction: Direction = task.get("direction", "minimize")
    fields = task.get("checkpoints")
    if fields is None:
        return ThinningRule(direction=direction)
    rule = CheckpointRule.model_construct(**fields)  # the run itself says whether they are valid
    return ThinningRule(rule.best, max(rule.last, 1), direction)


def thinned(waiting: Sequence[SavedCheckpoint], rule: ThinningRule) -> list[SavedCheckpoint]:
    """Those of the waiting, oldest first, that the server would keep if it had them all: the newest, the best, and
    all that somebody asked for. Of equally good ones the later is better, as in the run. Where these are too large, the
    oldest are dropped first, but the newest stays: the run goes on from it."""
    newest = range(len(waiting) - rule.last, len(waiting))
    sign = sign_of(rule.direction)
    measured = [(sign * saved.value, -index) for index, saved in enumerate(waiting) if saved.value is not None]
    best = {-negative for _, negative in sorted(measured)[: rule.best]}
    kept = [saved for index, saved in enumerate(waiting) if saved.wanted or index in newest or index in best]
    size = sum(saved.bytes for saved in kept)
    for saved in sorted(kept[:-1], key=lambda saved: bool(saved.wanted)):
        if size <= rule.most_bytes:
            break
        kept = [other for other in kept if other is not saved]
        size -= saved.bytes
    return kept
