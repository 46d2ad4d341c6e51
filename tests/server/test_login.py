"""A browser logs in once: its cookie proves the token, does not tell it, and lets other pages change nothing."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import httpx
import pytest
from pydantic import SecretStr

from server import sessions
from server.sessions import COOKIE, SHARED, local_path, new_session, session_of
from server.settings import Settings
from tests.processes import DEADLINE_S
from tests.server.studies import BOWL, refusal

if TYPE_CHECKING:
    from pathlib import Path

    from tests.running import RunningServer

TOKEN = "open-sesame-4f9a"
PERSON = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


@pytest.fixture
def browser(
    migrated_sqlite_url: str, tmp_path: Path, serve: Callable[[Settings], RunningServer]
) -> Iterator[httpx.Client]:
    """A browser that has not logged in, at a server with a token; no login reads the database."""
    settings = {"database_url": migrated_sqlite_url, "checkpoints": tmp_path / "checkpoints", "reap_every_s": 600}
    server = serve(Settings(token=SecretStr(TOKEN), **settings))  # type: ignore[arg-type]
    server.client.create_study(BOWL)
    with httpx.Client(base_url=server.url, trust_env=False, headers=PERSON, timeout=DEADLINE_S) as http:
        yield http


def log_in(browser: httpx.Client, token: str = TOKEN, onward: str = "/") -> httpx.Response:
    return browser.post("/login", data={"token": token, "next": onward})


def test_a_person_without_a_cookie_is_led_to_the_login_and_back(browser: httpx.Client) -> None:
    for path in ("/", "/new", "/studies/bowl?a=1&b=%3C", "/workers", "/nowhere"):
        answer = browser.get(path)
        assert answer.status_code == 303, path
        where = answer.headers["location"]
        assert where.startswith("/login?next=%2F")
        form = browser.get(where)
        assert form.status_code == 200
        [onward] = re.findall(r'name="next" value="([^"]*)"', form.text)
        assert log_in(browser, onward=onward.replace("&amp;", "&")).headers["location"] == path
        browser.cookies.clear()


def test_a_program_without_a_token_is_refused_and_not_led_anywhere(browser: httpx.Client) -> None:
    for path in ("/", "/v1/studies", "/v1/studies/bowl/rows"):
        assert refusal(browser.get(path, headers={"Accept": "*/*"})) == (401, "unauthorized")
    assert refusal(browser.get("/v1/studies")) == (401, "unauthorized")  # as a page's own request


def test_the_login_sets_a_cookie_that_scripts_and_other_sites_do_not_get(browser: httpx.Client) -> None:
    answer = log_in(browser, onward="/studies/bowl")

    assert (answer.status_code, answer.headers["location"]) == (303, "/studies/bowl")
    cookie = answer.headers["set-cookie"]
    assert {"HttpOnly", "SameSite=strict", "Path=/"} <= set(cookie.split("; "))
    assert TOKEN not in cookie
    assert browser.get("/studies/bowl").status_code == 200
    assert browser.get("/v1/studies/bowl").json()["name"] == "bowl"


@pytest.mark.parametrize("token", ["", "wrong", TOKEN + "x", TOKEN[:-1], "ñ", "x" * 100_000])
def test_a_wrong_token_gets_no_cookie_and_says_so(browser: httpx.Client, token: str) -> None:
    answer = log_in(browser, token, onward='/"><script>x</script>')

    assert answer.status_code == 401
    assert "set-cookie" not in answer.headers
    assert "This is not a token of this server, or no longer." in answer.text
    assert "<script>x" not in answer.text


def test_a_form_with_too_many_fields_is_refused(browser: httpx.Client) -> None:
    assert refusal(browser.post("/login", content="a=1&" * 20)) == (422, "invalid")


FOREIGN = (
    "https://evil.example/",
    "//evil.example",
    "/\\evil.example",
    "evil",
    "javascript:alert(1)",
    "/a b",
    "/\n/x",
    "",
)


@pytest.mark.parametrize("onward", FOREIGN)
def test_the_login_leads_to_no_other_site(browser: httpx.Client, onward: str) -> None:
    assert local_path(onward) == "/"
    assert log_in(browser, onward=onward).headers["location"] == "/"


def origin(browser: httpx.Client) -> str:
    return str(browser.base_url).rstrip("/")


def test_with_the_cookie_only_our_own_pages_change_something(browser: httpx.Client) -> None:
    log_in(browser)
    change = {"json": {"state": "paused"}}
    own = {"Origin": origin(browser), "X-Requested-With": "sturgeon"}
    refused = (
        {},
        {"X-Requested-With": "sturgeon"},
        {"Origin": origin(browser)},
        own | {"Origin": "https://evil.example"},
        own | {"Origin": "null"},
        own | {"Origin": origin(browser) + "0"},
        own | {"Origin": "http://["},
    )

    for headers in refused:
        assert refusal(browser.patch("/v1/studies/bowl", headers=headers, **change)) == (403, "forbidden"), headers
        assert refusal(browser.delete("/v1/studies/bowl?force=true", headers=headers)) == (403, "forbidden")
        assert refusal(browser.post("/new:read", headers=headers, content="a: 1")) == (403, "forbidden")
    assert browser.get("/v1/studies/bowl").json()["state"] == "active"
    assert browser.patch("/v1/studies/bowl", headers=own, **change).json()["state"] == "paused"


def test_a_wrong_header_is_not_saved_by_a_right_cookie(browser: httpx.Client) -> None:
    log_in(browser)

    assert refusal(browser.get("/v1/studies", headers={"Authorization": "Bearer wrong"})) == (401, "unauthorized")


def test_a_cookie_that_was_not_made_here_opens_nothing(browser: httpx.Client) -> None:
    until, seal = new_session(TOKEN).split(".")
    later = f"{int(until) + 1}.{seal}"

    for cookie in (
        "",
        "x",
        TOKEN,
        later,
        f"{until}.{seal[:-1]}",
        f"{until}.{'0' * 64}",
        new_session("other"),
        f".{seal}",
    ):
        browser.cookies.clear()
        browser.cookies.set(COOKIE, cookie)
        assert refusal(browser.get("/v1/studies")) == (401, "unauthorized"), cookie


def test_a_session_ends_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    cookie = new_session(TOKEN)
    now = sessions.time.time()
    assert session_of(TOKEN, cookie) == SHARED

    monkeypatch.setattr(sessions.time, "time", lambda: now + sessions.LASTS_S + 1)

    assert session_of(TOKEN, cookie) is None


def test_a_person_can_log_out(browser: httpx.Client) -> None:
    log_in(browser)
    assert "Log out" in browser.get("/").text

    answer = browser.post("/logout", headers={"Origin": "null", "Sec-Fetch-Site": "same-origin"})

    assert answer.headers["location"] == "/login"
    assert browser.get("/").status_code == 303


STRANGERS = (
    {"Origin": "http://evil.example"},
    {"Origin": "null", "Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
)
"""What browsers say of a form that another page sends."""


@pytest.mark.parametrize("headers", STRANGERS)
def test_another_page_logs_nobody_out(browser: httpx.Client, headers: dict[str, str]) -> None:
    log_in(browser)

    answer = browser.post("/logout", headers=headers)

    assert refusal(answer) == (403, "forbidden")
    assert "set-cookie" not in answer.headers
    assert browser.get("/").status_code == 200


def test_another_page_logs_nobody_in_with_a_token_of_its_own(browser: httpx.Client) -> None:
    for headers in STRANGERS:
        answer = browser.post("/login", data={"token": TOKEN, "next": "/"}, headers=headers)

        assert refusal(answer) == (403, "forbidden")
        assert "set-cookie" not in answer.headers


def test_a_logout_without_the_cookie_takes_no_cookie_away(browser: httpx.Client) -> None:
    """A page of another site cannot send the cookie; over plain http no header tells whose page it is."""
    answer = browser.post("/logout", headers={"Origin": "null"})

    assert (answer.status_code, "set-cookie" in answer.headers) == (303, False)


def test_what_pages_load_and_the_login_are_open(browser: httpx.Client) -> None:
    for path in ("/login", "/static/css/sturgeon.css", "/static/js/dom.js"):
        assert browser.get(path).status_code == 200
    assert refusal(browser.get("/static/../v1/studies")) == (401, "unauthorized")


def test_a_server_without_a_token_has_no_login(http: httpx.Client) -> None:
    assert http.get("/login?next=/new").headers["location"] == "/new"
    assert "Log out" not in http.get("/").text
