"""/login and /logout: a token once, and then a cookie."""

from __future__ import annotations

from typing import Annotated, Final
from urllib.parse import parse_qs

from anyio.to_thread import run_sync
from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from server.actors import SHARED as SHARED_ACTOR
from server.dashboard.rendering import page
from server.origins import is_of_another_page
from server.scopes import READ
from server.services.audit import Logins
from server.services.tokens.verification import Bearer
from server.sessions import COOKIE, LASTS_S, SHARED, local_path, new_session
from server.settings import Settings
from server.token_check import TokenCheck, Whose
from sturgeon.errors import Forbidden, Invalid, TooManyWrongTokens

WRONG: Final = "This is not a token of this server, or no longer."
router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)


@router.get("/login")
def login(request: Request, next: Annotated[str | None, Query()] = None) -> Response:
    """The form that asks for the token. A server without one has no login."""
    if _token(request) is None:
        return RedirectResponse(local_path(next), 303)
    return page(request, "login.html", next=local_path(next), wrong="")


@router.post("/login")
async def log_in(request: Request) -> Response:
    """Set the cookie if the token is right, and go on to where the person wanted to be.

    Raises: Forbidden (the token is not for reading, or another page sends it), Invalid, Unavailable (the database is
    away).
    """
    _require_own_page(request)
    form = _form(await request.body())
    given, onward = form.get("token", [""])[0].strip(), local_path(form.get("next", [""])[0])
    token = _token(request)
    if token is None:
        return RedirectResponse(onward, 303)
    try:
        whose = await _whose(request, given)
    except TooManyWrongTokens as error:
        refused = page(request, "login.html", status=429, next=onward, wrong=error.message)
        refused.headers["Retry-After"] = str(error.retry_after_s)
        return refused
    logins: Logins = request.app.state.logins
    address = request.client.host if request.client else ""
    if whose is None:
        await run_sync(logins.record_refusal, address)
        return page(request, "login.html", status=401, next=onward, wrong=WRONG)
    actor, session = (whose.actor, whose.sha256) if isinstance(whose, Bearer) else (SHARED_ACTOR, SHARED)
    await run_sync(logins.record, actor, address)
    return _with_session(request, onward, new_session(token, session))


def _with_session(request: Request, onward: str, session: str) -> Response:
    answer = RedirectResponse(onward, 303)
    is_https = request.url.scheme == "https"
    answer.set_cookie(COOKIE, session, max_age=LASTS_S, httponly=True, samesite="strict", secure=is_https, path="/")
    return answer


@router.post("/logout")
def log_out(request: Request) -> Response:
    """Forget the cookie. Raises: Forbidden (another page asks for it)."""
    _require_own_page(request)
    if COOKIE not in request.cookies:  # another site's page cannot send it, and its answer must not take it away
        return RedirectResponse("/login", 303)
    answer = RedirectResponse("/login", 303)
    answer.delete_cookie(COOKIE, path="/", httponly=True, samesite="strict")
    return answer


def _require_own_page(request: Request) -> None:
    """Else any page would log a person in with a token of its own, or spend what wrong tokens the address may send.

    Raises: Forbidden.
    """
    settings: Settings = request.app.state.settings
    if is_of_another_page(request.headers, settings.names()):
        raise Forbidden("Only a page of this server logs in or out.")


async def _whose(request: Request, given: str) -> Whose:
    """Whose token it is; None if it lets nobody in.

    Raises: Forbidden (it does not let anybody read), TooManyWrongTokens, Unavailable.
    """
    check: TokenCheck = request.app.state.token_check
    whose = await check.whose(request.scope, given)
    if isinstance(whose, Bearer) and not whose.may(READ):
        raise Forbidden(f"The token {whose.name} has not the scope that pages need: read. Log in with one that has it.")
    return whose


def _form(body: bytes) -> dict[str, list[str]]:
    """The fields of a form. Raises: Invalid (it has far more of them than ours)."""
    try:
        return parse_qs(body.decode("utf-8", "replace"), max_num_fields=10)
    except ValueError:
        raise Invalid("The form has more fields than that of the login.") from None


def _token(request: Request) -> str | None:
    token: str | None = request.app.state.shared_token
    return token
