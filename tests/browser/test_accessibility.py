"""Every page can be used by everybody: axe-core finds no serious fault, and no page is wider than its window."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import pytest
from playwright.sync_api import BrowserContext, Page

from tests.browser.axe import grave_faults
from tests.browser.drawn import settle
from tests.processes import ServerProcess

pytestmark = pytest.mark.usefixtures("hostile_studies")

PAGES: Final = [
    "/",
    "/new",
    "/studies/hostile",
    "/studies/hostile/trials/0",
    "/studies/hostile-panda/trials/0",
    "/studies/hostile/compare?trials=0,2",
    "/compare?studies=hostile,hostile-panda",
    "/studies/hostile-panda/drift/0",
    "/workers",
    "/course",
]


@pytest.mark.parametrize("path", PAGES)
def test_axe_finds_no_serious_fault_in_light_and_dark(
    server: ServerProcess, window: Callable[..., BrowserContext], path: str
) -> None:
    page = opened(window(server.url, viewport={"width": 1280, "height": 800}), path)
    assert grave_faults(page) == []
    page.emulate_media(color_scheme="dark")
    settle(page)
    assert grave_faults(page, rules=["color-contrast"]) == []


def opened(context: BrowserContext, path: str) -> Page:
    page = context.new_page()
    page.goto(path, wait_until="domcontentloaded")
    settle(page)
    return page


@pytest.mark.parametrize("path", PAGES)
def test_no_page_is_wider_than_a_telephone(
    server: ServerProcess, window: Callable[..., BrowserContext], path: str
) -> None:
    page = opened(window(server.url, viewport={"width": 390, "height": 800}), path)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
