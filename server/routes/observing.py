"""/v1/workers, and a study's events and late results."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from server.routes.bodies import BodyRoute
from server.routes.dependencies import InDatabase, InReach, PageSize, PageToken, StudyPath, WorkerPath, WorkersPageToken
from server.services.studies import observability
from sturgeon import messages

router = APIRouter(route_class=BodyRoute, tags=["observing"])


@router.get("/workers")
def list_workers(
    database: InDatabase, reach: InReach, page_size: PageSize = 100, page_token: WorkersPageToken = None
) -> messages.Page[messages.Worker]:
    """Who asked for work within the last week. A token of some studies sees the trials of these alone."""
    return observability.list_workers(database, page_size, page_token, reach)


@router.post("/workers/{worker}:drain")
def drain_worker(worker: WorkerPath, database: InDatabase) -> messages.Worker:
    """Ask a worker to finish what it has, and to stop."""
    return observability.drain(database, worker)


@router.get("/studies/{study}/events")
def list_events(
    study: StudyPath,
    database: InDatabase,
    page_size: PageSize = 100,
    page_token: PageToken = None,
    number: Annotated[messages.Number | None, Query(description="Only the events of this trial.")] = None,
    newest_first: bool = False,
) -> messages.Page[messages.Event]:
    """What people and the server did to the study and its trials, the oldest first unless said otherwise."""
    return observability.list_events(database, study, page_size, page_token, number, newest_first=newest_first)


@router.get("/studies/{study}/revisions")
def list_revisions(
    study: StudyPath, database: InDatabase, page_size: PageSize = 100, page_token: PageToken = None
) -> messages.Page[messages.SpaceRevision]:
    """The spaces that the study had, the oldest first; the last one rules."""
    return observability.list_revisions(database, study, page_size, page_token)


@router.get("/studies/{study}/late-results")
def list_late_results(
    study: StudyPath, database: InDatabase, page_size: PageSize = 100, page_token: PageToken = None
) -> messages.Page[messages.LateResult]:
    """Reports and tells whose lease was lost: kept as evidence, counted for nothing."""
    return observability.list_late_results(database, study, page_size, page_token)
