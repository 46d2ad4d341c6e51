"""Error analysis: sort the wrong examples by category, and see what fixing each category could gain at most.

Categories come by themselves (which class was taken for which) and by hand.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from trainer.checkpoint import Checkpoint
from trainer.label_noise import suspected
from trainer.parameters import Array
from trainer.predict import predicted
from trainer.preparation import Data


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
    """A row of the table.

    count: wrong examples with this tag; share: of all wrong ones; ceiling: how far the error would fall if all of
    them were put right; error_after: the error that would be left.
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


def mistakes(probabilities: Array, labels: Array, rows: Array, class_names: tuple[str, ...]) -> list[Mistake]:
    """The misclassified examples, the surest first, each tagged "LABEL taken for PREDICTION"."""
    guesses = probabilities.argmax(axis=1)
    wrong = np.flatnonzero(guesses != labels)
    wrong = wrong[np.argsort(-probabilities[wrong, guesses[wrong]], kind="stable")]
    return [
        Mistake(int(rows[i]), label, guess, float(probabilities[i, guesses[i]]), (f"{label} taken for {guess}",))
        for i in wrong
        for label, guess in [(class_names[labels[i]], class_names[guesses[i]])]
    ]


def categories(
    found: Iterable[Mistake], examples: int, by_hand: Mapping[int, Iterable[str]] | None = None
) -> list[Category]:
    """The table over mistakes among this many examples, largest first; by_hand adds tags by row.

    An example may have several tags, so shares may sum to more than 1.
    """
    listed = list(found)
    counts: dict[str, int] = {}
    for mistake in listed:
        for tag in {*mistake.tags, *(by_hand or {}).get(mistake.row, ())}:
            counts[tag] = counts.get(tag, 0) + 1
    return [
        Category(tag, n, n / len(listed), n / examples, (len(listed) - n) / examples)
        for tag, n in sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    ]


def analysis(checkpoint: Checkpoint, data: Data, part: str = "dev", limit: int = 500) -> dict[str, object]:
    """What a run tells about the errors of its model on a part of the data, as plain JSON values.

    mistakes (at most `limit`, the surest first), categories, the confusion matrix, and suspected: the rows of
    train, dev and test whose labels the model takes for wrong (at most `limit` each). Empty for labels and
    values.
    """
    if checkpoint.kind != "classes":
        return {}
    names = checkpoint.class_names
    probabilities, labels = _seen(checkpoint, data, part)
    found = mistakes(probabilities, labels, data.parts[part].rows, names)
    doubtful = {}
    for name in ("train", "dev", "test"):
        if len(data.parts[name]):
            doubtful[name] = data.parts[name].rows[suspected(*_seen(checkpoint, data, name))][:limit].tolist()
    return {
        "part": part,
        "examples": len(labels),
        "wrong": len(found),
        "class_names": list(names),
        "confusion": confusion_matrix(labels, probabilities.argmax(axis=1), len(names)).tolist(),
        "mistakes": [vars(mistake) | {"tags": list(mistake.tags)} for mistake in found[:limit]],
        "categories": [vars(category) for category in categories(found, len(labels))],
        "suspected": doubtful,
    }


def _seen(checkpoint: Checkpoint, data: Data, part: str) -> tuple[Array, Array]:
    """Probabilities `[m, C]` and labels `[m]` of a part, the labels as the run saw them."""
    return predicted(checkpoint, data.parts[part].X), data.parts[part].Y.argmax(axis=1)
