"""Named tokens in a browser: what a session may do, and when it ends."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from tests.server.studies import BOWL, refusal
from tests.server.tokens import SHARED_TOKEN, guarded_server, with_token

if TYPE_CHECKING:
    from pathlib import Path

    from server.settings import Settings
    from sturgeon.messages import NewToken
    from tests.running import RunningServer


@pytest.fixture
def ada(guarded_sqlite: RunningServer) -> NewToken:
    """A token for reading."""
    return guarded_sqlite.client.create_token("ada", ["read"])


def test_a_token_of_a_page_ends_the_session_when_it_is_revoked(guarded_sqlite: RunningServer, ada: NewToken) -> None:
    guarded_sqlite.client.create_study(BOWL)
    person = {"Accept": "text/html"}
    with with_token(guarded_sqlite, "") as browser:
        del browser.headers["Authorization"]
        answer = browser.post("/login", data={"token": ada.token, "next": "/studies/bowl"})
        assert answer.headers["location"] == "/studies/bowl"
        assert ada.token not in answer.headers["set-cookie"]
        assert browser.get("/studies/bowl", headers=person).is_success
        assert browser.get("/v1/studies/bowl").is_success
        change = {"Origin": guarded_sqlite.url, "X-Requested-With": "sturgeon"}
        refused = browser.patch("/v1/studies/bowl", headers=change, json={"state": "paused"})
        assert refusal(refused) == (403, "forbidden")
        assert (
            refused.json()["detail"] == "The token ada has not the scope that this needs: write. Send one that has it."
        )

        guarded_sqlite.client.revoke_token("ada")

        assert refusal(browser.get("/v1/studies/bowl")) == (401, "unauthorized")
        assert browser.get("/studies/bowl", headers=person).headers["location"].startswith("/login?")
        assert browser.post("/login", data={"token": ada.token, "next": "/"}).status_code == 401


def test_a_cookie_cannot_be_made_of_another_ones(guarded_sqlite: RunningServer, ada: NewToken) -> None:
    admin = guarded_sqlite.client.create_token("root", ["admin"])
    with with_token(guarded_sqlite, "") as browser:
        del browser.headers["Authorization"]
        browser.post("/login", data={"token": ada.token, "next": "/"})
        until, whose, seal = browser.cookies["sturgeon_session"].split(".")
        assert whose == hashlib.sha256(ada.token.encode()).hexdigest()
        for forged in (f"{until}.{hashlib.sha256(admin.token.encode()).hexdigest()}.{seal}", f"{until}.{seal}"):
            browser.cookies.clear()
            browser.cookies.set("sturgeon_session", forged)
            assert refusal(browser.get("/v1/studies")) == (401, "unauthorized")


def test_a_token_that_may_not_read_does_not_log_in(guarded_sqlite: RunningServer) -> None:
    worker = guarded_sqlite.client.create_token("worker", ["work"])
    with with_token(guarded_sqlite, "") as browser:
        del browser.headers["Authorization"]
        answer = browser.post("/login", data={"token": worker.token, "next": "/"})

    assert refusal(answer) == (403, "forbidden")
    assert "set-cookie" not in answer.headers


def test_a_token_file_that_changes_counts_from_the_next_start(
    migrated_sqlite_url: str, tmp_path: Path, serve: Callable[[Settings], RunningServer]
) -> None:
    file = tmp_path / "token"
    file.write_text(SHARED_TOKEN)
    server = guarded_server(migrated_sqlite_url, tmp_path, serve, token=None, token_file=file)
    for write in (lambda: file.write_text("another-token"), file.unlink):
        write()
        with with_token(server, "") as browser:
            del browser.headers["Authorization"]
            assert browser.get("/login").is_success
            assert browser.post("/login", data={"token": SHARED_TOKEN, "next": "/"}).status_code == 303
            assert browser.get("/", headers={"Accept": "text/html"}).is_success
            assert browser.get("/v1/studies").is_success
    with with_token(server, SHARED_TOKEN) as http:
        assert http.post("/v1/tokens", json={"name": "ada", "scopes": ["read"]}).status_code == 201
