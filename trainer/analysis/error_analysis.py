"""Error analysis: sort the wrong examples into categories, and see what fixing each category could gain at most.

Each mistake has the category "LABEL taken for PREDICTION"; people add others by hand.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from trainer.analysis.evaluation import predicted_outputs
from trainer.checkpoint import Checkpoint
from trainer.data.images import small_pictures
from trainer.data.label_noise import suspected
from trainer.data.preparation import Data
from trainer.layers.parameters import Array

MOST_CONFUSED = 300
"""Classes of a confusion matrix: the matrix of more would be too large for a server."""


@dataclass(frozen=True)
class Predictions:
    """What a model predicts for m labelled examples.

    rows `[m]`: their rows in the data set. labels, predicted `[m]`: class numbers. confidence `[m]`: the probability
    of the predicted class. suspected: positions (not rows) of the labels that look wrong, see `label_noise.suspected`.
    """

    rows: Array
    labels: Array
    predicted: Array
    confidence: Array
    suspected: Array

    @classmethod
    def from_probabilities(cls, probabilities: Array, labels: Array, rows: Array) -> Predictions:
        """From the model's probabilities `[m, C]`, labels `[m]` and rows `[m]`."""
        predicted = probabilities.argmax(axis=1)
        confidence = probabilities[np.arange(len(predicted)), predicted]
        return cls(rows, labels, predicted, confidence, suspected(probabilities, labels))


@dataclass(frozen=True)
class Mistake:
    """One misclassified example: its row in the data set, both classes, and the probability of the wrong one."""

    row: int
    label: str
    predicted: str
    probability: float
    tags: tuple[str, ...]


@dataclass(frozen=True)
class Category:
    """A row of the table of categories.

    count: wrong examples with this tag. share: their share of all wrong examples. ceiling: how far the error would
    fall if all of them were put right. error_after: the error that would then be left.
    """

    tag: str
    count: int
    share: float
    ceiling: float
    error_after: float


def confusion_matrix(labels: Array, predictions: Array, classes: int) -> Array:
    """Counts `[C, C]`: row = the label, column = the prediction."""
    counts = np.zeros((classes, classes), np.int64)
    np.add.at(counts, (labels, predictions), 1)
    return counts


def mistakes(predictions: Predictions, class_names: tuple[str, ...]) -> list[Mistake]:
    """The misclassified examples, those with the highest confidence first, each with its first tag."""
    wrong = np.flatnonzero(predictions.predicted != predictions.labels)
    wrong = wrong[np.argsort(-predictions.confidence[wrong], kind="stable")]
    listed = []
    for i in wrong:
        label, predicted = class_names[predictions.labels[i]], class_names[predictions.predicted[i]]
        tags = (f"{label} taken for {predicted}",)
        listed.append(Mistake(int(predictions.rows[i]), label, predicted, float(predictions.confidence[i]), tags))
    return listed


def categories(
    wrong: Iterable[Mistake], examples: int, by_hand: Mapping[int, Iterable[str]] | None = None
) -> list[Category]:
    """The table of categories of the mistakes among `examples` examples, the largest category first.

    by_hand: further tags, by row. An example may have several tags, so shares may sum to more than 1.
    """
    listed = list(wrong)
    counts: dict[str, int] = {}
    for mistake in listed:
        for tag in {*mistake.tags, *(by_hand or {}).get(mistake.row, ())}:
            counts[tag] = counts.get(tag, 0) + 1
    return [
        Category(tag, n, n / len(listed), n / examples, (len(listed) - n) / examples)
        for tag, n in sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    ]


def analysis(checkpoint: Checkpoint, data: Data, part: str = "dev", limit: int = 500) -> dict[str, Any]:
    """The errors of a run's model on one part of the data, as plain JSON values.

    What `mistakes_report` gives, "suspected": the rows of train, dev and test whose labels look wrong to the model (at
    most `limit` each), and "pictures" of the mistakes if the inputs are any. Empty unless the targets are classes.
    """
    if checkpoint.kind != "classes":
        return {}
    names = {part, "train", "dev", "test"}
    by_part = {name: _predictions(checkpoint, data, name) for name in names if len(data.parts[name])}
    doubtful = {
        name: by_part[name].rows[by_part[name].suspected][:limit].tolist()
        for name in ("train", "dev", "test")
        if name in by_part
    }
    report = mistakes_report(part, by_part[part], checkpoint.class_names, limit) | {"suspected": doubtful}
    return report | _pictures(data, part, [mistake["row"] for mistake in report["mistakes"]])


def mistakes_report(
    part: str, predictions: Predictions, class_names: tuple[str, ...], limit: int = 500
) -> dict[str, Any]:
    """Mistakes (at most `limit`, those with the highest confidence first), their categories, and the confusion matrix
    (None of more than MOST_CONFUSED classes), as plain JSON values.
    """
    wrong = mistakes(predictions, class_names)
    return {
        "part": part,
        "examples": len(predictions.labels),
        "wrong": len(wrong),
        "class_names": list(class_names),
        "confusion": confusion_matrix(predictions.labels, predictions.predicted, len(class_names)).tolist()
        if len(class_names) <= MOST_CONFUSED
        else None,
        "mistakes": [vars(mistake) | {"tags": list(mistake.tags)} for mistake in wrong[:limit]],
        "categories": [vars(category) for category in categories(wrong, len(predictions.labels))],
    }


def _predictions(checkpoint: Checkpoint, data: Data, part: str) -> Predictions:
    """Of a part of the data, with the labels that the run was given (label noise included)."""
    examples = data.parts[part]
    outputs = predicted_outputs(checkpoint, examples.X)
    return Predictions.from_probabilities(outputs, examples.Y.argmax(axis=1), examples.rows)


def _pictures(data: Data, part: str, rows: list[int]) -> dict[str, Any]:
    """Small pictures of these rows of a part of the data, as the network got them, in their own units."""
    if data.image is None:
        return {}
    examples = data.parts[part]
    place_of = {row: place for place, row in enumerate(examples.rows.tolist())}
    X = data.normalization.undo(examples.X)
    wrong = X[[place_of[row] for row in rows]]
    return {"pictures": small_pictures(wrong, rows, data.image, float(X.min()), float(X.max()))}
