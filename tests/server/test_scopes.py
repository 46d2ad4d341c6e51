"""Each route says which scope it needs, and no token gets further than its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest

from server import app as composed
from server.app import create_app
from server.routes.table import ACROSS, SCOPES
from server.scopes import ADMIN, OPEN, READ, Asked, RouteScopes
from server.settings import Settings
from sturgeon.errors import SturgeonError
from sturgeon.messages import TokenScope
from tests.server.description import openapi
from tests.server.studies import refusal
from tests.server.tokens import with_token

if TYPE_CHECKING:
    from tests.running import RunningServer

EVERY: tuple[TokenScope, ...] = ("read", "write", "work", "admin")
NAMES = {"study": "nobody", "number": "7", "step": "7", "proposal": "7", "webhook": "7", "kind": "history"} | {
    "worker": "nobody",
    "token": "nobody",
    "row": "4",
    "version": "0",
}
GUARDED = [name for name, needed in SCOPES.items() if needed]


def without_convertors(path: str) -> str:
    return path.replace(":segment}", "}").replace(":step}", "}")


def asked(http: httpx.Client, name: str) -> httpx.Response:
    """The answer to a request for a route of SCOPES, which there is nothing for."""
    method, path = name.split(" ", 1)
    with http.stream(method, without_convertors(path).format(**NAMES)) as answer:
        if not answer.is_success:  # one that is may have no end
            answer.read()
    return answer


def test_every_route_of_the_description_says_what_it_needs() -> None:
    described = {f"{method.upper()} {path}" for path, methods in openapi()["paths"].items() for method in methods}

    assert described <= {without_convertors(name) for name in SCOPES}
    assert len(described) > 60
    assert {name for name, needed in SCOPES.items() if needed == OPEN} == {
        "GET /healthz",
        "GET /readyz",
        "GET /login",
        "POST /login",
        "POST /logout",
        "GET /static/vega-{version}.js",
        "GET /static/vega-themes.json",
    }


def test_a_token_without_the_scope_is_refused_on_every_route(guarded_sqlite: RunningServer) -> None:
    for needed in {SCOPES[name] for name in GUARDED}:
        others = [one for one in EVERY if one not in needed | ADMIN]
        token = guarded_sqlite.client.create_token("-".join(("but", *sorted(needed))), others)
        with with_token(guarded_sqlite, token.token) as http:
            for name in GUARDED:
                if SCOPES[name] == needed:
                    answer = asked(http, name)
                    assert refusal(answer) == (403, "forbidden"), name
                    assert f"this needs: {' or '.join(sorted(needed))}. Send one" in answer.json()["detail"], name


def test_a_token_with_the_scope_gets_to_every_route(guarded_sqlite: RunningServer) -> None:
    for scope in EVERY:
        token = guarded_sqlite.client.create_token(f"only-{scope}", [scope])
        with with_token(guarded_sqlite, token.token) as http:
            for name in GUARDED:
                if scope in SCOPES[name] | ADMIN:
                    assert asked(http, name).status_code not in (401, 403), name


@pytest.mark.parametrize("kind", ["wrong", "revoked", "expired"])
def test_a_token_that_is_none_any_more_is_refused_on_every_route(guarded_sqlite: RunningServer, kind: str) -> None:
    sent = guarded_sqlite.client.create_token("ada", list(EVERY), lasts_s=60).token
    if kind == "wrong":
        sent = sent[:-1] + ("A" if sent[-1] != "A" else "E")
    elif kind == "revoked":
        guarded_sqlite.client.revoke_token("ada")
    else:
        guarded_sqlite.advance(seconds=60)
    with with_token(guarded_sqlite, sent) as http:
        for name in SCOPES:
            answer = asked(http, name)
            assert refusal(answer) == (401, "unauthorized"), name
            assert answer.headers["www-authenticate"] == "Bearer"
            assert sent not in answer.text


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "TRACE", "get", "POST"])
def test_another_method_of_a_route_opens_nothing(guarded_sqlite: RunningServer, method: str) -> None:
    token = guarded_sqlite.client.create_token("worker", ["work"])
    with with_token(guarded_sqlite, token.token) as http:
        for path in ("/v1/studies", "/v1/studies/", "//v1/studies", "/v1/./studies", "/v1/tokens", "/v1/Tokens", "/"):
            assert not http.request(method, path).is_success, path


def test_a_route_without_a_scope_keeps_the_server_from_starting(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings(database_url="sqlite:///unused.db")
    without = {name: needed for name, needed in SCOPES.items() if name != "GET /v1/workers"}
    monkeypatch.setattr(composed, "SCOPES", without)
    with pytest.raises(SturgeonError, match="no scope that these routes need: GET /v1/workers"):
        create_app(settings)

    monkeypatch.setattr(composed, "SCOPES", {**SCOPES, "GET /v1/gone": ADMIN})
    with pytest.raises(SturgeonError, match="routes that do not exist: GET /v1/gone"):
        create_app(settings)


def test_an_address_that_two_routes_fit_is_that_of_the_first() -> None:
    names = [tuple(name.split(" ", 1)) for name in SCOPES]
    of_app = RouteScopes(((method, path) for method, path in names), SCOPES, ACROSS)

    best = SCOPES["GET /v1/studies/{study}/trials/{number}/checkpoints/best"]
    assert of_app.asked("GET", "/v1/studies/a/trials/7/checkpoints/best") == Asked(best, "a", across=False)
    assert of_app.asked("GET", "/v1/studies") == Asked(READ, None, across=True)
    assert of_app.asked("GET", "/v1/nothing") is None
    assert of_app.asked("PUT", "/v1/studies") is None
