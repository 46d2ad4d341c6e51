"""The tables of the studies that were asked for last. A page asks for the rows, and for several pictures of them, at
once: they are read once, and then with what has changed since."""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock
from typing import Final
from weakref import WeakValueDictionary

from server.services import lookup
from server.services.shown import rows
from server.services.shown.rows import read_rows
from server.store import trial_cells
from server.store.engine import Database, Transaction
from sturgeon import messages
from sturgeon.identifiers import StudyId

RECENT: Final = 2
"""Studies whose rows are kept."""
GROWN: Final = 2_000
"""So many more rows than an answer has are kept, before all are read again."""


class RecentTables:
    """Those of one server."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._recent: OrderedDict[str, messages.Table] = OrderedDict()
        self._readers: WeakValueDictionary[str, Lock] = WeakValueDictionary()
        self._guard = Lock()

    def read(self, study: str, *, may_grow: bool) -> messages.Table:
        """The rows as they are now; nobody may change them. Of those who ask at the same time one reads them.

        may_grow: there may be GROWN more of them than an answer has. Raises: NotFound.
        """
        most = rows.MOST + (GROWN if may_grow else 0)
        with self._guard:
            reader = self._readers.setdefault(study, Lock())
        with reader:
            with self._guard:
                known = self._recent.get(study)
            table = self._now(study, known, most)
            with self._guard:
                self._recent[study] = table
                self._recent.move_to_end(study)
                while len(self._recent) > RECENT:
                    self._recent.popitem(last=False)
            return table

    def _now(self, study: str, known: messages.Table | None, most: int) -> messages.Table:
        with self._database.reading() as tx:
            row = lookup.get_study(tx, study)
            table = read_rows(tx, row, None if known is None else known.cursor).table
            if known is None or table.complete:
                return table
            together = _together(known, table, most)
            return read_rows(tx, row, None).table if together is None else _with_time(tx, row.id, together)


def _together(known: messages.Table, change: messages.Table, most: int) -> messages.Table | None:
    """The rows with what has changed since. None where they do not go together: an edit of the space may give values
    other labels; there are too many changes for one answer; or too many rows by now, of which the oldest must go."""
    if change.more or change.parameters != known.parameters:
        return None
    together = known.rows
    if change.rows:
        by_number = {row["number"]: row for row in (*known.rows, *change.rows)}
        together = [by_number[number] for number in sorted(by_number)]
    if len(together) > most:
        return None
    return change.model_copy(update={"rows": together, "complete": True, "left_out": change.total - len(together)})


def _with_time(tx: Transaction, study_id: StudyId, table: messages.Table) -> messages.Table:
    """With how long workers have held the trials that go on: a renewal adds to it, and counts as no change."""
    now = trial_cells.seconds_of_going_on(tx, study_id)
    if all(now.get(row["number"], row["seconds"]) == row["seconds"] for row in table.rows):
        return table
    rows = [row | {"seconds": now.get(row["number"], row["seconds"])} for row in table.rows]
    return table.model_copy(update={"rows": rows})
