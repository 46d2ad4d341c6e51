"""What routes take from the app and from the request, as FastAPI dependencies."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Header, Path, Query, Request
from starlette.convertors import StringConvertor, register_url_convertor

from server.routes.lanes import Lanes
from server.scopes import BEARER, REACH
from server.services import pagination
from server.services.changes.feed import Feed
from server.services.leases.ask import AskContext
from server.services.leases.long_poll import LongPollQueue
from server.services.pictures import Pictures
from server.services.shown.curve_memo import CurveMemo
from server.services.shown.overview import Overviews
from server.services.shown.recent import RecentTables
from server.services.tokens.verification import TokenMemo
from server.services.transactions import Transactions
from server.services.webhooks.delivery import Courier
from server.settings import Settings
from server.store.blobs import BlobFolder
from server.store.engine import Database
from server.store.reach import EVERY_STUDY, Reach
from sturgeon.identifiers import Step, TrialNumber
from sturgeon.messages import LARGEST_FENCE, LARGEST_STEP, STUDY_NAME, WORKER_NAME


class _Segment(StringConvertor):
    """What stands between two slashes, without a verb: so that `GET .../trials/0:stop` is no trial, but a verb that
    takes another method (405)."""

    regex = "[^/:]+"


class _Step(StringConvertor):
    """A step, and not `best`, which takes other methods."""

    regex = "(?!best$)[^/:]+"


register_url_convertor("segment", _Segment())
register_url_convertor("step", _Step())


def _database(request: Request) -> Database:
    database: Database = request.app.state.database
    return database


def _asks(request: Request) -> AskContext:
    asks: AskContext = request.app.state.asks
    return asks


def _transactions(request: Request) -> Transactions:
    transactions: Transactions = request.app.state.transactions
    return transactions


def _settings(request: Request) -> Settings:
    settings: Settings = request.app.state.settings
    return settings


def _is_guarded(request: Request) -> bool:
    """Whether the server wants a token."""
    return request.app.state.shared_token is not None


def _blobs(request: Request) -> BlobFolder:
    blobs: BlobFolder = request.app.state.blobs
    return blobs


def _long_polls(request: Request) -> LongPollQueue:
    long_polls: LongPollQueue = request.app.state.long_polls
    return long_polls


def _feed(request: Request) -> Feed:
    feed: Feed = request.app.state.feed
    return feed


def _pictures(request: Request) -> Pictures:
    pictures: Pictures = request.app.state.pictures
    return pictures


def _recent_tables(request: Request) -> RecentTables:
    tables: RecentTables = request.app.state.recent_tables
    return tables


def _curve_memo(request: Request) -> CurveMemo:
    memo: CurveMemo = request.app.state.curve_memo
    return memo


def _overviews(request: Request) -> Overviews:
    overviews: Overviews = request.app.state.overviews
    return overviews


def _lanes(request: Request) -> Lanes:
    lanes: Lanes = request.app.state.lanes
    return lanes


def _courier(request: Request) -> Courier:
    courier: Courier = request.app.state.courier
    return courier


def _token_memo(request: Request) -> TokenMemo:
    memo: TokenMemo = request.app.state.token_memo
    return memo


def token_of(request: Request) -> str | None:
    """The hash of the named token that sends the request; None for the shared one, and where there is none."""
    sha256: str | None = request.scope.get(BEARER)
    return sha256


def _reach(request: Request) -> Reach:
    """The studies that the request may be about."""
    if token_of(request) is None:
        return EVERY_STUDY
    reach: Reach = request.scope[REACH]
    return reach


InReach = Annotated[Reach, Depends(_reach)]
InTokenMemo = Annotated[TokenMemo, Depends(_token_memo)]
InLanes = Annotated[Lanes, Depends(_lanes)]
InDatabase = Annotated[Database, Depends(_database)]
InAsks = Annotated[AskContext, Depends(_asks)]
InTransactions = Annotated[Transactions, Depends(_transactions)]
InSettings = Annotated[Settings, Depends(_settings)]
IsGuarded = Annotated[bool, Depends(_is_guarded)]
InBlobs = Annotated[BlobFolder, Depends(_blobs)]
InCourier = Annotated[Courier, Depends(_courier)]
InFeed = Annotated[Feed, Depends(_feed)]
InPictures = Annotated[Pictures, Depends(_pictures)]
InRecentTables = Annotated[RecentTables, Depends(_recent_tables)]
InCurveMemo = Annotated[CurveMemo, Depends(_curve_memo)]
InOverviews = Annotated[Overviews, Depends(_overviews)]
InLongPolls = Annotated[LongPollQueue, Depends(_long_polls)]

StudyPath = Annotated[str, Path(pattern=STUDY_NAME)]
WorkerPath = Annotated[str, Path(pattern=WORKER_NAME)]
NumberPath = Annotated[TrialNumber, Path(ge=0, le=LARGEST_FENCE)]
StepPath = Annotated[Step, Path(ge=0, le=LARGEST_STEP)]
PageSize = Annotated[int, Query(ge=1, le=1000)]
PageToken = Annotated[str | None, Query(pattern=pagination.NUMBER)]
TrialsPageToken = Annotated[str | None, Query(pattern=f"{pagination.NUMBER}|{pagination.SORTED_PLACE}")]
ReportsPageToken = Annotated[str | None, Query(pattern=f"{pagination.NUMBER}|{pagination.THREE_NUMBERS}")]
WorkersPageToken = Annotated[str | None, Query(pattern=WORKER_NAME)]
IdempotencyHeader = Annotated[
    str | None,
    Header(alias="Idempotency-Key", pattern=r"^[\x21-\x7e]{1,200}$", description="The same key has one effect."),
]
