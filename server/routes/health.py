"""/healthz, /readyz and /metrics."""

from __future__ import annotations

from anyio.to_thread import run_sync
from fastapi import APIRouter
from fastapi.responses import Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Gauge, generate_latest

from server.routes.bodies import BodyRoute
from server.routes.dependencies import InBlobs, InCounters, InDatabase, InLanes
from server.services.metrics import Counters
from server.services.studies import observability
from server.store.engine import Database
from sturgeon.messages import Health

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
async def metrics(database: InDatabase, counters: InCounters, lanes: InLanes) -> Response:
    """Prometheus: this process's counters, and what the database holds."""
    return await run_sync(_metrics, database, counters, limiter=lanes.health)


def _metrics(database: Database, counters: Counters) -> Response:
    trials, studies = observability.amounts(database)
    registry = CollectorRegistry()
    gauges = {"sturgeon_trials": ("Trials by state", trials), "sturgeon_studies": ("Studies by state", studies)}
    for name, (text, amounts) in gauges.items():
        gauge = Gauge(name, text, ["state"], registry=registry)
        for state, amount in amounts.items():
            gauge.labels(state).set(amount)
    size, count = observability.stored(database)
    kept = {
        "sturgeon_stored_bytes": ("Bytes that checkpoints, late results and logs take", size),
        "sturgeon_stored_rows": ("Events and late results that are kept, and messages that webhooks wait for", count),
    }
    for name, (text, amounts) in kept.items():
        gauge = Gauge(name, text, ["what"], registry=registry)
        for what, amount in amounts.items():
            gauge.labels(what).set(amount)
    page = generate_latest(counters.registry) + generate_latest(registry)
    return Response(page, media_type=CONTENT_TYPE_LATEST)
