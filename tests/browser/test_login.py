"""A server with a token asks a browser for it once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.processes import ServerProcess

pytestmark = pytest.mark.tolerates_errors("status of 401")  # the form looks whether one has logged in already
TOKEN: Final = "a-token-of-these-tests"


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    server = ServerProcess(tmp_path_factory.mktemp("locked"), (), {"STURGEON_TOKEN": TOKEN})
    server.start()
    yield server
    server.kill()


@pytest.fixture
def stranger(locked: ServerProcess, window: Callable[..., BrowserContext]) -> Page:
    """A page on that server, of somebody who has not logged in."""
    return window(locked.url).new_page()


def test_a_page_asks_for_the_token_and_then_is_shown(stranger: Page) -> None:
    stranger.goto("/new", wait_until="domcontentloaded")
    expect(stranger).to_have_title("Log in · Sturgeon")
    stranger.get_by_label("Token").fill(TOKEN)
    stranger.keyboard.press("Enter")
    expect(stranger.get_by_role("heading", name="New study")).to_be_visible()
    assert "token" not in stranger.url
    kept = stranger.context.cookies()
    assert [(one["name"], one["httpOnly"], one["sameSite"]) for one in kept] == [("sturgeon_session", True, "Strict")]
    assert TOKEN not in kept[0]["value"]


def test_after_the_login_the_page_asks_the_server_and_is_answered(stranger: Page) -> None:
    stranger.goto("/", wait_until="domcontentloaded")
    stranger.get_by_label("Token").fill(TOKEN)
    stranger.get_by_role("button", name="Log in").click()
    expect(stranger.get_by_text("There is no study yet")).to_be_visible()
    stranger.get_by_role("button", name="Log out").click()
    expect(stranger).to_have_title("Log in · Sturgeon")
    stranger.goto("/", wait_until="domcontentloaded")
    expect(stranger).to_have_title("Log in · Sturgeon")


def test_a_wrong_token_is_told_at_its_field(stranger: Page) -> None:
    stranger.goto("/login", wait_until="domcontentloaded")
    stranger.get_by_label("Token").fill("a wrong one")
    stranger.keyboard.press("Enter")
    field = stranger.get_by_label("Token")
    expect(field).to_have_attribute("aria-invalid", "true")
    expect(field).to_have_accessible_description("This is not a token of this server, or no longer.")
    assert stranger.context.cookies() == []
