"""/v1/studies/{study}/trials: list, enqueue, ask, report, tell, release, requeue, cancel."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Header, Query, Response
from fastapi.responses import StreamingResponse

from server.routes.bodies import BodyRoute
from server.routes.dependencies import (
    IdempotencyHeader,
    InAsks,
    InDatabase,
    InSettings,
    InTransactions,
    NumberPath,
    PageSize,
    ReportsPageToken,
    StudyPath,
    TrialsPageToken,
)
from server.services.idempotency import IdempotencyKey
from server.services.leases import ask, worker_leases
from server.services.reporting import report, tell
from server.services.trials import admin, export, imports
from server.store.trial_lists import Listing
from sturgeon import messages
from sturgeon.states import TrialState

router = APIRouter(route_class=BodyRoute, prefix="/studies/{study}", tags=["trials"])
Form = Literal["json", "csv", "ndjson"]
Sort = Literal["number", "value", "finished_at", "-number", "-value", "-finished_at"]
MEDIA_TYPES: dict[Form, str] = {
    "csv": "text/csv",
    "ndjson": "application/x-ndjson",
    "json": "application/json",
}
STREAMS: dict[int | str, dict[str, Any]] = {
    200: {"content": {media_type: {} for form, media_type in MEDIA_TYPES.items() if form != "json"}}
}


@router.get("/trials", response_model=messages.Page[messages.Trial], responses=STREAMS)
def list_trials(
    study: StudyPath,
    database: InDatabase,
    state: TrialState | None = None,
    invalid: bool | None = None,
    tag: Annotated[str | None, Query(pattern=messages.TAG, description="Only trials that have this tag.")] = None,
    sort: Sort = "number",
    page_size: PageSize = 100,
    page_token: TrialsPageToken = None,
    format: Annotated[Form | None, Query(description="csv and ndjson stream all trials.")] = None,
    accept: Annotated[str, Header()] = "application/json",
) -> messages.Page[messages.Trial] | Response:
    """The study's trials. `format` wins over the Accept header."""
    which = Listing(state, invalid, sort.removeprefix("-"), descending=sort.startswith("-"), tag=tag)
    accepted: list[Form] = [form for form, media_type in MEDIA_TYPES.items() if media_type in accept]
    form = format or (accepted[0] if accepted else "json")
    if form == "json":
        return admin.listing(database, study, which, page_size, page_token)
    return StreamingResponse(export.export(database, study, which, form), media_type=MEDIA_TYPES[form])


@router.post("/trials", status_code=201)
def enqueue_trial(
    study: StudyPath,
    request: messages.EnqueueRequest,
    response: Response,
    transactions: InTransactions,
    key: IdempotencyHeader = None,
) -> messages.Trial:
    """A trial with parameters that you give; it is handed out before new ones are drawn."""
    idempotency_key = IdempotencyKey.of(key, f"POST /studies/{study}/trials", request)
    trial = admin.enqueue(transactions, study, request.params, idempotency_key)
    response.headers["Location"] = f"/v1/studies/{study}/trials/{trial.number}"
    return trial


@router.post("/trials:import")
def import_trials(
    study: StudyPath, request: messages.ImportRequest, transactions: InTransactions
) -> messages.ImportAnswer:
    """Take over trials that another tool has finished, with their dates and curves. Samplers see them."""
    return imports.import_trials(transactions, study, request.trials)


@router.post("/trials:ask")
def ask_trials(
    study: StudyPath, request: messages.AskRequest, asks: InAsks, key: IdempotencyHeader = None
) -> messages.Leases:
    """Hand out trials of this study, for people and scripts: the lease is an hour unless you say another."""
    return ask.ask(asks, study, request, IdempotencyKey.of(key, f"POST /studies/{study}/trials:ask", request))


@router.post("/trials:tell")
def tell_trials(
    study: StudyPath,
    request: messages.TellManyRequest,
    transactions: InTransactions,
    settings: InSettings,
) -> messages.TellManyAnswer:
    """End many trials in one call; each has its own outcome."""
    return tell.tell_many(transactions, settings.max_attempts, study, request.tells)


