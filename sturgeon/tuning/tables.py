"""A study's trials and curves as pandas data frames."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sturgeon import messages as m
from sturgeon.client import Client
from sturgeon.extras import require

if TYPE_CHECKING:
    import pandas

Row = dict[str, Any]
FIRST = ("number", "state", "value", "step", "attempt", "seed", "worker", "error")
DATES = ("created_at", "started_at", "finished_at")


def trials_frame(trials: Iterable[m.Trial]) -> pandas.DataFrame:
    """One row a trial. Raises: MissingExtra (pandas is not installed)."""
    return _frame([trial_row(trial) for trial in trials], (*FIRST, *DATES))


def curves_frame(client: Client, study: str) -> pandas.DataFrame:
    """One row a report. Raises: MissingExtra (pandas is not installed)."""
    return _frame(list(curve_rows(client, study)), ("trial", "step", "epoch", "at"))


def curve_rows(client: Client, study: str) -> Iterator[Row]:
    """Each report that counts: trial, step, epoch, at, and its metrics by name."""
    for line in client.metrics(study):
        row: Row = json.loads(line)
        yield row | {"at": datetime.fromisoformat(row["at"])}


def trial_row(trial: m.Trial) -> Row:
    """A trial: its number, state, value and dates, `params.NAME` and `metrics.NAME`."""
    row: Row = {name: getattr(trial, name) for name in (*FIRST, *DATES)}
    row |= {f"params.{name}": value for name, value in trial.params.items()}
    return row | {f"metrics.{name}": value for name, value in trial.metrics.items()}


def _frame(rows: list[Row], columns: tuple[str, ...]) -> pandas.DataFrame:
    require("notebook", "A data frame")
    import pandas

    return pandas.DataFrame(rows, columns=list(dict.fromkeys((*columns, *(name for row in rows for name in row)))))
