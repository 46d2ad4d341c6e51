"""/healthz, /readyz and /metrics."""

from __future__ import annotations

from collections.abc import Mapping

from anyio.to_thread import run_sync
from fastapi import APIRouter, Request
from fastapi.responses import Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Gauge, generate_latest
from starlette.datastructures import State

from server.routes.bodies import BodyRoute
from server.routes.dependencies import InBlobs, InDatabase, InLanes
from server.routes.lanes import Lanes
from server.services.studies import observability
from server.services.studies.measures import Measuring
from server.store import room
from server.store.blobs import BlobFolder
from sturgeon.errors import Unavailable
from sturgeon.messages import Health

Gauges = dict[str, tuple[str, str | None, Mapping[str, int]]]
"""Name -> what it is, its label, and the amounts by that label's values; without a label there is one amount."""

router = APIRouter(route_class=BodyRoute, tags=["health"])


@router.get("/healthz")
async def healthz() -> Health:
    """The process answers; this takes no thread."""
    return Health(status="ok")


@router.get("/readyz")
async def readyz(database: InDatabase, blobs: InBlobs, lanes: InLanes) -> Health:
    """The database answers, is at this version's schema, and takes what is written, as the checkpoints' disk does; else
    503."""
    await run_sync(observability.require_ready, database, blobs, limiter=lanes.health)
    return Health(status="ok")


@router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
async def metrics(request: Request, lanes: InLanes) -> Response:
    """Prometheus: what this process has counted, and what the database holds; that is left out while it is away."""
    return await run_sync(_metrics, request.app.state, lanes, limiter=lanes.health)


def _metrics(state: State, lanes: Lanes) -> Response:
    registry = CollectorRegistry()
    for name, (text, label, amounts) in (_of_process(state, lanes) | _of_database(state)).items():
        gauge = Gauge(name, text, [label] if label else [], registry=registry)
        for value, amount in amounts.items():
            (gauge.labels(value) if label else gauge).set(amount)
    page = generate_latest(state.counters.registry) + generate_latest(registry)
    return Response(page, media_type=CONTENT_TYPE_LATEST)


def _of_process(state: State, lanes: Lanes) -> Gauges:
    blobs: BlobFolder = state.blobs
    folder = room.folder_of(state.database)
    disks = {"checkpoints": blobs.disk(), "database": None if folder is None else room.disk_of(folder)}
    known = {what: disk for what, disk in disks.items() if disk is not None}
    return {
        "sturgeon_streams": ("Open streams of changes", None, {"": len(state.feed.streams)}),
        "sturgeon_long_polls": ("Calls of workers that wait for work", None, {"": len(state.long_polls)}),
        "sturgeon_requests_waiting": ("Requests that wait for a place to work in", None, {"": lanes.work.waiting}),
        "sturgeon_disk_bytes": ("Size of a disk", "what", {what: disk.size for what, disk in known.items()}),
        "sturgeon_disk_free_bytes": ("Room on a disk", "what", {what: disk.free for what, disk in known.items()}),
    }


def _of_database(state: State) -> Gauges:
    measuring: Measuring = state.measuring
    try:
        of = measuring.read()
    except Unavailable:
        return {"sturgeon_database_up": ("Whether the database answers", None, {"": 0})}
    return {
        "sturgeon_database_up": ("Whether the database answers", None, {"": 1}),
        "sturgeon_trials": ("Trials by state", "state", of.trials),
        "sturgeon_studies": ("Studies by state", "state", of.studies),
        "sturgeon_queued_trials": ("Queued trials of the studies that have most", "study", of.queues),
        "sturgeon_workers": ("Workers by state; gone: has not called for a minute", "state", of.workers),
        "sturgeon_worker_slots": ("Slots of active workers", None, {"": of.slots}),
        "sturgeon_stored_bytes": ("Bytes that checkpoints, late results and logs take", "what", of.stored_bytes),
        "sturgeon_stored_rows": (
            "Events and late results that are kept, and messages that webhooks wait for",
            "what",
            of.stored_rows,
        ),
        "sturgeon_database_bytes": ("Bytes that the database takes", None, {"": of.database_bytes}),
    }
