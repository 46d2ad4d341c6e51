"""The trials of a study as rows: what tables and pictures are made of, whole or as what has changed since a cursor."""

from __future__ import annotations

from typing import Final, NamedTuple

from pydantic_core import to_json

from server.services import lookup
from server.services.shown.columns import Columns, columns_of
from server.services.shown.cursors import Cursor, cursor_of
from server.services.views import moment
from server.store import changes, trial_cells
from server.store.engine import Database, Transaction
from server.store.json_columns import Json
from server.store.studies import StudyRow
from server.store.trial_cells import TrialCells
from sturgeon import messages
from sturgeon.direction import sign_of

MOST: Final = 20_000
BEST: Final = 2_000


class Rows(NamedTuple):
    """The answer, and the cursor in it."""

    table: messages.Table
    cursor: Cursor


def as_json(table: messages.Table) -> bytes:
    """The bytes of the answer."""
    return to_json(table, inf_nan_mode="null")


def rows_since(database: Database, name: str, since: str) -> messages.Table:
    """The rows of a study that have changed since a cursor. Raises: NotFound."""
    with database.reading() as tx:
        return read_rows(tx, lookup.get_study(tx, name), since).table


def of_study(study: StudyRow) -> str:
    """What the cursors of a study name: it, and no other that has its name later."""
    return f"s{study.id}"


def read_rows(tx: Transaction, study: StudyRow, since: str | None, most: int = MOST) -> Rows:
    """The rows that changed since a cursor, `most` of them; without one, or with one that says nothing here, all up to
    MOST, of which BEST are the best."""
    now = changes.moment(tx)
    known = cursor_of(since, of_study(study), now)
    if known is None:
        cells = trial_cells.newest_and_best(tx, study.id, MOST - BEST, BEST, sign_of(study.direction))
        cursor = Cursor(of_study(study), now)
    else:
        cells = trial_cells.since(tx, study.id, known.moment, known.after, most)
        cursor = known.next(now, cells[-1].number if len(cells) == most else None)
    columns = columns_of(tx, study)
    table = messages.Table(
        study=study.name,
        title=study.title,
        objective=study.metric,
        direction=study.direction,
        cursor=str(cursor),
        parameters=columns.parameters,
        total=study.next_number,
        left_out=0 if known else study.next_number - len(cells),
        complete=known is None,
        more=cursor.began is not None,
        rows=[],
    )
    sign = sign_of(study.direction)
    table.rows.extend(_row(one, columns, sign) for one in cells)
    return Rows(table, cursor)


def _row(of: TrialCells, columns: Columns, sign: float) -> Json:
    """A messages.TableRow. It is made by hand, since there are thousands."""
    params = of.params if of.live_overrides is None else of.params | of.live_overrides
    return {
        "number": of.number,
        "state": of.state,
        "mode": of.mode,
        "score": of.value,
        "so_far": None if of.best_score is None else sign * of.best_score,
        "guess": of.predicted_value,
        "epochs": of.run_epoch,
        "seconds": of.spent_us / 1e6,
        "worker": of.worker,
        "attempt": of.attempt,
        "error": _last_line(of.error) if of.error else None,
        "created_at": _iso(of.created_at),
        "started_at": _iso(of.started_at),
        "finished_at": _iso(of.finished_at),
        "invalid": of.invalid_reason is not None,
        "pruned_at": of.run_epoch if of.state == "pruned" else None,
        "parent": of.parent_number,
        "group": of.group_number,
        "tags": of.tags,
        "sampler": of.sampler,
        "round": of.drawn.get("round"),
    } | columns.cells(params)


def _last_line(error: str) -> str:
    """What happened: above it stands the traceback."""
    return error.rstrip().rpartition("\n")[2].strip()


def _iso(at: int | None) -> str | None:
    """As pydantic writes a moment."""
    return None if at is None else moment(at).isoformat()[:-6] + "Z"
