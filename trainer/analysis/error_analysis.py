"""Error analysis: sort the wrong examples by category, and see what fixing each category could gain at most.

Categories come by themselves (which class was taken for which) and by hand.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from trainer.checkpoint import Checkpoint
from trainer.data.label_noise import suspected
from trainer.data.preparation import Data
from trainer.layers.parameters import Array
from trainer.predict import predicted


@dataclass(frozen=True)
class Judged:
    """Examples as a model took them: their rows, labels, and its guesses with their probabilities, `[m]` each; and the
    places of those whose labels it takes for wrong, see `label_noise.suspected`."""

    rows: Array
    labels: Array
    guesses: Array
    sureness: Array
    suspected: Array

    @classmethod
    def by(cls, probabilities: Array, labels: Array, rows: Array) -> Judged:
        """From the model's probabilities `[m, C]`."""
        guesses = probabilities.argmax(axis=1)
        sureness = probabilities[np.arange(len(guesses)), guesses]
        return cls(rows, labels, guesses, sureness, suspected(probabilities, labels))


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


def mistakes(judged: Judged, class_names: tuple[str, ...]) -> list[Mistake]:
    """The misclassified examples, the surest first, each tagged "LABEL taken for PREDICTION"."""
    wrong = np.flatnonzero(judged.guesses != judged.labels)
    wrong = wrong[np.argsort(-judged.sureness[wrong], kind="stable")]
    return [
        Mistake(int(judged.rows[i]), label, guess, float(judged.sureness[i]), (f"{label} taken for {guess}",))
        for i in wrong
        for label, guess in [(class_names[judged.labels[i]], class_names[judged.guesses[i]])]
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
    judged = {name: _judged(checkpoint, data, name) for name in {part, "train", "dev", "test"} if len(data.parts[name])}
    doubtful = {
        name: judged[name].rows[judged[name].suspected][:limit].tolist()
        for name in ("train", "dev", "test")
        if name in judged
    }
    return told(part, judged[part], checkpoint.class_names, limit) | {"suspected": doubtful}


def told(part: str, judged: Judged, class_names: tuple[str, ...], limit: int = 500) -> dict[str, object]:
    """The part of `analysis` that is about mistakes."""
    found = mistakes(judged, class_names)
    return {
        "part": part,
        "examples": len(judged.labels),
        "wrong": len(found),
        "class_names": list(class_names),
        "confusion": confusion_matrix(judged.labels, judged.guesses, len(class_names)).tolist(),
        "mistakes": [vars(mistake) | {"tags": list(mistake.tags)} for mistake in found[:limit]],
        "categories": [vars(category) for category in categories(found, len(judged.labels))],
    }


def _judged(checkpoint: Checkpoint, data: Data, part: str) -> Judged:
    """A part of the data, with the labels as the run saw them."""
    examples = data.parts[part]
    return Judged.by(predicted(checkpoint, examples.X), examples.Y.argmax(axis=1), examples.rows)
