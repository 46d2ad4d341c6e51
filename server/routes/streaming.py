"""Streams of changes, as server-sent events: of one study, and of all.

A stream takes no thread and no place of a request while it is open. These routes are not in the OpenAPI document, which
has no word for an answer without an end.
"""

from __future__ import annotations

from typing import Annotated, Final

from anyio.to_thread import run_sync
from fastapi import APIRouter, Header, Query, Request
from sse_starlette.event import ServerSentEvent
from sse_starlette.sse import AppStatus, EventSourceResponse

from server.routes.bodies import BodyRoute
from server.routes.dependencies import InFeed, InLanes, InReach, StudyPath, token_of
from server.routes.lanes import client_of
from server.services.changes.feed import Feed
from server.services.changes.streams import Of
from server.services.shown.cursors import LOOKS_LIKE

router = APIRouter(route_class=BodyRoute, include_in_schema=False)

BEAT_S: Final = 5
"""How often a comment tells that the stream is there, when there is nothing to send."""

# It would take the end of any server in this process for that of all; `Feed` ends its streams itself.
AppStatus.enable_automatic_graceful_drain = False

Since = Annotated[str | None, Query(pattern=LOOKS_LIKE)]
LastEventId = Annotated[str | None, Header(alias="Last-Event-ID")]


@router.get("/studies/{study}/stream")
async def stream_study(
    request: Request, study: StudyPath, feed: InFeed, lanes: InLanes, since: Since = None, last: LastEventId = None
) -> EventSourceResponse:
    """`rows`, `study` and `events` as they change (messages.StreamEvent), from a cursor on, or from now."""
    async with lanes.work.place(client_of(request)):
        cursor = await run_sync(feed.begin, study, last or since)
    return _answer(request, feed, Of(study), cursor)


@router.get("/stream")
async def stream_all(
    request: Request, feed: InFeed, lanes: InLanes, reach: InReach, since: Since = None, last: LastEventId = None
) -> EventSourceResponse:
    """`studies` and `workers` as they change, from the cursor of an overview on, or from now."""
    async with lanes.work.place(client_of(request)):
        cursor = await run_sync(feed.begin, None, last or since, reach)
    return _answer(request, feed, Of(None, reach), cursor)


def _answer(request: Request, feed: Feed, of: Of, cursor: str) -> EventSourceResponse:
    machine = request.client.host if request.client else ""  # what a client calls itself it may change
    stream = feed.streams.begin(of, machine, cursor, token_of(request))
    return EventSourceResponse(feed.streams.pushes(stream), ping=BEAT_S, ping_message_factory=_beat, sep="\n")


def _beat() -> ServerSentEvent:
    return ServerSentEvent(comment="beat", sep="\n")
