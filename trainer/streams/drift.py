"""Drift tests: are the newest examples distributed as those before them, and is the model still as good on them?

Three tests of each portion before it is trained on: of every input feature (two-sample Kolmogorov-Smirnov), of the
shares of labels (chi-squared), and of the fresh error, the error before training (change point: one-sided CUSUM, Page
1954). Pure functions: what they need of earlier portions is in a `DriftState`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from scipy.special import chdtrc

from trainer.data.similarity import largest_difference
from trainer.layers.parameters import Array

ALARM = 0.001
"""A test of inputs or labels gives one false alarm in a thousand portions, over all features together."""

ALLOWANCE, LIMIT = 0.5, 5.0
"""Of CUSUM, in standard errors: a drift of half of one is tolerated; one false alarm in 930 portions (Siegmund)."""

REFERENCE = 10
"""A portion is compared with so many portions before it."""

LEAST_ERRORS = 3
"""The fresh error is tested from so many earlier portions on; before, the model has only begun to learn."""


@dataclass(frozen=True)
class DriftState:
    """What the drift tests remember of the portions since the last alarm.

    since: the number of the portion that raised it. errors, sizes: fresh errors and numbers of examples of the last
    portions. total: the CUSUM. labels: how often each label occurred.
    """

    since: int = 0
    errors: tuple[float, ...] = ()
    sizes: tuple[int, ...] = ()
    total: float = 0.0
    labels: tuple[float, ...] = ()

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> DriftState:
        since, total = stored["since"], stored["total"]
        return cls(since, tuple(stored["errors"]), tuple(stored["sizes"]), total, tuple(stored["labels"]))


@dataclass(frozen=True)
class NewPortion:
    """What the drift tests need of a portion that the model has not trained on.

    X `[m, n]`: normalised inputs. labels `[C]`: how many examples have each label; empty for values. error: the
    model's error. classes `[m]`: the class of each example; empty unless the targets are classes.
    """

    number: int
    X: Array
    labels: tuple[float, ...]
    error: float
    classes: Array = field(default_factory=lambda: np.empty(0, np.intp))


@dataclass(frozen=True)
class Verdict:
    """The result of the three tests.

    alarms: the tests that raised one ("inputs", "labels", "error"); sentences: one for each alarm. feature: the input
    that differs most; p values are corrected for the number of features. class_inputs_p: of the inputs within each
    class, tested when the shares of the classes have changed, else None.
    """

    alarms: tuple[str, ...]
    sentences: tuple[str, ...]
    inputs_p: float
    feature: int
    labels_p: float
    cusum: float
    class_inputs_p: float | None = None

    def metrics(self) -> dict[str, float]:
        """The metrics that a run reports; an alarm is 1, no alarm 0."""
        raised = {f"drift_{name}": float(name in self.alarms) for name in ("inputs", "labels", "error")}
        tests = {"drift_inputs_p": self.inputs_p, "drift_labels_p": self.labels_p, "drift_cusum": self.cusum}
        if self.class_inputs_p is not None:
            changed = float(self.class_inputs_p < ALARM)
            tests |= {"drift_class_inputs": changed, "drift_class_inputs_p": self.class_inputs_p}
        return {"drift": float(bool(self.alarms))} | raised | tests


def detect_drift(
    state: DriftState, portion: NewPortion, reference: Array, classes: Array | None = None
) -> tuple[DriftState, Verdict]:
    """The state after a portion, and the verdict on it.

    reference: X `[m', n]` of the last portions since the last alarm, empty before the first portion; classes `[m']`:
    their classes. After an alarm, portions are compared with the one that raised it and those that follow it.
    """
    inputs = largest_difference(reference, portion.X) if len(reference) else None
    labels_p = _labels_p(state.labels, portion.labels)
    total = cusum(state, portion.error, len(portion.X))
    class_inputs_p = _class_inputs_p(portion, reference, classes) if labels_p < ALARM else None
    sentences = {}
    if inputs is not None and inputs.p < ALARM:
        sentences["inputs"] = f"feature {inputs.feature} is distributed differently (p = {inputs.p:.1g})"
    if labels_p < ALARM:
        sentences["labels"] = _labels_sentence(labels_p, class_inputs_p)
    if total > LIMIT:
        sentences["error"] = f"the fresh error rose to {portion.error:.3g} from {_level(state):.3g}"
    verdict = Verdict(
        tuple(sentences),
        tuple(sentences.values()),
        1.0 if inputs is None else inputs.p,
        0 if inputs is None else inputs.feature,
        labels_p,
        total,
        class_inputs_p,
    )
    return _after(state, portion, total, alarming=bool(sentences)), verdict


def _labels_sentence(labels_p: float, class_inputs_p: float | None) -> str:
    changed = f"the shares of the labels have changed (p = {labels_p:.1g})"
    if class_inputs_p is None:
        return changed
    inputs = f"the inputs within each class (p = {class_inputs_p:.1g})"
    return f"{changed}, and so have {inputs}" if class_inputs_p < ALARM else f"{changed}, but not {inputs}"


def cusum(state: DriftState, error: float, size: int) -> float:
    """S = max(0, S + z - ALLOWANCE), with z the standardised rise of the fresh error over the mean of the last errors.

    The standard error is the larger of the binomial one and that of the spread of the last errors.
    """
    if len(state.errors) < LEAST_ERRORS:
        return 0.0
    level = _level(state)
    share = min(1.0, max(level, 1 / (sum(state.sizes) + size)))
    binomial = math.sqrt(share * (1 - share) * (1 / size + 1 / sum(state.sizes)))
    own = float(np.std(state.errors, ddof=1)) * math.sqrt(1 + 1 / len(state.errors))
    spread = max(binomial, own, 1e-12)
    return max(0.0, state.total + (error - level) / spread - ALLOWANCE)


def _level(state: DriftState) -> float:
    return float(np.average(state.errors, weights=state.sizes)) if state.errors else 0.0


def _labels_p(before: Sequence[float], now: Sequence[float]) -> float:
    """Chi-squared test of two counts of the same labels. Rare labels (fewer than 5 expected) are counted as one, which
    gets Yates' correction if it is still rare: a single example of a new label is no alarm."""
    if not before or not now:
        return 1.0
    table = np.array([before, now])
    expected = table.sum(axis=0) * table[1].sum() / table.sum()
    rare = expected < 5
    table = np.column_stack([table[:, ~rare], table[:, rare].sum(axis=1)])
    table = table[:, table.sum(axis=0) > 0]
    if table.shape[1] < 2 or not table.sum(axis=1).all():
        return 1.0
    wanted = np.outer(table.sum(axis=1), table.sum(axis=0)) / table.sum()
    gaps = np.maximum(0, np.abs(table - wanted) - np.where(wanted < 5, 0.5, 0.0))
    statistic = float((np.square(gaps) / wanted).sum())
    return float(chdtrc(table.shape[1] - 1, statistic))


def _class_inputs_p(portion: NewPortion, reference: Array, classes: Array | None) -> float | None:
    """The test of the inputs against a reference weighted to the new shares of the classes, as it would be if only the
    shares had changed (label shift: p(x|y) stays). None if no class is in both."""
    if classes is None or not len(classes) or not len(portion.classes):
        return None
    known = np.isin(portion.classes, classes)
    if not known.any():
        return None
    most = int(max(classes.max(), portion.classes.max())) + 1
    now, before = np.bincount(portion.classes[known], minlength=most), np.bincount(classes, minlength=most)
    weights = (now / np.maximum(before, 1))[classes]
    return largest_difference(reference[weights > 0], portion.X[known], weights[weights > 0]).p


def _after(state: DriftState, portion: NewPortion, total: float, *, alarming: bool) -> DriftState:
    if alarming:
        return DriftState(since=portion.number, labels=portion.labels)
    errors, sizes = (*state.errors, portion.error), (*state.sizes, len(portion.X))
    before = state.labels or (0.0,) * len(portion.labels)
    labels = tuple(a + b for a, b in zip(before, portion.labels, strict=True))
    return DriftState(state.since, errors[-REFERENCE:], sizes[-REFERENCE:], total, labels)
