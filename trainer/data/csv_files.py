"""Data sets in csv files: which columns are inputs, and what the targets are."""

from __future__ import annotations

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
from trainer.data.datasets import Dataset, are_classes, checked
from trainer.data.errors import DataError
from trainer.data.tables import Table, read_table, require_first_line_is_an_example, require_names
from trainer.layers.parameters import Array


def load_csv(name: str, path: Path, target: str | Sequence[str] | None, loss: str) -> Dataset:
    """The data set in a csv file, see `loading.load`.

    A first column without a name that numbers the rows is dropped.

    Raises: DataError (the sentence names the line and the cell).
    """
    table = read_table(path)
    require_names(table)
    targets = _target_places(table, target)
    require_first_line_is_an_example(table, targets)
    dropped = [0] if _numbers_the_rows(table) and 0 not in targets else []
    inputs = [place for place in range(table.width) if place not in (*targets, *dropped)]
    if not inputs:
        raise DataError(f"{table.source}: no columns are left as inputs beside the targets.")
    X = np.column_stack([numbers(table.cells(place), table.where(place), table.source) for place in inputs])
    names = None if len(targets) == 1 or table.header is None else [table.header[place] for place in targets]
    y = _one_target(table, targets[0], loss) if names is None else _several_targets(table, targets, loss)
    return checked(
        name,
        X,
        y,
        names,
        loss=loss,
        inputs=[table.name(place) for place in inputs],
        dropped=[table.name(place) for place in dropped],
    )


def _target_places(table: Table, target: str | Sequence[str] | None) -> list[int]:
    if target is None:
        return [table.width - 1]
    wanted = [target] if isinstance(target, str) else list(target)
    places = [table.place(name) for name in wanted]
    if len(set(places)) < len(places):
        raise DataError(f"{table.source}: target names a column twice.")
    return places


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
