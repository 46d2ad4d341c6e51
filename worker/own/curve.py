"""The reports of a program, step by step: what was said in parts is one report, and the last of them is told."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from sturgeon.direction import Direction, sign_of
from sturgeon.messages.forms import LARGEST_STEP
from worker.own.said import MOST_METRICS, Reported


class Curve:
    """Collects what is reported of a step until the next begins.

    metric, direction, is_best_told: of the study. step: where the run begins; the next report without a step is of the
    step after it.
    """

    def __init__(self, metric: str, direction: Direction, is_best_told: bool) -> None:
        self._metric, self._sign, self._is_best_told = metric, sign_of(direction), is_best_told
        self.step = 0
        """The newest step."""
        self.epoch: float | None = None
        self._open: dict[str, float] | None = None
        self._given = -1  # the newest step whose report is on its way: it does not change any more
        self._latest: dict[str, float] = {}
        self._told: tuple[int, float | None, dict[str, float]] | None = None
        self.reports = 0
        """How many reports have come."""
        self.left_out = 0
        """How many reports came for steps that were reported already."""

    def add(self, reported: Reported) -> Iterator[Reported]:
        """The reports that are whole now, with their steps."""
        step = self._step_of(reported)
        self.reports += 1
        if step <= self._given or step < self.step:
            self.left_out += 1
            self.step = max(self.step, step)
            return
        if step > self.step:
            yield from self.flush()
        self._open = self._open or {}
        self.step = step
        self.epoch = reported.epoch if reported.epoch is not None else self.epoch
        new = set(reported.metrics) - set(self._open)
        room = MOST_METRICS - len(self._open)
        left = set(sorted(new)[room:]) if len(new) > room else set()
        self._open |= {name: value for name, value in reported.metrics.items() if name not in left}
        self._note(reported.metrics)

    def _step_of(self, reported: Reported) -> int:
        if reported.step is not None:
            return reported.step
        is_same = reported.is_part and self._open is not None and not set(reported.metrics) & set(self._open)
        return self.step if is_same else min(self.step + 1, LARGEST_STEP)

    def flush(self) -> Iterator[Reported]:
        """The report of the newest step, if it was not given yet."""
        if self._open is not None:
            finite = {name: value for name, value in self._open.items() if math.isfinite(value)}
            if finite:
                yield Reported(self.step, self.epoch, finite)
            self._given = self.step
        self._open = None

    def _note(self, metrics: Mapping[str, float]) -> None:
        self._latest |= metrics
        while len(self._latest) > MOST_METRICS:
            self._latest.pop(next(iter(self._latest)))
        value = metrics.get(self._metric)
        if value is None or not math.isfinite(value):
            return
        told = self._told
        if told is None or not self._is_best_told or self._sign * value <= self._sign * told[2][self._metric]:
            self._told = self.step, self.epoch, dict(self._latest)

    def value_at(self, step: int) -> float | None:
        """The study's metric, where it was reported of this very step just now."""
        return self._latest.get(self._metric) if step == self.step else None

    @property
    def diverged(self) -> bool:
        """Whether the study's metric is no finite number any more."""
        return not math.isfinite(self._latest.get(self._metric, 0.0))

    @property
    def told(self) -> tuple[int | None, dict[str, float]]:
        """The step and the metrics that the run comes to; without the study's metric if that never came."""
        step, _, metrics = self._told or (self.step or None, None, self._latest)
        return step, {name: value for name, value in metrics.items() if math.isfinite(value)}

    def go_on_from(self, step: int) -> None:
        """The run goes on from a checkpoint of this step; what came after it does not count."""
        self.step, self._given, self._open, self._latest = step, step, None, {}
        if self._told is not None and self._told[0] > step:
            self._told = None

    def repeat_from(self, step: int) -> None:
        """The program is started again from a checkpoint of this step; what it has reported since counts."""
        self.step, self._open = step, None

    def memory(self, step: int) -> dict[str, object]:
        """What a run has to know that goes on from a checkpoint of this step."""
        told = None if self._told is None or self._told[0] > step else [*self._told[:2], self.told[1]]
        return {"step": step, "epoch": self.epoch, "told": told}

    def remember(self, memory: Mapping[str, object]) -> None:
        """Take what `memory` gave; what makes no sense is left."""
        told = memory.get("told")
        if isinstance(told, list) and len(told) == 3 and isinstance(told[0], int) and isinstance(told[2], dict):
            metrics = {str(n): float(v) for n, v in told[2].items() if isinstance(v, int | float)}
            if self._metric in metrics:
                self._told = told[0], None, metrics
                self._latest = dict(metrics)
        epoch = memory.get("epoch")
        self.epoch = float(epoch) if isinstance(epoch, int | float) else None
