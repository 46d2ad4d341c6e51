"""Create, list and revoke tokens."""

from __future__ import annotations

from typing import Final

from server.actors import is_reserved
from server.request_context import note
from server.services.pagination import after_of, page_of
from server.services.tokens.secrets import new_token, sha256_of
from server.services.views import moment
from server.store import tokens
from server.store.engine import Database
from server.store.tokens import TokenRow
from sturgeon import messages
from sturgeon.errors import Conflict, Contradiction, FieldProblem, NotFound

MOST: Final = 1000
"""Tokens of a database. Those that are revoked or expired give way to new ones, the oldest first."""


def create(database: Database, request: messages.TokenRequest, *, is_guarded: bool) -> messages.NewToken:
    """A new token, which is shown only now. It takes the place of one of its name that is revoked or expired.

    is_guarded: whether the server has the shared token; without it, nobody is asked for one.

    Raises: Conflict (the server is not guarded, the name is taken, reserved or has the form of a token, or there are
    too many), Contradiction (it is for admin, but only of some studies).
    """
    if not is_guarded:
        raise Conflict(
            "This server asks nobody for a token, so another one would keep nobody out: start it with STURGEON_TOKEN "
            "or STURGEON_TOKEN_FILE first."
        )
    if request.studies is not None and "admin" in request.scopes:
        raise Contradiction(
            "A token for admin is for all studies: it makes other tokens. Leave out studies, or give other scopes.",
            (FieldProblem("/studies", "studies: a token for admin is for all studies; leave it out"),),
        )
    if sha256_of(request.name) is not None:  # names are listed and logged
        raise Conflict("The name has the form of a token, which nobody should see: give a name.")
    if is_reserved(request.name):
        raise Conflict(
            f"{request.name} is what a server itself writes where it says who did something: choose another name."
        )
    token = new_token()
    with database.writing() as tx:
        tokens.lock_all(tx)
        now = tx.now()
        present = tokens.by_name(tx, request.name)
        if present is not None and present.is_active(now):
            raise Conflict(f"There is a token {request.name} already; revoke it first, or choose another name.")
        if present is not None:
            tokens.delete(tx, present.id)
        if tokens.count(tx) >= MOST:
            tokens.forget_one_ended(tx, now)
        if tokens.count(tx) >= MOST:
            raise Conflict(f"There are {MOST} tokens already that let somebody in; revoke one first.")
        expires_at = None if request.lasts_s is None else now + request.lasts_s * 1_000_000
        values = {"name": request.name, "sha256": sha256_of(token), "scopes": sorted(set(request.scopes))}
        studies = {"studies": None if request.studies is None else sorted(set(request.studies))}
        note(target=request.name)
        row = tokens.insert(tx, values | studies | {"created_at": now, "expires_at": expires_at})
    return messages.NewToken(**_view(row, now).model_dump(), token=token)


def listing(database: Database, size: int, page_token: str | None) -> messages.Page[messages.Token]:
    """A page of all tokens, the oldest first; none says what is sent. Raises: Invalid (an unknown page token)."""
    after = after_of(page_token)
    with database.reading() as tx:
        rows = tokens.page(tx, after, size + 1)
        now = tx.now()
    return page_of([_view(row, now) for row in rows], size, [row.id for row in rows])


def revoke(database: Database, name: str) -> None:
    """Let nobody in by this token any more; once more does nothing more.

    Raises: NotFound (no token has this name, or it has the form of a token).
    """
    if sha256_of(name) is not None:
        raise NotFound("What was sent has the form of a token: send its name, which GET /v1/tokens lists.")
    with database.writing() as tx:
        row = tokens.by_name(tx, name)
        if row is None:
            raise NotFound(f"There is no token {name}; GET /v1/tokens lists them.")
        if row.revoked_at is None:
            tokens.revoke(tx, row.id, tx.now())


def _view(row: TokenRow, now: int) -> messages.Token:
    return messages.Token(
        name=row.name,
        scopes=row.scopes,
        studies=row.studies,
        state="revoked" if row.revoked_at is not None else "expired" if row.is_expired(now) else "active",
        created_at=moment(row.created_at),
        expires_at=None if row.expires_at is None else moment(row.expires_at),
        revoked_at=None if row.revoked_at is None else moment(row.revoked_at),
        last_used_at=None if row.last_used_at is None else moment(row.last_used_at),
    )
