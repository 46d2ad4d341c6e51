"""All trials of a study as csv or lines of JSON, streamed."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator

from server.services import lookup, views
from server.store import space_revisions, trials
from server.store.engine import Database
from server.store.json_columns import Json
from server.store.studies import StudyRow
from server.store.trials import After, Listing

EXPORT_PAGE = 1000


def export(database: Database, name: str, which: Listing, form: str) -> Iterator[str]:
    """All trials as csv or ndjson, a page of rows a transaction, so that a slow reader holds no snapshot."""
    with database.reading() as tx:
        study = lookup.get_study(tx, name)
        # Parameters that an edit has left out, too: earlier trials have them.
        spaces = [row.space for row in space_revisions.until(tx, study.id, study.seq)]
        names = dict.fromkeys(name for space in reversed(spaces) for name in space)
        columns = [f"params.{p}" for p in names] + [f"metrics.{m}" for m in trials.metric_names(tx, study.id)]
    return _export(database, study, which, form, columns)


def _export(database: Database, study: StudyRow, which: Listing, form: str, columns: list[str]) -> Iterator[str]:
    plain = [
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
    ]
    if form == "csv":
        yield _csv([*plain, *columns])
    after: After | None = None
    while True:
        with database.reading() as tx:
            rows = trials.page(tx, study.id, which, after, EXPORT_PAGE)
        items = [views.trial(study.name, row).model_dump(mode="json") for row in rows]
        if form == "csv":
            yield "".join(_csv([*(item[name] for name in plain), *(_cell(item, c) for c in columns)]) for item in items)
        else:
            yield "".join(json.dumps(item, allow_nan=False) + "\n" for item in items)
        if len(rows) < EXPORT_PAGE:
            return
        after = trials.place_of(rows[-1], which)


def _cell(item: Json, column: str) -> object:
    group, _, name = column.partition(".")
    value = item[group].get(name)
    return json.dumps(value) if isinstance(value, bool | list) else value


def _csv(cells: list[object]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerow(["" if cell is None else cell for cell in cells])
    return text.getvalue()
