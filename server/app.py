"""The composition root: settings -> a FastAPI app with all its parts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable, Iterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Any

import anyio.to_thread
from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute
from fastapi_offline import FastAPIOffline
from starlette.routing import Route
from starlette.types import ASGIApp
from threadpoolctl import threadpool_limits
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from server import problems, traces
from server.admission import TokenGate
from server.background import LOOK_EVERY_S, TELL_EVERY_S, Background, Duties, end_with_tokens, look_for_work
from server.browsers import BrowserGate, SecurityHeaders, refusal_of_another_page
from server.dashboard import pages as dashboard
from server.description import Description
from server.gate import RequestLog, SizeGate
from server.routes.direct import Direct
from server.routes.lanes import KEPT, SENDING, Lanes
from server.routes.table import ACROSS, ACTIONS, ROUTERS, SCOPES, require_actions
from server.scopes import RouteScopes
from server.services.audit import Logins
from server.services.changes.feed import Feed
from server.services.leases import housekeeping
from server.services.leases.ask import AskContext
from server.services.leases.long_poll import LongPollQueue
from server.services.metrics import Counters
from server.services.pictures import Pictures
from server.services.quotas import Quotas
from server.services.sampling.refit import Refitter
from server.services.shown.curve_memo import CurveMemo
from server.services.shown.overview import Overviews
from server.services.shown.recent import RecentTables
from server.services.studies.measures import Measuring
from server.services.tokens import verification
from server.services.transactions import Transactions
from server.services.webhooks import best_watch
from server.services.webhooks.addresses import networks_of
from server.services.webhooks.delivery import Courier
from server.settings import Settings
from server.store import audit
from server.store.blobs import BlobFolder
from server.store.engine import Clock, Database
from server.token_check import TokenCheck
from server.wrong_tokens import WrongTokens

OPENAPI = "/openapi.json"


def create_app(settings: Settings, clock: Clock | None = None) -> FastAPI:
    """The app of one server process. `clock` replaces the database's clock in tests.

    Raises: SturgeonError (settings that contradict each other, or cannot be read).
    """
    threadpool_limits(limits=1, user_api="blas")  # in a program that is not `sturgeon serve`, too
    tracer_provider = traces.provider() if settings.traces else None
    app = FastAPIOffline(
        title="Sturgeon",
        version=version("sturgeon"),
        summary="A self-hosted hyperparameter search service.",
        lifespan=_lifespan,
        generate_unique_id_function=_operation_id,
        openapi_url=OPENAPI,
        redoc_url=None,
        telemetry=traces.telemetry(tracer_provider),
        responses={code: _problem_schema(why) for code, why in DOCUMENTED.items()},
    )
    app.state.settings = settings
    # Read once: the gate, the login and the pages have to mean the same one, also when its file is written anew.
    app.state.shared_token = settings.shared_token()
    app.state.tracer_provider = tracer_provider
    app.state.database = Database(settings.database_address(), connections=settings.threads + KEPT, clock=clock)
    app.state.database.before_commit(audit.record)
    app.state.counters = Counters()
    app.state.transactions = Transactions(app.state.database, app.state.counters, _quotas(settings))
    app.state.blobs = BlobFolder(settings.checkpoints)
    app.state.long_polls = LongPollQueue()
    app.state.asks = AskContext(app.state.database, app.state.counters)
    app.state.courier = Courier(app.state.database, app.state.counters, networks_of(settings.webhook_networks))
    app.state.curve_memo = CurveMemo()
    app.state.recent_tables = RecentTables(app.state.database)
    app.state.pictures = Pictures(
        app.state.database, app.state.asks.sampler_pool, app.state.curve_memo, app.state.recent_tables
    )
    app.state.token_memo = verification.TokenMemo(app.state.database)
    app.state.logins = Logins(app.state.database)
    app.state.overviews = Overviews()
    app.state.measuring = Measuring(app.state.database)
    app.state.feed = Feed(app.state.database, app.state.overviews)
    app.state.long_polls.at_end(app.state.feed.streams.end)
    app.state.refitter = Refitter(app.state.database, app.state.asks.sampler_pool)
    problems.install(app)
    for router, prefix in ROUTERS:
        app.include_router(router, prefix=prefix)
    dashboard.install(app)
    _describe(app)
    app.state.direct = Direct(app, ROUTERS, ACTIONS)
    app.middleware_stack = _behind_gates(app, settings)
    return app


def _behind_gates(app: FastAPI, settings: Settings) -> ASGIApp:
    """What answers, behind all that a request passes before; what it passes last comes first."""
    addresses = list(_addresses([*ROUTERS, *((router, "") for router in dashboard.ROUTERS)]))
    require_actions(addresses)
    scopes = RouteScopes(addresses, SCOPES, ACROSS)
    passed: ASGIApp = SizeGate(
        app.state.direct,
        most=round(settings.max_body_mb * 1_000_000),
        most_checkpoint=round(settings.max_checkpoint_mb * 1_000_000),
    )
    names = settings.names()
    token: str | None = app.state.shared_token
    if token is None:
        passed = BrowserGate(passed, names)
    else:
        app.state.token_check = TokenCheck(token, app.state.token_memo, WrongTokens(settings.max_wrong_tokens))
        passed = TokenGate(
            passed,
            token=token,
            check=app.state.token_check,
            scopes=scopes,
            of_browser=lambda scope: refusal_of_another_page(scope, names),
        )
    passed = SecurityHeaders(passed)
    if app.state.tracer_provider is not None:
        passed = traces.SpanNames(passed)
    passed = RequestLog(passed, app.state.counters, every=settings.request_log)
    if proxies := settings.proxies():
        typed_otherwise: Any = ProxyHeadersMiddleware  # by uvicorn's own names for the same things
        passed = typed_otherwise(passed, trusted_hosts=proxies)
    return passed


DOCUMENTED = {
    400: "The body is not JSON.",
    401: "The token is missing or wrong.",
    403: "The token is not for this; or it comes from a page, by a name, or leads to an address that is not allowed.",
    404: "There is no such thing.",
    409: "It does not fit the present state, or its parts do not go together.",
    412: "The header If-Match named a version of the trial, its ETag, that is not the present one.",
    413: "The body is too large.",
    415: "The body is not declared as what the route takes, which is JSON for most.",
    422: "The request is not valid.",
    429: "Too many wrong tokens came from the same address.",
    503: "The database is away; try again.",
}


def _quotas(settings: Settings) -> Quotas:
    return Quotas(
        late_results=settings.max_late_results,
        late_results_size=round(settings.max_late_results_mb * 1_000_000),
        events=settings.max_events,
        logs_size=round(settings.max_logs_mb * 1_000_000),
        checkpoints_size=round(settings.max_study_mb * 1_000_000),
    )


def _problem_schema(why: str) -> dict[str, object]:
    schema = {"$ref": "#/components/schemas/ProblemAnswer"}
    return {"description": why, "content": {"application/problem+json": {"schema": schema}}}


def _addresses(routers: Iterable[tuple[APIRouter, str]]) -> Iterator[tuple[str, str]]:
    """The method and the path of each route, in their order. routers: each with its prefix."""
    for router, prefix in routers:
        for route in router.routes:
            assert isinstance(route, APIRoute)
            yield from ((method, prefix + route.path) for method in route.methods or ())


def _describe(app: FastAPI) -> None:
    """Let the app describe itself as narrowly as it is, by a route in the place of FastAPI's own."""
    description = Description(app.openapi)
    app.openapi = description.schema  # type: ignore[method-assign]
    own = next(place for place, route in enumerate(app.router.routes) if getattr(route, "path", "") == OPENAPI)
    app.router.routes[own] = Route(OPENAPI, description.answer, include_in_schema=False)


