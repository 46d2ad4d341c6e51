"""/v1/studies: create, list, read, change, delete, best."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Response

from server.routes.bodies import BodyRoute
from server.routes.dependencies import (
    IdempotencyHeader,
    InAsks,
    InBlobs,
    InDatabase,
    InReach,
    InTransactions,
    PageSize,
    PageToken,
    StudyPath,
)
from server.services.idempotency import IdempotencyKey
from server.services.studies import lifecycle
from sturgeon import messages

router = APIRouter(route_class=BodyRoute, tags=["studies"])


@router.post("/studies", status_code=201)
def create_study(
    request: messages.StudyRequest,
    response: Response,
    database: InDatabase,
    reach: InReach,
    key: IdempotencyHeader = None,
    dry_run: Annotated[bool, Query(description="Only check it: the answer is what would be created.")] = False,
) -> messages.Study:
    """Create a study; it is active at once."""
    if dry_run:
        response.status_code = 200
        return lifecycle.checked(database, request, reach)
    response.headers["Location"] = f"/v1/studies/{request.name}"
    return lifecycle.create(database, request, IdempotencyKey.of(key, "POST /studies", request), reach)


@router.get("/studies")
def list_studies(
    database: InDatabase,
    reach: InReach,
    page_size: PageSize = 100,
    page_token: PageToken = None,
    tag: Annotated[str | None, Query(pattern=messages.TAG, description="Only studies that have this tag.")] = None,
) -> messages.Page[messages.Study]:
    """All studies, the oldest first."""
    return lifecycle.listing(database, page_size, page_token, tag, reach)


@router.get("/studies/{study}")
def read_study(study: StudyPath, database: InDatabase) -> messages.Study:
    """A study with its counts and its best trial."""
    return lifecycle.read(database, study)


@router.patch("/studies/{study}")
def change_study(
    study: StudyPath,
    patch: messages.StudyPatch,
    transactions: InTransactions,
    reach: InReach,
    key: IdempotencyHeader = None,
) -> messages.Study:
    """Pause, resume (`active`), stop or cancel it; change its budget, title, tags, notes, or space (a new revision)."""
    # A limit that is null is removed, and one that is left out stays: the key is of what was given.
    given = f"PATCH /studies/{study}\n{patch.model_dump_json(exclude_unset=True)}"
    return lifecycle.change(transactions, study, patch, IdempotencyKey.of(key, given, None), reach)


@router.delete("/studies/{study}", status_code=204)
def delete_study(
    study: StudyPath, database: InDatabase, blobs: InBlobs, force: bool = False, key: IdempotencyHeader = None
) -> None:
    """Delete it with its trials, reports and checkpoints; 409 while trials run, unless `force`."""
    idempotency_key = IdempotencyKey.of(key, f"DELETE /studies/{study}?force={force}", None)
    lifecycle.delete(database, blobs, study, idempotency_key, force=force)


@router.get("/studies/{study}/best")
def best_trials(
    study: StudyPath, database: InDatabase, asks: InAsks, k: Annotated[int, Query(ge=1, le=1000)] = 1
) -> messages.Best:
    """The `k` best complete trials, the best first, and the one to take (`recommended`): under noise the best score is
    often luck. Replicates are compared by their means; `separable` says whether its lead is more than seeds."""
    return lifecycle.best(database, asks.sampler_pool, study, k)