@router.get("/trials/{number:segment}")
def read_trial(study: StudyPath, number: NumberPath, response: Response, database: InDatabase) -> messages.Trial:
    """A trial. Its ETag is for `If-Match`: it changes whenever somebody steers the trial."""
    trial, version = admin.read(database, study, number)
    response.headers["ETag"] = f'"{version}"'
    return trial


@router.patch("/trials/{number:segment}")
def change_trial(
    study: StudyPath,
    number: NumberPath,
    patch: messages.TrialPatch,
    transactions: InTransactions,
    key: IdempotencyHeader = None,
) -> messages.Trial:
    """Write tags and notes of a trial."""
    idempotency_key = IdempotencyKey.of(key, f"PATCH /studies/{study}/trials/{number}", patch)
    return admin.describe(transactions, study, number, patch, idempotency_key)


@router.get("/trials/{number}/metrics")
def trial_metrics(
    study: StudyPath,
    number: NumberPath,
    database: InDatabase,
    page_size: PageSize = 1000,
    page_token: ReportsPageToken = None,
    left: Annotated[
        bool, Query(description="Every report that came, also of earlier runs and of what rollbacks abandoned.")
    ] = False,
) -> messages.Page[messages.ReportedMetrics]:
    """The trial's curve."""
    return admin.metrics(database, study, number, page_size, page_token, left=left)


@router.post("/trials/{number}:report")
def report_trial(
    study: StudyPath,
    number: NumberPath,
    request: messages.ReportRequest,
    transactions: InTransactions,
) -> messages.ReportAnswer:
    """Intermediate metrics; renews the lease. Reporting a step twice with the same values changes nothing."""
    return report.report(transactions, study, number, request)


@router.post("/trials/{number}:tell")
def tell_trial(
    study: StudyPath,
    number: NumberPath,
    request: messages.TellRequest,
    transactions: InTransactions,
    settings: InSettings,
) -> messages.Trial:
    """End a trial. A tell whose lease is lost gets 409 `lease_lost`, and is kept among the late results."""
    return tell.tell(transactions, settings.max_attempts, study, number, request)


@router.post("/trials/{number}:release")
def release_trial(
    study: StudyPath,
    number: NumberPath,
    request: messages.ReleaseRequest,
    transactions: InTransactions,
    key: IdempotencyHeader = None,
) -> messages.Trial:
    """Give a leased trial back; it waits for the next hand-out, and no attempt is spent. One that was to stop ends.

    A person who takes a trial from a holder that is gone writes `"fence": null`.
    """
    return worker_leases.release(transactions, study, number, request, _key(key, study, number, "release", request))


@router.post("/trials/{number}:requeue")
def requeue_trial(
    study: StudyPath, number: NumberPath, transactions: InTransactions, key: IdempotencyHeader = None
) -> messages.Trial:
    """Run a failed or cancelled trial again, with the same parameters and seed."""
    return admin.requeue(transactions, study, number, _key(key, study, number, "requeue"))


@router.post("/trials/{number}:invalidate")
def invalidate_trial(
    study: StudyPath,
    number: NumberPath,
    request: messages.InvalidateRequest,
    transactions: InTransactions,
    key: IdempotencyHeader = None,
) -> messages.Trial:
    """Say that a trial's result is not to be trusted: it counts for nothing from here on, and stays to be seen."""
    return admin.invalidate(
        transactions, study, number, request.reason, _key(key, study, number, "invalidate", request)
    )


@router.post("/trials/{number}:cancel")
def cancel_trial(
    study: StudyPath, number: NumberPath, transactions: InTransactions, key: IdempotencyHeader = None
) -> messages.Trial:
    """Cancel a queued or running trial at once."""
    return admin.cancel(transactions, study, number, _key(key, study, number, "cancel"))


def _key(
    key: str | None, study: str, number: int, verb: str, request: messages.Request | None = None
) -> IdempotencyKey:
    return IdempotencyKey.of(key, f"POST /studies/{study}/trials/{number}:{verb}", request)
