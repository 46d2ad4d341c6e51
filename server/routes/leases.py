"""/v1/leases: work for worker daemons."""

from __future__ import annotations

import time
from functools import partial

from anyio.to_thread import run_sync
from fastapi import APIRouter, Request, Response

from server.routes.bodies import BodyRoute, written
from server.routes.dependencies import (
    IdempotencyHeader,
    InAsks,
    InDatabase,
    InLanes,
    InLongPolls,
    InReach,
    InSettings,
)
from server.routes.lanes import client_of
from server.services.idempotency import IdempotencyKey
from server.services.leases import worker_leases
from server.services.studies.placement import Offer
from sturgeon import messages

router = APIRouter(route_class=BodyRoute, tags=["leases"])


@router.post("/leases", response_model=messages.Leases)
async def lease_trials(
    request: messages.LeaseRequest,
    http: Request,
    asks: InAsks,
    settings: InSettings,
    long_polls: InLongPolls,
    lanes: InLanes,
    reach: InReach,
    key: IdempotencyHeader = None,
) -> Response:
    """Hand out trials of any active study with a task. With `wait`, the answer waits until there is work.

    A waiting worker costs no thread and no place. The wait ends before the 10 s after which many clients and proxies
    take a server for dead.
    """
    # What a token of other studies was given under the same key is not for this one.
    idempotency_key = IdempotencyKey.of(key, " ".join(("POST /leases", *(reach.prefixes or ()))), request)
    offer = Offer.free(request, reach)
    until = time.monotonic() + min(request.wait, settings.longest_wait_s)
    lease = partial(worker_leases.lease, asks, request, offer, settings.lease_s, idempotency_key)
    while True:
        leases, answer = await lanes.run(client_of(http), partial(written, lease))
        remaining = until - time.monotonic()
        if leases.leases or remaining <= 0 or long_polls.ended:
            return answer
        may_be_work = await long_polls.wait(request.slots, offer, remaining)
        # A trial that went to a client that is gone would wait for its lease to run out.
        if not may_be_work or await http.is_disconnected():
            return answer


@router.post("/leases:renew", response_model=messages.RenewAnswer)
async def renew_leases(
    request: messages.RenewRequest, database: InDatabase, lanes: InLanes, reach: InReach
) -> Response:
    """Renew all leases of a worker in one call; what is lost is named with its reason."""
    # In threads of its own: behind slow requests, the leases of workers that are well would run out.
    _, answer = await run_sync(written, worker_leases.renew, database, request, reach, limiter=lanes.renewals)
    return answer
