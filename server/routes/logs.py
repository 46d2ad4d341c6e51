"""/v1/studies/{study}/trials/{number}/log: what a run prints, as plain text."""

from __future__ import annotations

from typing import Annotated, Any, Final

from anyio.to_thread import run_sync
from fastapi import APIRouter, Query, Request, Response

from server.routes.bodies import BodyRoute
from server.routes.dependencies import InDatabase, InLanes, NumberPath, StudyPath
from server.routes.lanes import client_of
from server.services.trials import logs
from sturgeon import messages
from sturgeon.errors import UnsupportedMediaType
from sturgeon.identifiers import Fence

router = APIRouter(route_class=BodyRoute, prefix="/studies/{study}/trials/{number}/log", tags=["trials"])
TEXT: Final = "text/plain; charset=utf-8"
CONTENT: dict[str, Any] = {"content": {"text/plain": {"schema": {"type": "string"}}}}
BODY: dict[str, Any] = {"requestBody": {"required": True, **CONTENT}}


@router.get("", response_class=Response, responses={200: CONTENT})
def read_log(
    study: StudyPath,
    number: NumberPath,
    database: InDatabase,
    run: Annotated[logs.Run, Query(description="The last run that sent a log, or the one before it.")] = "last",
) -> Response:
    """What the trial's run has printed to stdout and stderr, as far as it was kept."""
    return Response(logs.read(database, study, number, run), media_type=TEXT)


@router.put("", status_code=204, openapi_extra=BODY)
async def keep_log(
    study: StudyPath,
    number: NumberPath,
    http: Request,
    database: InDatabase,
    lanes: InLanes,
    fence: Annotated[Fence, Query(ge=1, le=messages.LARGEST_FENCE)],
) -> None:
    """Upload all that the present run has printed so far, as the lease's holder; it replaces what was sent before."""
    if http.headers.get("content-type", "").partition(";")[0].strip().lower() != "text/plain":
        raise UnsupportedMediaType("Send the log as text/plain, in UTF-8.")
    text = await http.body()
    async with lanes.work.place(client_of(http)):
        await run_sync(logs.store, database, study, number, fence, text)
