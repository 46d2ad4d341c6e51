"""Drift: do the newest examples still come from where those before them came, and is the model still as good on them?

Three looks at each portion, before it is trained on: a two-sample test of every input feature (Kolmogorov-Smirnov), a
test of the shares of labels (chi-squared), and a change-point test of the fresh error (one-sided CUSUM, Page 1954).
Pure: what a look needs of the past is in a `Watch`.
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
"""A test of inputs or labels gives a false alarm in one of a thousand portions, over all features together."""

ALLOWANCE, LIMIT = 0.5, 5.0
"""CUSUM in standard errors: drifts of half of one are let pass; false alarms come once in 930 portions (Siegmund)."""

REFERENCE = 10
"""A portion is compared with so many before it."""

LEAST_ERRORS = 3
"""The fresh error has a level when so many portions were seen; before, the model has only begun to learn."""


@dataclass(frozen=True)
class Watch:
    """What the watch over a stream remembers, since the portion `since`, with which the present regime began.

    errors, sizes: fresh errors and numbers of examples of the last portions. total: the CUSUM. labels: how often each
    was seen.
    """

    since: int = 0
    errors: tuple[float, ...] = ()
    sizes: tuple[int, ...] = ()
    total: float = 0.0
    labels: tuple[float, ...] = ()

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, told: dict[str, Any]) -> Watch:
        since, total = told["since"], told["total"]
        return cls(since, tuple(told["errors"]), tuple(told["sizes"]), total, tuple(told["labels"]))


@dataclass(frozen=True)
class Fresh:
    """A portion as the watch sees it: X `[m, n]` normalised; labels `[C]`, how many examples have each (none for
    values); the error of the model that has not trained on it; classes `[m]`, none where an example has not one."""

    number: int
    X: Array
    labels: tuple[float, ...]
    error: float
    classes: Array = field(default_factory=lambda: np.empty(0, np.intp))


@dataclass(frozen=True)
class Verdict:
    """What one look found. feature: the one that differs most; p values are corrected for the number of features.

    class_inputs_p: of the inputs within the classes, looked at when the shares of the classes have changed, else None.
    """

    alarms: tuple[str, ...]
    sentences: tuple[str, ...]
    inputs_p: float
    feature: int
    labels_p: float
    cusum: float
    class_inputs_p: float | None = None

    def metrics(self) -> dict[str, float]:
        """As a run reports it: 1 where there is an alarm, else 0."""
        raised = {f"drift_{name}": float(name in self.alarms) for name in ("inputs", "labels", "error")}
        tests = {"drift_inputs_p": self.inputs_p, "drift_labels_p": self.labels_p, "drift_cusum": self.cusum}
        if self.class_inputs_p is not None:
            changed = float(self.class_inputs_p < ALARM)
            tests |= {"drift_class_inputs": changed, "drift_class_inputs_p": self.class_inputs_p}
        return {"drift": float(bool(self.alarms))} | raised | tests


def look(watch: Watch, fresh: Fresh, reference: Array, classes: Array | None = None) -> tuple[Watch, Verdict]:
    """The watch after a portion, and what it found; reference: X `[m', n]` of the last portions of the present regime,
    empty before the first; classes `[m']` of them. After an alarm everything is compared with the portion that raised
    it, and what follows.
    """
    inputs = largest_difference(reference, fresh.X) if len(reference) else None
    labels_p = _labels_p(watch.labels, fresh.labels)
    total = cusum(watch, fresh.error, len(fresh.X))
    told, class_inputs_p = {}, None
    if inputs is not None and inputs.p < ALARM:
        told["inputs"] = f"feature {inputs.feature} is distributed otherwise (p = {inputs.p:.1g})"
    if labels_p < ALARM:
        told["labels"] = f"the shares of the labels are others (p = {labels_p:.1g})"
        class_inputs_p = _class_inputs_p(fresh, reference, classes)
        if class_inputs_p is not None:
            same = "the same" if class_inputs_p >= ALARM else "others, too"
            told["labels"] += f", the inputs within each class {same} (p = {class_inputs_p:.1g})"
    if total > LIMIT:
        told["error"] = f"the fresh error rose to {fresh.error:.3g} from {_level(watch):.3g}"
    verdict = Verdict(
        tuple(told),
        tuple(told.values()),
        1.0 if inputs is None else inputs.p,
        0 if inputs is None else inputs.feature,
        labels_p,
        total,
        class_inputs_p,
    )
    return _after(watch, fresh, total, alarming=bool(told)), verdict


def cusum(watch: Watch, error: float, size: int) -> float:
    """S = max(0, S + z - ALLOWANCE), z the standardised step of the fresh error over the mean of the last ones.

    The standard error is the larger of the binomial's and the spread of the last errors themselves.
    """
    if len(watch.errors) < LEAST_ERRORS:
        return 0.0
    level = _level(watch)
    share = min(1.0, max(level, 1 / (sum(watch.sizes) + size)))
    binomial = math.sqrt(share * (1 - share) * (1 / size + 1 / sum(watch.sizes)))
    own = float(np.std(watch.errors, ddof=1)) * math.sqrt(1 + 1 / len(watch.errors))
    spread = max(binomial, own, 1e-12)
    return max(0.0, watch.total + (error - level) / spread - ALLOWANCE)


def _level(watch: Watch) -> float:
    return float(np.average(watch.errors, weights=watch.sizes)) if watch.errors else 0.0


def _labels_p(before: Sequence[float], now: Sequence[float]) -> float:
    """Chi-squared test of two counts of the same labels; rare ones (expected below 5) are taken together, and what is
    still rare gets Yates' correction, so that a single example of a new label is no alarm."""
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


def _class_inputs_p(fresh: Fresh, reference: Array, classes: Array | None) -> float | None:
    """The test of the inputs with the reference weighted to the new shares of the classes: what it would look like if
    these were all that changed (label shift: p(x|y) stays). None without a class that is in both."""
    if classes is None or not len(classes) or not len(fresh.classes):
        return None
    known = np.isin(fresh.classes, classes)
    if not known.any():
        return None
    most = int(max(classes.max(), fresh.classes.max())) + 1
    now, before = np.bincount(fresh.classes[known], minlength=most), np.bincount(classes, minlength=most)
    weights = (now / np.maximum(before, 1))[classes]
    return largest_difference(reference[weights > 0], fresh.X[known], weights[weights > 0]).p


def _after(watch: Watch, fresh: Fresh, total: float, *, alarming: bool) -> Watch:
    if alarming:
        return Watch(since=fresh.number, labels=fresh.labels)
    errors, sizes = (*watch.errors, fresh.error), (*watch.sizes, len(fresh.X))
    seen = watch.labels or (0.0,) * len(fresh.labels)
    labels = tuple(a + b for a, b in zip(seen, fresh.labels, strict=True))
    return Watch(watch.since, errors[-REFERENCE:], sizes[-REFERENCE:], total, labels)
