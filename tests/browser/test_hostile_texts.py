"""Texts of people and programs are shown as they are, and none of them becomes markup or code."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from sturgeon.client import Client
from tests.browser.drawn import settle
from tests.browser.hostile import HARM, LONG, NAMES, TEXTS, TRAP
from tests.browser.hostile_studies import METRIC, WORKER, say_why_unable
from tests.processes import ServerProcess

pytestmark = pytest.mark.usefixtures("hostile_studies")

SHOWN: Final = {
    "/": ["hostile"],
    "/studies/hostile": [*NAMES, METRIC, LONG[:1000], LONG],
    "/studies/hostile/trials/0": [*NAMES, *TEXTS, LONG],
    "/studies/hostile/trials/1": [LONG],
    "/studies/hostile/trials/2": [LONG[:1000]],
    "/studies/hostile/compare?trials=0,2": list(NAMES),
    "/studies/hostile-panda/trials/0": [LONG[:1000]],
    "/compare?studies=hostile,hostile-panda": [METRIC],
    "/workers": [WORKER, LONG[:1000]],
}
"""Page -> texts that it shows."""


@pytest.mark.parametrize("path", SHOWN)
def test_a_hostile_text_is_shown_as_it_is(
    server: ServerProcess, client: Client, window: Callable[..., BrowserContext], path: str
) -> None:
    say_why_unable(client)
    context = window(server.url)
    context.add_init_script(TRAP)
    page = context.new_page()
    page.goto(path, wait_until="domcontentloaded")
    settle(page)
    seen = str(page.evaluate("document.body.textContent"))
    assert page.evaluate(HARM) == []
    assert [text for text in SHOWN[path] if text not in seen] == []
    assert page.url == server.url + path


def test_nothing_runs_when_hostile_texts_are_written_into_a_form(page: Page) -> None:
    page.add_init_script(TRAP)
    page.goto("/new", wait_until="domcontentloaded")
    for text in TEXTS:
        page.get_by_label("Values, with commas").fill(text.replace(",", ";"))
        page.get_by_label("Title").fill(text)
        expect(page.get_by_label("Preview of the space")).to_contain_text("100 %")
    assert page.evaluate(HARM) == []
