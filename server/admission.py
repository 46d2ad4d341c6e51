"""Who is let in by a server that has a token: by the shared one, by a named one, or by the cookie of a login."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final
from urllib.parse import quote

from starlette._utils import get_route_path  # as the router: without the prefix of a proxy, or of an app around ours
from starlette.datastructures import Headers
from starlette.requests import cookie_parser
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from server.actors import NOBODY, Actor, acting_as
from server.actors import SHARED as SHARED_ACTOR
from server.problems import problem_response
from server.request_context import ACTOR
from server.scopes import BEARER, REACH, Asked, RouteScopes
from server.services.tokens.verification import Bearer
from server.sessions import COOKIE, SHARED
from server.token_check import TokenCheck
from sturgeon.errors import Forbidden, Problem, Unauthorized

SCHEME: Final = "Bearer "
DOCUMENTS: Final = frozenset({"/docs", "/openapi.json"})
OPEN: Final = frozenset({"/healthz", "/readyz", "/login", "/logout"}) | DOCUMENTS
"""Paths that need no token: they say nothing of any study."""
OPEN_FOLDERS: Final = ("/static-offline-docs/", "/static/")
"""What the pages load: the same on every server."""


class TokenGate:
    """Lets in who knows a token that is for what is asked. Refuses a wrong token on all paths, and a missing one on all
    but OPEN and OPEN_FOLDERS; a person who opens a page is led to the login."""

    def __init__(
        self,
        app: ASGIApp,
        token: str,
        check: TokenCheck,
        scopes: RouteScopes,
        of_browser: Callable[[Scope], Problem | None],
    ) -> None:
        """token: the shared one, which is for everything. `of_browser` says why a request that has the cookie is
        refused all the same."""
        self._app = app
        self._token = token
        self._check = check
        self._scopes = scopes
        self._of_browser = of_browser

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        let_in = await self._let_in(scope)
        if isinstance(let_in, Actor):
            scope[ACTOR] = let_in.name
            with acting_as(let_in):
                await self._app(scope, receive, send)
        else:
            await let_in(scope, receive, send)

    async def _let_in(self, scope: Scope) -> Actor | ASGIApp:
        """Who sends the request, or the answer to one that gets no further."""
        try:
            return await self._sender(scope)
        except Problem as problem:
            return problem_response(problem)

    async def _sender(self, scope: Scope) -> Actor | ASGIApp:
        """Who sends the request; or the way to the login, where a person opens a page without a session.

        Raises: Unauthorized, Forbidden, TooManyWrongTokens, Unavailable (the database is away).
        """
        headers = Headers(scope=scope)
        sent = headers.get("authorization")
        if sent is not None:
            whose = await self._check.whose(scope, sent.removeprefix(SCHEME)) if sent.startswith(SCHEME) else None
            if whose is None or isinstance(whose, Bearer):
                return self._admit(scope, whose, _unauthorized(sent))
            return SHARED_ACTOR
        path = get_route_path(scope)
        if path in OPEN or path.startswith(OPEN_FOLDERS):
            return NOBODY
        session = self._check.session(scope, cookie_parser(headers.get("cookie", "")).get(COOKIE))
        if session is not None and (refusal := self._of_browser(scope)) is not None:
            raise refusal
        try:
            if session == SHARED:
                return SHARED_ACTOR
            bearer = None if session is None else await self._check.of_session(scope, session)
            return self._admit(scope, bearer, _unauthorized(None))
        except Unauthorized:
            if _opens_a_page(scope, headers):
                return _to_login(scope)
            raise

    def _admit(self, scope: Scope, bearer: Bearer | None, otherwise: Unauthorized) -> Actor:
        """Let in the bearer of a named token. Raises: Unauthorized (`otherwise`), Forbidden."""
        if bearer is None:
            raise otherwise
        scope[BEARER], scope[REACH] = bearer.sha256, bearer.reach
        scope[ACTOR] = bearer.actor.name  # also of a request that is refused
        asked = self._scopes.asked(scope["method"], get_route_path(scope))
        # What there is no route for is answered as such (404, 405), whoever asks.
        if asked is not None and asked.needed:
            _require_may(bearer, asked)
        return bearer.actor


def _require_may(bearer: Bearer, asked: Asked) -> None:
    """Raises: Forbidden (the token has not the scope, or is not for the study; nothing is looked up, so it cannot tell
    whether there is one)."""
    if not bearer.may(asked.needed):
        wanted = " or ".join(sorted(asked.needed))
        raise Forbidden(f"The token {bearer.name} has not the scope that this needs: {wanted}. Send one that has it.")
    if asked.study is not None:
        bearer.reach.require(asked.study)
    elif bearer.reach.is_bound and not asked.across:
        raise bearer.reach.refusal("This concerns all studies.")


def _opens_a_page(scope: Scope, headers: Headers) -> bool:
    """Whether a person follows a link, or types an address, and expects a page."""
    is_page = scope["method"] in ("GET", "HEAD") and not get_route_path(scope).startswith("/v1")
    return is_page and "text/html" in headers.get("accept", "")


def _to_login(scope: Scope) -> RedirectResponse:
    query = scope["query_string"].decode("latin-1")
    wanted = scope["path"] + (f"?{query}" if query else "")
    return RedirectResponse(f"/login?next={quote(wanted, safe='')}", 303)


def _unauthorized(sent: str | None) -> Unauthorized:
    """Says whether the token is missing, in another form, or wrong; never repeats what was sent."""
    if sent is None:
        return Unauthorized()
    if not sent.startswith(SCHEME):
        return Unauthorized("The Authorization header has another form than `Authorization: Bearer TOKEN`.")
    return Unauthorized("The token in the Authorization header is not one of this server, was revoked or has expired.")
