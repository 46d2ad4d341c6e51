"""What keeps pages of strangers away from a server without a token, and what tells browsers how to treat answers.

A browser sends what any page asks it to, from inside the machine. It says which name it was asked for (Host) and whose
page asked (Origin), and a page cannot change either. By DNS rebinding a page's own name may lead to this machine:
then only Host tells. With a token nobody needs this: a page does not know the token.
"""

from __future__ import annotations

import base64
import hashlib
import re
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.routing import Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from server.actors import LOCAL, acting_as
from server.origins import is_same, name_of
from server.problems import problem_response
from sturgeon.errors import Forbidden, Problem, UnsupportedMediaType

CHANGING: Final = frozenset({"POST", "PUT", "PATCH", "DELETE"})
"""The methods of the routes that change something; no route has another but GET."""
OWN_HEADERS: Final = ("x-requested-with", "idempotency-key", "if-match", "authorization")
"""No page can send one of these, or another content type than SIMPLE, to a server that does not allow it."""
SIMPLE: Final = frozenset({"application/x-www-form-urlencoded", "multipart/form-data", "text/plain"})
LOOPBACK_NAME: Final = re.compile(r"localhost|127(\.\d{1,3}){3}|::1")

NO_PAGE: Final = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
"""The Content-Security-Policy of answers that are no page."""
PAGE: Final = (
    "default-src 'none'; connect-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; "
    "script-src 'self'{scripts}; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)
"""That of /docs: its own scripts run, by their hashes, and nothing of anybody else."""
OUR_PAGE: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
"""That of our pages: nothing stands in the page itself, neither script nor style."""
HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}


ENCODED: Final = [(name.lower().encode(), value.encode()) for name, value in HEADERS.items()]
NO_PAGE_HEADER: Final = (b"content-security-policy", NO_PAGE.encode())
OUR_PAGE_HEADER: Final = (b"content-security-policy", OUR_PAGE.encode())

NO_JSON: Final = re.compile(r"/checkpoints/[^/]*$|/log$")
"""Paths to which tools send bytes or text."""


class BrowserGate:
    """Refuses what comes by a strange name, from a stranger's page, or as any page could send it."""

    def __init__(self, app: ASGIApp, names: frozenset[str]) -> None:
        self._app = app
        self._names = names

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refusal = self._refusal(scope) if scope["type"] == "http" else None
        if refusal is not None:
            await problem_response(refusal)(scope, receive, send)
            return
        with acting_as(LOCAL):
            await self._app(scope, receive, send)

    def _refusal(self, scope: Scope) -> Problem | None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if not self._is_ours(name_of(host)):
            return Forbidden(
                f"This server has no token, so it is asked by a name of its own machine, such as 127.0.0.1, and not by "
                f"{host[:100]!r}; STURGEON_ALLOWED_HOSTS adds names."
            )
        origin = headers.get("origin")
        if origin is not None and not is_same(origin, host, self._names):
            return Forbidden(f"A page of {origin[:100]!r} may not use this server.")
        if scope["method"] not in CHANGING:
            return None
        if origin is None and headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
            return Forbidden("Another page may not change anything on this server.")
        return None if origin is not None else _refusal_of_any_page(scope, headers)

    def _is_ours(self, name: str) -> bool:
        return LOOPBACK_NAME.fullmatch(name) is not None or name in self._names


def refusal_of_another_page(scope: Scope, names: frozenset[str]) -> Problem | None:
    """Why a request that a cookie allows is refused: only our own pages change something, and they say so in a header
    that no form of another page can send. Reading needs neither: SameSite keeps the cookie from other pages."""
    if scope["method"] not in CHANGING:
        return None
    headers = Headers(scope=scope)
    origin = headers.get("origin")
    if origin is None or not is_same(origin, headers.get("host", ""), names):
        return Forbidden("Only a page of this server may change anything with its cookie; programs send the token.")
    if "x-requested-with" not in headers:
        return Forbidden("Send the header `X-Requested-With` with any value: the form of another page could not.")
    return None


def _refusal_of_any_page(scope: Scope, headers: Headers) -> Problem | None:
    """A form or a script of any page sends a POST without asking, but not with these headers. What no route takes
    changes nothing, and is answered as such (404, 405)."""
    if any(name in headers for name in OWN_HEADERS):
        return None
    if not any(route.matches(scope)[0] is Match.FULL for route in scope["app"].routes):
        return None
    if scope["method"] == "PUT" and NO_JSON.search(scope["path"]):  # a page asks before it sends a PUT
        return None
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind in SIMPLE:
        return UnsupportedMediaType()
    if not kind:
        return Forbidden(
            "Send the header `Content-Type: application/json`, or `X-Requested-With` with any value: a page of anybody "
            "could send this request without them."
        )
    return None


class SecurityHeaders:
    """Adds HEADERS and a Content-Security-Policy to every answer; no route sets one of them."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        start: Message | None = None

        async def with_headers(message: Message) -> None:
            nonlocal start
            if message["type"] == "http.response.start":
                sent = message["headers"]
                is_html = any(name == b"content-type" and value.startswith(b"text/html") for name, value in sent)
                if is_html and scope["path"].startswith("/docs"):
                    message["headers"] = [*sent, *ENCODED]
                    start = message  # the policy of this page depends on its scripts
                    return
                message["headers"] = [*sent, *ENCODED, OUR_PAGE_HEADER if is_html else NO_PAGE_HEADER]
            elif start is not None:
                page, start = start, None
                MutableHeaders(raw=page["headers"])["Content-Security-Policy"] = _policy(message.get("body", b""))
                await send(page)
            await send(message)

        await self._app(scope, receive, with_headers if scope["type"] == "http" else send)


def _policy(page: bytes) -> str:
    scripts = re.findall(rb"<script>(.*?)</script>", page, re.DOTALL)
    hashes = (base64.b64encode(hashlib.sha256(script).digest()).decode() for script in scripts)
    return PAGE.format(scripts="".join(f" 'sha256-{one}'" for one in hashes))
