"""What a stream is sent at once: what has changed since its cursor, as server-sent events."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from pydantic_core import to_json

from server.services import views
from server.services.shown.cursors import Cursor, cursor_of
from server.services.shown.rows import of_study, read_rows
from server.services.studies import lifecycle, observability
from server.store import change_numbers, changes, events, studies
from server.store.engine import Database, Transaction
from server.store.reach import Reach
from server.store.studies import StudyRow

PART: Final = 2_000
"""Rows of one push; a reader that was away for long gets several, and no more is in memory."""
MOST_EVENTS: Final = 1_600


class Push(NamedTuple):
    """Events of a stream, (name, JSON), and the cursor of a reader that has them."""

    events: list[tuple[str, bytes]]
    cursor: str

    def with_study(self, told: bytes | None) -> Push:
        """And the study as a whole, as JSON."""
        return self if told is None else Push([("study", told), *self.events], self.cursor)

    def as_bytes(self) -> bytes:
        """As they are sent. The cursor comes with the last: who has not got all of them gets them again."""
        texts = [b"event: %s\ndata: %s\n" % (name.encode(), data) for name, data in self.events]
        return b"\n".join(texts) + b"id: %s\n\n" % self.cursor.encode()


class StudyChange(NamedTuple):
    """What has changed of a study. is_touched: the study as a whole may be told otherwise now."""

    push: Push
    study: StudyRow
    is_touched: bool


def of_one(tx: Transaction, name: str, since: str) -> StudyChange | None:
    """The rows and events of a study that are new since a cursor; None where there is no such study any more."""
    study = studies.find(tx, name)
    if study is None:
        return None
    table = read_rows(tx, study, since, PART).table
    found = [("rows", to_json(table, inf_nan_mode="null"))] if table.rows or table.complete else []
    known = cursor_of(since, of_study(study), changes.moment(tx))
    if table.more or known is None:  # the rest is told with the last of the rows
        return StudyChange(Push(found, table.cursor), study, is_touched=known is None)
    if new := events.since(tx, study.id, known.moment, MOST_EVENTS):
        found.insert(0, ("events", to_json({"items": [views.event(one) for one in new]})))
    changed = bool(table.rows) or change_numbers.is_since(study.changed, known.moment)
    return StudyChange(Push(found, table.cursor), study, is_touched=changed)


def study_message(tx: Transaction, study: StudyRow) -> bytes:
    """The study with its counts and its best, as JSON."""
    return lifecycle.as_message(tx, study).model_dump_json().encode()


def cursor_now(tx: Transaction, study: StudyRow) -> str:
    """The cursor of a reader that wants to know what changes from now on."""
    return str(Cursor(of_study(study), changes.moment(tx)))


def workers(database: Database, reach: Reach) -> dict[str, bytes]:
    """Each worker by name, with what it runs of the studies within reach, as JSON."""
    listed = observability.list_workers(database, 1000, None, reach).items
    return {one.name: one.model_dump_json().encode() for one in listed}


def of_workers(shown: Mapping[str, bytes], now: Mapping[str, bytes]) -> list[tuple[str, bytes]]:
    """The event that tells a reader who was shown those workers of these; none where nothing has changed."""
    changed = [body for name, body in now.items() if shown.get(name) != body]
    forgotten = to_json(sorted(shown.keys() - now.keys()))
    if not changed and shown.keys() <= now.keys():
        return []
    return [("workers", b'{"items":[%s],"gone":%s}' % (b",".join(changed), forgotten))]
