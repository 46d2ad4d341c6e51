"""What people look at besides studies and trials: workers, events, late results, amounts."""

from __future__ import annotations

from server.services import lookup, views
from server.services.pagination import after_of, page_of
from server.store import (
    events,
    late_results,
    room,
    schema,
    space_revisions,
    unable,
    worker_trials,
    workers,
)
from server.store.blobs import BlobFolder
from server.store.engine import Database
from server.store.reach import Reach
from sturgeon import messages
from sturgeon.errors import NotFound, Unavailable
from sturgeon.identifiers import TrialNumber


def list_workers(
    database: Database, page_size: int, page_token: str | None, reach: Reach
) -> messages.Page[messages.Worker]:
    """A page of workers by name, with what they run of the studies within reach; the token is the last name of the page
    before."""
    with database.reading() as tx:
        rows = workers.page(tx, page_token or "", page_size + 1)
        gone = {row.name: workers.is_gone(tx, row) for row in rows}
        running = worker_trials.running_by_worker(tx, [row.name for row in rows], reach)
        cannot = unable.of_workers(tx, [row.name for row in rows], reach)
        holds = worker_trials.held_by_worker(tx, [row.name for row in rows], reach)
    items = [
        views.worker(
            row,
            running.get(row.name, 0),
            gone[row.name],
            [one for one in cannot if one.worker == row.name],
            holds.get(row.name, ()),
        )
        for row in rows[:page_size]
    ]
    return messages.Page(items=items, next_page_token=items[-1].name if len(rows) > page_size else None)


def drain(database: Database, name: str) -> messages.Worker:
    """Ask a worker to finish its trials and to stop. Raises: NotFound."""
    with database.writing() as tx:
        row = workers.drain(tx, name)
        if row is None:
            raise NotFound(f"There is no worker named {name}; GET /v1/workers lists them.")
        running = worker_trials.running_by_worker(tx, [name]).get(name, 0)
        holds = worker_trials.held_by_worker(tx, [name]).get(name, ())
        return views.worker(row, running, workers.is_gone(tx, row), unable.of_workers(tx, [name]), holds)


def list_events(
    database: Database,
    name: str,
    size: int,
    token: str | None,
    number: TrialNumber | None = None,
    *,
    newest_first: bool = False,
) -> messages.Page[messages.Event]:
    """The events of a study, or of one trial of it, the oldest first unless said otherwise.

    Raises: NotFound, Invalid (an unknown page token).
    """
    after = after_of(token)
    with database.reading() as tx:
        study_id = lookup.get_study(tx, name).id
        rows = events.page(tx, study_id, after, size + 1, number, newest_first=newest_first)
    return page_of([views.event(row) for row in rows], size, [row.id for row in rows])


def list_revisions(
    database: Database, name: str, size: int, token: str | None
) -> messages.Page[messages.SpaceRevision]:
    """All spaces that the study had, the oldest first. Raises: NotFound, Invalid (an unknown page token)."""
    after = min(after_of(token), messages.LARGEST_FENCE)
    with database.reading() as tx:
        rows = space_revisions.page(tx, lookup.get_study(tx, name).id, after, size + 1)
    return page_of([views.space_revision(row) for row in rows], size, [row.revision for row in rows])


def list_late_results(
    database: Database, name: str, size: int, token: str | None
) -> messages.Page[messages.LateResult]:
    """Reports and tells that came after their lease was lost, the oldest first.

    Raises: NotFound, Invalid (an unknown page token).
    """
    after = after_of(token)
    with database.reading() as tx:
        rows = late_results.page(tx, lookup.get_study(tx, name).id, after, size + 1)
    return page_of([views.late_result(row) for row in rows], size, [row.id for row in rows])


def require_ready(database: Database, blobs: BlobFolder) -> None:
    """Raises: Unavailable (the database is away or not at this version's schema; its disk or that of the checkpoints is
    full or read-only)."""
    with database.reading() as tx:
        if schema.current(tx) != schema.newest():
            raise Unavailable("The database is not at this version's schema; run `sturgeon migrate`.")
    room.require_writable(database)
    blobs.require_room()
