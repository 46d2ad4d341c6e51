"""Data sets in csv files: which columns are inputs, and what the targets are."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from trainer.data.cells import (
    Where,
    is_code,
    is_missing,
    is_number,
    label_problem,
    looks_numeric,
    number_problem,
    numbers,
)
from trainer.data.columns import code_warning, id_warning, read_column
from trainer.data.datasets import Dataset, are_classes, checked
from trainer.data.dialects import Dialect
from trainer.data.errors import DataError
from trainer.data.tables import FOUND, Table, read_table, require_first_line_is_an_example, require_names
from trainer.layers.parameters import Array

Columns = str | Sequence[str] | None
"""The names of columns; of a file without a header, their numbers from 1."""


def load_csv(
    name: str,
    path: Path,
    loss: str,
    *,
    target: Columns = None,
    drop: Columns = None,
    categories: Columns = None,
    dialect: Dialect = FOUND,
) -> Dataset:
    """The data set in a csv file, see `loading.load`.

    A first column without a name that numbers the rows is dropped.

    Raises: DataError (the sentence names the line and the cell).
    """
    table = read_table(path, dialect)
    require_names(table)
    targets, dropped, named = _roles(table, target, drop, categories)
    inputs = [place for place in range(table.width) if place not in (*targets, *dropped)]
    if not inputs:
        raise DataError(f"{table.source}: no columns are left as inputs beside the targets.")
    read = [read_column(table, place, "category" if place in named else None) for place in inputs]
    columns = [column for column, _ in read]
    if dialect.header == "auto":
        texts = [place for place, column in zip(inputs, columns, strict=True) if column.kind == "category"]
        require_first_line_is_an_example(table, [*targets, *texts])
    y = _one_target(table, targets[0], loss) if len(targets) == 1 else _several_targets(table, targets, loss)
    dataset = checked(
        name,
        np.column_stack([values for _, values in read]),
        y,
        None if len(targets) == 1 or table.header is None else [table.header[place] for place in targets],
        loss=loss,
        inputs=[column.name for column in columns],
        dropped=[table.name(place) for place in dropped],
        columns=columns,
    )
    notes = [id_warning(*each) for each in read]
    notes += [code_warning(column, table.cells(place)) for place, column in zip(inputs, columns, strict=True)]
    return dataclasses.replace(dataset, dialect=table.dialect, notes=tuple(filter(None, notes)))


def _roles(table: Table, target: Columns, drop: Columns, categories: Columns) -> tuple[list[int], list[int], list[int]]:
    """The places of the targets, of the columns that are not read, and of those that hold categories.

    Raises: DataError (there is no such column, or one has two roles).
    """
    places = {"target": [table.width - 1]}
    for role, columns in (("target", target), ("drop", drop), ("categories", categories)):
        wanted = [columns] if isinstance(columns, str) else list(columns or ())
        if wanted or role not in places:
            places[role] = [table.place(name) for name in wanted]
        if len(set(places[role])) < len(places[role]):
            raise DataError(f"{table.source}: {role} names a column twice.")
    dropped = places["drop"]
    if target is None and places["target"][0] in dropped:
        raise DataError(f"{table.source}: drop names the last column, which is the target unless target names another.")
    for place in dropped:
        if place in (*places["target"], *places["categories"]):
            raise DataError(f"{table.source}: drop names {table.name(place)}, which another field names, too.")
    both = [place for place in places["categories"] if place in places["target"]]
    if both:
        raise DataError(f'{table.source}: {table.name(both[0])} is a target; "loss": "softmax" makes it classes.')
    if _numbers_the_rows(table) and 0 not in (*places["target"], *dropped):
        dropped = [0, *dropped]
    return places["target"], dropped, places["categories"]


def _numbers_the_rows(table: Table) -> bool:
    """Whether the first column has no name and counts from 0 or 1, as an index that was written beside the data.

    Raises: DataError (it has no name, and does not count).
    """
    if table.header is None or table.header[0]:
        return False
    counted = table.cells(0)
    if counted not in ([str(row + start) for row in range(len(counted))] for start in (0, 1)):
        raise DataError(f"{table.source}, line 1: column 1 has no name.")
    return True


def _one_target(table: Table, place: int, loss: str) -> Array:
    """Numbers, or labels as text.

    Raises: DataError (a target is missing, no number among numbers, or a label that cannot be meant).
    """
    cells, where = table.cells(place), table.where(place)
    lacking = next((row for row, cell in enumerate(cells) if is_missing(cell)), None)
    if lacking is not None:
        problem = number_problem(cells[lacking])
        raise DataError(f"{table.source}, {where(lacking)}: {problem}; leave out examples without a target.")
    odd = [row for row, cell in enumerate(cells) if not is_number(cell)]
    if loss in ("squared", "logistic") or not _are_labels(cells, len(odd), loss):
        if odd and loss == "auto":
            others = f", and {len(cells) - len(odd)} of the {len(cells)} targets are" * (len(odd) < len(cells))
            raise DataError(
                f"{table.source}, {where(odd[0])}: {cells[odd[0]][:20]!r} is not a plain number{others}; if all are "
                'labels, write "loss": "softmax".'
            )
        return _numbers_in_one_way(table, place, loss)
    if problem := label_problem(cells, where):
        raise DataError(f"{table.source}, {problem.rstrip('.')}.")
    return np.array(cells)


def _are_labels(cells: Sequence[str], texts: int, loss: str) -> bool:
    """Whether the cells are labels as they are written, and not numbers. texts: how many hold no number."""
    if any(map(is_code, cells)) and all(cell.isdigit() or is_code(cell) or not is_number(cell) for cell in cells):
        return True
    if loss == "softmax":
        return texts > 0
    return 2 * texts > len(cells) and not all(map(looks_numeric, cells))


def _numbers_in_one_way(table: Table, place: int, loss: str) -> Array:
    """Numbers; if they are classes, each is written in one way.

    Raises: DataError (a cell holds no number, or one class is written in two ways).
    """
    cells, where = table.cells(place), table.where(place)
    y = numbers(cells, where, table.source)
    if loss in ("auto", "softmax") and are_classes(y):
        first: dict[float, int] = {}
        for row, (number, cell) in enumerate(zip(y.tolist(), cells, strict=True)):
            before = first.setdefault(number, row)
            if cell != cells[before]:
                raise DataError(
                    f"{table.source}, {where(row)}: {cell!r} is the number {cells[before]!r} of line "
                    f"{table.lines[before]}; write a class in one way."
                )
    return y


def _several_targets(table: Table, places: Sequence[int], loss: str) -> Array:
    """Numbers `[m, C]`, NaN where a label is missing."""
    columns = []
    for place in places:
        cells = ["" if is_missing(cell) else cell for cell in table.cells(place)]
        present = [row for row, cell in enumerate(cells) if cell]
        where = table.where(place)
        column = np.full(len(cells), np.nan)
        column[present] = numbers([cells[row] for row in present], _at(where, present), table.source)
        columns.append(column)
    y = np.column_stack(columns)
    binary = np.isnan(y) | (y == 0) | (y == 1)
    if np.isnan(y).any() and (loss == "squared" or not binary.all()):
        row, column = np.argwhere(np.isnan(y))[0]
        where = table.where(places[column])
        raise DataError(f"{table.source}, {where(row)}: the target is missing; only labels of 0 and 1 may be.")
    return y


def _at(where: Where, rows: Sequence[int]) -> Where:
    """Says where the cells in these rows of a column stand."""
    return lambda place: where(rows[place])
