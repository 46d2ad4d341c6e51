"""/login and /logout: the token once, and then a cookie."""

from __future__ import annotations

import hmac
from typing import Annotated
from urllib.parse import parse_qs

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from server.dashboard.rendering import page
from server.dashboard.sessions import COOKIE, LASTS_S, local_path, new_session
from server.origins import is_of_another_page
from server.settings import Settings
from sturgeon.errors import Forbidden, Invalid

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)


@router.get("/login")
def login(request: Request, next: Annotated[str | None, Query()] = None) -> Response:
    """The form that asks for the token. A server without one has no login."""
    if _token(request) is None:
        return RedirectResponse(local_path(next), 303)
    return page(request, "login.html", next=local_path(next), wrong=False)


@router.post("/login")
async def log_in(request: Request) -> Response:
    """Set the cookie if the token is right, and go on to where the person wanted to be."""
    form = _form(await request.body())
    given, onward = form.get("token", [""])[0].strip(), local_path(form.get("next", [""])[0])
    token = _token(request)
    if token is None:
        return RedirectResponse(onward, 303)
    if not hmac.compare_digest(given.encode(), token.encode()):
        return page(request, "login.html", status=401, next=onward, wrong=True)
    answer = RedirectResponse(onward, 303)
    is_https = request.url.scheme == "https"
    answer.set_cookie(
        COOKIE, new_session(token), max_age=LASTS_S, httponly=True, samesite="strict", secure=is_https, path="/"
    )
    return answer


@router.post("/logout")
def log_out(request: Request) -> Response:
    """Forget the cookie. Raises: Forbidden (another page asks for it)."""
    settings: Settings = request.app.state.settings
    if is_of_another_page(request.headers, settings.names()):
        raise Forbidden("Only a page of this server logs out.")
    if COOKIE not in request.cookies:  # another site's page cannot send it, and its answer must not take it away
        return RedirectResponse("/login", 303)
    answer = RedirectResponse("/login", 303)
    answer.delete_cookie(COOKIE, path="/", httponly=True, samesite="strict")
    return answer


def _form(body: bytes) -> dict[str, list[str]]:
    """The fields of a form. Raises: Invalid (it has far more of them than ours)."""
    try:
        return parse_qs(body.decode("utf-8", "replace"), max_num_fields=10)
    except ValueError:
        raise Invalid("The form has more fields than that of the login.") from None


def _token(request: Request) -> str | None:
    settings: Settings = request.app.state.settings
    return settings.shared_token()
