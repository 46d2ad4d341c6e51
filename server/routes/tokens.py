"""/v1/tokens: who may use the server, and for what."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path

from server.routes.bodies import BodyRoute
from server.routes.dependencies import InDatabase, InTokenMemo, IsGuarded, PageSize, PageToken
from server.services.tokens import registration
from sturgeon import messages

router = APIRouter(route_class=BodyRoute, prefix="/tokens", tags=["tokens"])

TokenPath = Annotated[str, Path(pattern=messages.WORKER_NAME)]


@router.post("", status_code=201)
def create_token(request: messages.TokenRequest, database: InDatabase, is_guarded: IsGuarded) -> messages.NewToken:
    """Make a token for a person, a program or a worker. The answer has the token itself: it is shown only here."""
    return registration.create(database, request, is_guarded=is_guarded)


@router.get("")
def list_tokens(
    database: InDatabase, page_size: PageSize = 100, page_token: PageToken = None
) -> messages.Page[messages.Token]:
    """All tokens, the oldest first, with those that were revoked or have expired within the last 30 days."""
    return registration.listing(database, page_size, page_token)


@router.delete("/{token}", status_code=204)
def revoke_token(token: TokenPath, database: InDatabase, memo: InTokenMemo) -> None:
    """Let nobody in by this token any more: here at once, on every other server within 2 seconds."""
    registration.revoke(database, token)
    memo.forget()
