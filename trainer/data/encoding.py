"""From the columns of a csv file to a network's inputs: fitted to the training part, and stored in the model."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from trainer.data.columns import Column
from trainer.data.dialects import Dialect
from trainer.data.errors import DataError
from trainer.layers.parameters import Array
from trainer.memory import memory_problem

MOST_CATEGORIES: Final = 50
"""So many categories of a column have an input each; all rarer ones share the input "other"."""


@dataclass(frozen=True)
class EncodedColumn:
    """How one column becomes inputs.

    name, kind: of the `Column`. categories: each has an input that is 1 where the cell holds it. other: whether there
    is an input for all other categories. fill: what stands in for a missing value: the median, or the most frequent
    category. indicator: whether an input is 1 where the value is missing.
    """

    name: str
    kind: str
    fill: float | str
    categories: tuple[str, ...] = ()
    other: bool = False
    indicator: bool = False

    def inputs(self) -> list[str]:
        """The names of the inputs."""
        named = [f"{self.name} = {text!r}" for text in self.categories] or [self.name]
        return named + [f"{self.name}, other"] * self.other + [f"{self.name}, missing"] * self.indicator

    def apply(self, column: Column, values: Array) -> tuple[Array, Array]:
        """The inputs `[m, k]`, and which rows `[m]` hold a category that has no input of its own.

        A category that was not seen is "other" if there is such an input; without one it is none of them.
        """
        missing = np.isnan(values)
        if self.kind != "category":
            parts = [np.where(missing, self.fill, values)]
            unseen = np.zeros(len(values), bool)
        else:
            place_of = {text: place for place, text in enumerate(self.categories)}
            # The last entry is for missing cells.
            places = np.array([place_of.get(text, -1) for text in (*column.categories, str(self.fill))])
            chosen = places[np.where(missing, len(column.categories), values).astype(np.intp)]
            unseen = chosen < 0
            parts = [chosen == place for place in range(len(self.categories))] + [unseen] * self.other
        X = np.column_stack([*parts, *[missing] * self.indicator]).astype(np.float64)
        return X, unseen


@dataclass(frozen=True)
class Encoding:
    """Of all input columns, in their order. dialect: how the training file is written."""

    columns: tuple[EncodedColumn, ...]
    dialect: Dialect

    def names(self) -> tuple[str, ...]:
        """The names of the n inputs."""
        return tuple(name for column in self.columns for name in column.inputs())

    def apply(self, source: str, columns: Sequence[Column], values: Array) -> tuple[Array, dict[str, int]]:
        """X `[m, n]` of values `[m, columns]`, and how many cells of each column hold a category without an input.

        Raises: DataError (the columns are not those that were learnt from, or X does not fit into memory).
        """
        if (theirs := [(c.name, c.kind) for c in columns]) != (ours := [(c.name, c.kind) for c in self.columns]):
            differing = next((pair for pair in zip(theirs, ours, strict=False) if pair[0] != pair[1]), None)
            what = "" if differing is None else ": {} ({}) in the place of {} ({})".format(*differing[0], *differing[1])
            raise DataError(
                f"{source} has {len(theirs)} columns of inputs, the model was trained on {len(ours)}{what}."
            )
        if problem := memory_problem(f"{source} with {len(self.names())} inputs", 16 * len(values) * len(self.names())):
            raise DataError(problem, here_only=True)
        applied = [ours.apply(*each) for ours, *each in zip(self.columns, columns, values.T, strict=True)]
        counts = {c.name: int(unseen.sum()) for c, (_, unseen) in zip(self.columns, applied, strict=True)}
        return np.column_stack([X for X, _ in applied]), {name: count for name, count in counts.items() if count}

    def as_json(self) -> dict[str, Any]:
        """Plain JSON, for a checkpoint."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Encoding:
        """What `as_json` gave. Raises: KeyError, TypeError (it is something else)."""
        columns = [
            EncodedColumn(**column | {"categories": tuple(column["categories"])}) for column in stored["columns"]
        ]
        return cls(tuple(columns), Dialect(**stored["dialect"]))


def fit(source: str, columns: Sequence[Column], values: Array, dialect: Dialect) -> Encoding:
    """The encoding of the training part's values `[m, columns]`.

    Raises: DataError (a column has no value there).
    """
    return Encoding(tuple(_fitted(source, *each) for each in zip(columns, values.T, strict=True)), dialect)


def _fitted(source: str, column: Column, values: Array) -> EncodedColumn:
    present = values[~np.isnan(values)]
    if not len(present):
        raise DataError(f"{source}: {column.name} has no value in the training part; leave it out with drop.")
    indicator = len(present) < len(values)
    if column.kind != "category":
        return EncodedColumn(column.name, column.kind, float(np.median(present)), indicator=indicator)
    counts = Counter(column.categories[int(place)] for place in present)
    ranked = sorted(counts, key=lambda text: (-counts[text], text))
    kept = tuple(sorted(ranked[:MOST_CATEGORIES]))
    return EncodedColumn(column.name, column.kind, ranked[0], kept, len(ranked) > MOST_CATEGORIES, indicator)