def _operation_id(route: APIRoute) -> str:
    return route.name


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncGenerator[None]:
    settings: Settings = app.state.settings
    database: Database = app.state.database
    # What is being sent holds no place, but takes a thread now and then.
    anyio.to_thread.current_default_thread_limiter().total_tokens = settings.threads + SENDING
    app.state.lanes = Lanes(settings.threads)
    loop = asyncio.get_running_loop()
    background = Background()
    duties = Duties(app.state.transactions, app.state.blobs, settings.lease_s, settings.max_attempts)
    background.every(settings.reap_every_s, "duties", duties)
    background.every(LOOK_EVERY_S, "look for work", lambda: look_for_work(database, app.state.long_polls, loop))
    courier: Courier = app.state.courier
    background.every(TELL_EVERY_S, "webhooks", lambda: courier.step())
    pool = app.state.asks.sampler_pool
    background.every(TELL_EVERY_S, best_watch.DUTY, lambda: best_watch.watch(app.state.transactions, pool))
    memo, streams = app.state.token_memo, app.state.feed.streams
    background.every(verification.KEEP_S, verification.DUTY, lambda: end_with_tokens(memo, streams))
    refitter: Refitter = app.state.refitter
    await anyio.to_thread.run_sync(housekeeping.begin, database)
    refitter.start()
    app.state.feed.start()
    try:
        yield
    finally:
        await anyio.to_thread.run_sync(app.state.feed.stop)
        await anyio.to_thread.run_sync(refitter.stop)
        await anyio.to_thread.run_sync(background.stop)
        await anyio.to_thread.run_sync(courier.stop)
        app.state.lanes.end()
        database.dispose()
        if app.state.tracer_provider is not None:
            await anyio.to_thread.run_sync(traces.end, app.state.tracer_provider)
