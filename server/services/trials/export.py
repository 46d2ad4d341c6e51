"""All trials of a study as csv or lines of JSON, streamed."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from typing import Final

from server.services import lookup, views
from server.services.exports import CHUNK, IN_MEMORY, csv_line, streamed
from server.store import space_revisions, trial_lists, trials
from server.store.engine import Database, Transaction
from server.store.json_columns import Json
from server.store.studies import StudyRow
from server.store.trial_lists import After, Listing

EXPORT_PAGE = 1000
PLAIN: Final = (
    "number",
    "state",
    "value",
    "seed",
    "attempt",
    "worker",
    "step",
    "created_at",
    "started_at",
    "finished_at",
)
"""The columns of every csv file, before the parameters and metrics."""


def export(database: Database, name: str, which: Listing, form: str) -> Iterator[str]:
    """All trials as csv or ndjson, as they are at one moment. Raises: NotFound.

    They are read in one snapshot and written to a file, from which the answer is streamed: so a slow reader holds
    neither the snapshot nor memory.
    """
    file = tempfile.SpooledTemporaryFile(max_size=IN_MEMORY, mode="w+", encoding="utf-8", newline="")  # noqa: SIM115
    try:
        with database.reading() as tx:
            study = lookup.get_study(tx, name)
            for text in _texts(tx, study, which, form):
                file.write(text)
    except BaseException:
        file.close()
        raise
    return streamed(file, CHUNK)


def _texts(tx: Transaction, study: StudyRow, which: Listing, form: str) -> Iterator[str]:
    columns = _columns(tx, study)
    if form == "csv":
        yield csv_line([*PLAIN, *columns])
    after: After | None = None
    while rows := trial_lists.page(tx, study.id, which, after, EXPORT_PAGE):
        items = [views.trial(study.name, row).model_dump(mode="json") for row in rows]
        if form == "csv":
            yield "".join(
                csv_line([*(item[name] for name in PLAIN), *(_cell(item, c) for c in columns)]) for item in items
            )
        else:
            yield "".join(json.dumps(item, allow_nan=False) + "\n" for item in items)
        after = trial_lists.place_of(rows[-1], which)


def _columns(tx: Transaction, study: StudyRow) -> list[str]:
    """The parameters, also those that an edit has left out (earlier trials have them), and the metrics."""
    spaces = [row.space for row in space_revisions.until(tx, study.id, study.seq)]
    names = dict.fromkeys(name for space in reversed(spaces) for name in space)
    return [f"params.{p}" for p in names] + [f"metrics.{m}" for m in trials.metric_names(tx, study.id)]


def _cell(item: Json, column: str) -> object:
    group, _, name = column.partition(".")
    value = item[group].get(name)
    return json.dumps(value) if isinstance(value, bool | list | dict) else value
