"""/v1/studies/{study}/trials/{number}/checkpoints."""

from __future__ import annotations

import os
from functools import partial
from typing import Annotated, Any, BinaryIO, Final

from anyio.to_thread import run_sync
from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import FiniteFloat
from starlette.types import Receive, Scope, Send

from server.routes.bodies import BodyRoute
from server.routes.dependencies import InBlobs, InDatabase, InLanes, InTransactions, NumberPath, StepPath, StudyPath
from server.routes.lanes import client_of
from server.services.trials import checkpoints, uploads
from server.services.trials.uploads import Upload
from server.store.blobs import Incoming
from sturgeon import messages
from sturgeon.identifiers import NO_VERSION, Fence, StudyId, Version

router = APIRouter(route_class=BodyRoute, prefix="/studies/{study}/trials/{number}/checkpoints", tags=["checkpoints"])
BYTES: dict[int | str, dict[str, Any]] = {
    200: {"content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}}
}
LARGEST_ID: Final = 2**53
PART: Final = 1_000_000
"""Bytes of a body or an answer that are in memory at once."""
BODY = {"requestBody": {"required": True, "content": BYTES[200]["content"]}}


class FileAnswer(StreamingResponse):
    """The bytes of a file, in parts; it is closed at the end, also where nobody reads it to its end."""

    def __init__(self, file: BinaryIO) -> None:
        size = {"Content-Length": str(os.fstat(file.fileno()).st_size)}
        super().__init__(iter(partial(file.read, PART), b""), headers=size, media_type="application/octet-stream")
        self._file = file

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._file:
            await super().__call__(scope, receive, send)


@router.get("")
def list_checkpoints(study: StudyPath, number: NumberPath, database: InDatabase) -> messages.Page[messages.Checkpoint]:
    """The trial's checkpoints, by step."""
    return checkpoints.listing(database, study, number)


@router.get("/best", response_class=Response, responses=BYTES)
def read_best_checkpoint(
    study: StudyPath,
    number: NumberPath,
    database: InDatabase,
    blobs: InBlobs,
    study_id: Annotated[
        StudyId | None,
        Query(
            ge=1,
            le=LARGEST_ID,
            description="The `start_from_study` of a lease's task; 404 if the name is another's now.",
        ),
    ] = None,
) -> Response:
    """The bytes of the trial's best checkpoint by the study's metric."""
    return FileAnswer(checkpoints.best_content(database, blobs, study, number, study_id))


@router.get("/{step:step}", response_class=Response, responses=BYTES)
def read_checkpoint(
    study: StudyPath, number: NumberPath, step: StepPath, database: InDatabase, blobs: InBlobs
) -> Response:
    """The bytes of a checkpoint: an npz without pickles; of own code a tar of its checkpoint folder."""
    return FileAnswer(checkpoints.content(database, blobs, study, number, step))


@router.put("/{step:step}", openapi_extra=BODY)
async def keep_checkpoint(
    study: StudyPath,
    number: NumberPath,
    step: StepPath,
    http: Request,
    database: InDatabase,
    blobs: InBlobs,
    transactions: InTransactions,
    lanes: InLanes,
    fence: Annotated[Fence, Query(ge=1, le=messages.LARGEST_FENCE)],
    sha256: Annotated[str, Query(pattern=r"^[0-9a-f]{64}$", description="Of the body.")],
    epoch: Annotated[messages.Epoch | None, Query()] = None,
    value: Annotated[FiniteFloat | None, Query(description="The study's metric at this step.")] = None,
    version: Annotated[
        Version, Query(ge=0, le=messages.LARGEST_FENCE, description="The version then in force.")
    ] = NO_VERSION,
    wanted: Annotated[int, Query(ge=0, le=messages.LARGEST_FENCE, description="The version that asked for it.")] = 0,
) -> messages.Checkpoint:
    """Upload a checkpoint; the study's rule says which ones of a trial are kept."""
    upload = Upload(fence, step, sha256, epoch, value, version, wanted)
    client = client_of(http)
    async with lanes.work.place(client):
        stored = await run_sync(uploads.admit, database, study, number, upload)
    if stored is not None:
        return stored
    with blobs.receive() as incoming:
        await _received(http, incoming)
        async with lanes.work.place(client):
            return await run_sync(uploads.store, database, blobs, transactions.quotas, study, number, upload, incoming)


async def _received(http: Request, incoming: Incoming) -> None:
    """Write the body to the disk as it comes, a part at a time: it may be larger than the memory."""
    part = bytearray()
    async for chunk in http.stream():
        part += chunk
        if len(part) >= PART:
            await run_sync(incoming.write, bytes(part))
            part.clear()
    await run_sync(incoming.write, bytes(part))
