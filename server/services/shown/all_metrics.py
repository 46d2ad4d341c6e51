"""Every report of a study that counts, as one table: csv, lines of JSON, or parquet.

As an export of trials, it is read in one snapshot and written to a file, which is sent. In memory are the reports of
one trial, however many there are.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import islice
from tempfile import SpooledTemporaryFile
from typing import Any, Final, Literal

from pydantic_core import to_json

from server.services import lookup
from server.services.exports import IN_MEMORY, csv_line, streamed
from server.services.shown.curves import counted
from server.services.views import moment
from server.store import curve_points
from server.store.engine import Database, Transaction
from server.store.json_columns import Json
from server.store.studies import StudyRow
from sturgeon.errors import MissingExtra, WrongState
from sturgeon.extras import require

Form = Literal["csv", "ndjson", "parquet"]
PLACE: Final = ("trial", "step", "epoch", "at")
TRIALS: Final = 1_000
GROUP: Final = 20_000
"""Rows of a part of a parquet file."""


def all_metrics(database: Database, name: str, form: Form) -> Iterator[bytes]:
    """The table as a file. Raises: NotFound, WrongState (the server cannot write parquet)."""
    if form == "parquet":
        try:
            require("parquet", "A server that writes parquet")
        except MissingExtra as error:
            raise WrongState(f"{error.message} Or ask for csv or ndjson.") from None
    file = tempfile.SpooledTemporaryFile(max_size=IN_MEMORY)  # noqa: SIM115
    try:
        with database.reading() as tx:
            study = lookup.get_study(tx, name)
            if form == "parquet":
                _write_parquet(tx, study, file)
            else:
                for text in _texts(tx, study, form):
                    file.write(text)
    except BaseException:
        file.close()
        raise
    return streamed(file)


def _texts(tx: Transaction, study: StudyRow, form: Form) -> Iterator[bytes]:
    if form == "ndjson":
        for row in _rows(tx, study):
            yield to_json(row, inf_nan_mode="null") + b"\n"
        return
    columns = [*PLACE, *_others(curve_points.metric_names(tx, study.id))]
    yield csv_line(columns).encode()
    for row in _rows(tx, study):
        yield csv_line([row.get(name) for name in columns]).encode()


def _rows(tx: Transaction, study: StudyRow) -> Iterator[Json]:
    """By trial and step. A metric that has the name of a place is left out, as in a data frame of curves."""
    after = -1
    while chosen := curve_points.page(tx, study.id, after, TRIALS):
        reports = curve_points.whole_reports(tx, [one.id for one in chosen])
        for of, found in counted(tx, study, chosen, reports):
            for _, _, _, step, epoch, (at, metrics) in found:
                place = {"trial": of.number, "step": step, "epoch": epoch, "at": moment(at).isoformat()}
                yield metrics | place if metrics.keys() & place.keys() else place | metrics
        after = chosen[-1].number


def _others(names: Sequence[str]) -> list[str]:
    return [name for name in names if name not in PLACE]


def _write_parquet(tx: Transaction, study: StudyRow, file: SpooledTemporaryFile[bytes]) -> None:
    import pyarrow
    from pyarrow import parquet

    names = _others(curve_points.metric_names(tx, study.id))
    place = [("trial", pyarrow.int64()), ("step", pyarrow.int64()), ("epoch", pyarrow.float64())]
    kinds = [*place, ("at", pyarrow.timestamp("us", tz="UTC")), *((name, pyarrow.float64()) for name in names)]
    schema = pyarrow.schema(kinds)
    with parquet.ParquetWriter(file, schema) as writer:
        for group in _groups(_rows(tx, study)):
            columns: dict[str, list[Any]] = {name: [row.get(name) for row in group] for name, _ in kinds}
            columns["at"] = [datetime.fromisoformat(at) for at in columns["at"]]
            writer.write_table(pyarrow.table(columns, schema=schema))


def _groups(rows: Iterator[Json]) -> Iterator[list[Json]]:
    while group := list(islice(rows, GROUP)):
        yield group
