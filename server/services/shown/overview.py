"""All studies at a glance. What was sketched is kept in memory; only studies that have changed are read again."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Collection, Mapping, Sequence
from threading import Lock
from typing import Final

from server.services.shown.cursors import Cursor, cursor_of
from server.services.views import moment
from server.store import change_numbers, changes, sketches
from server.store.best_trials import Improvement
from server.store.engine import Database, Transaction
from server.store.reach import EVERY_STUDY, Reach
from server.store.sketches import SketchRow
from sturgeon import messages
from sturgeon.identifiers import StudyId
from sturgeon.states import TRIAL_STATES

MOST: Final = 5_000
"""Studies of an overview, the newest."""
SPARKS: Final = 30
AT_ONCE: Final = 1_000
_COUNTED: Final = re.compile(r"a([0-9]{1,18})-([0-9]{1,9})")


class Overviews:
    """The sketches of one server's studies, as they were when somebody last asked, and which were gone by then."""

    def __init__(self) -> None:
        self._sketches: dict[StudyId, messages.StudySketch] = {}
        self._gone: deque[tuple[StudyId, str]] = deque(maxlen=MOST)
        self._moment: str | None = None
        self._guard = Lock()

    def read(self, database: Database, since: str | None = None, reach: Reach = EVERY_STUDY) -> messages.Overview:
        """All studies within reach; with a cursor those that have changed since, unless it says nothing here."""
        with self._guard, database.reading() as tx:
            now = self._refresh(tx)
            own = self._within(reach)
            known, missing = self._known(own, reach, since, now)
            changed = own.keys() if known is None else changes.studies_since(tx, known.moment)
            newest = max(own, default=0)
            return messages.Overview(
                cursor=str(Cursor(f"a{newest}-{len(own)}", now)),
                studies=[own[one] for one in sorted(changed, reverse=True) if one in own][:MOST],
                total=len(own),
                gone=self._names_gone(reach) if missing else [],
                complete=known is None,
            )

    def _within(self, reach: Reach) -> Mapping[StudyId, messages.StudySketch]:
        if not reach.is_bound:
            return self._sketches
        return {one: sketch for one, sketch in self._sketches.items() if reach.includes(sketch.name)}

    def _refresh(self, tx: Transaction) -> str:
        now = changes.moment(tx)
        present = sketches.ids(tx)
        is_past = self._moment is not None and change_numbers.is_past(self._moment, now)
        changed = changes.studies_since(tx, self._moment) & present if self._moment and is_past else present
        for one in self._sketches.keys() - present:
            self._gone.append((one, self._sketches.pop(one).name))
        ids = sorted(changed)
        for first in range(0, len(ids), AT_ONCE):
            for row in sketches.sketches(tx, ids[first : first + AT_ONCE]):
                self._sketches[row.id] = _sketch(row)
        self._moment = now
        return now

    def _known(self, own: Collection[StudyId], reach: Reach, since: str | None, now: str) -> tuple[Cursor | None, int]:
        """The cursor, and how many studies are gone since: it says how many there were up to the newest. None where it
        says nothing here, or this server has not seen them go. own: those within reach."""
        of = (since or "").partition(".")[0]
        counted = _COUNTED.fullmatch(of)
        cursor = cursor_of(since, of, now)
        if cursor is None or counted is None:
            return None, 0
        newest, count = int(counted[1]), int(counted[2])
        missing = count - sum(one <= newest for one in own)
        seen = 0 <= missing <= sum(one <= newest and reach.includes(name) for one, name in self._gone)
        return (cursor, missing) if seen else (None, 0)

    def _names_gone(self, reach: Reach) -> list[str]:
        """Of those that this server has seen go; a name that has come back is not gone."""
        present = {one.name for one in self._sketches.values()}
        return sorted({name for _, name in self._gone if reach.includes(name)} - present)


def _sketch(row: SketchRow) -> messages.StudySketch:
    best = row.improvements[-1] if row.improvements else None
    return messages.StudySketch(
        name=row.name,
        title=row.title,
        state=row.state,
        mode=row.mode,
        objective=row.metric,
        direction=row.direction,
        counts={state: row.counts.get(state, 0) for state in TRIAL_STATES},
        max_trials=row.max_trials,
        best=None if best is None else best.value,
        best_number=None if best is None else best.number,
        sparkline=_sparkline(row.improvements),
        workers=row.workers,
        tags=row.tags,
        spent=row.spent,
        created_at=moment(row.created_at),
        changed_at=moment(row.changed_at),
    )


def _sparkline(improvements: Sequence[Improvement]) -> list[float]:
    """The best so far after each complete trial, to six digits; of more than SPARKS at so many places, the first and
    the last among them."""
    complete = improvements[0].of if improvements else 0
    count = min(complete, SPARKS)
    line, place = [], 0
    for spark in range(count):
        after = 1 + round(spark * (complete - 1) / max(1, count - 1))
        while place + 1 < len(improvements) and improvements[place + 1].place <= after:
            place += 1
        line.append(float(f"{improvements[place].value:.6g}"))
    return line
