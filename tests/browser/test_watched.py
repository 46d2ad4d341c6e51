"""What goes wrong in a page fails its test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page

from tests.errors import WATCH


@pytest.mark.parametrize(
    ("script", "told"),
    [
        ("() => console.error('planted')", "console of the page: planted"),
        ("() => { setTimeout(() => { throw new Error('planted'); }, 0); }", "exception in the page: planted"),
        ("() => fetch('http://127.0.0.2:9/elsewhere').catch(() => null)", "asks another origin: http://127.0.0.2:9/"),
        (
            "() => { const s = document.createElement('script'); s.textContent = '1'; document.body.append(s); }",
            "CSP: script-src-elem refused inline",
        ),
    ],
)
def test_what_goes_wrong_in_a_page_is_noted(page: Page, script: str, told: str) -> None:
    # A page without a policy may ask anybody: only so another origin is asked at all.
    page.goto("about:blank" if "elsewhere" in script else "/docs", wait_until="domcontentloaded")
    page.evaluate(script)
    page.evaluate("() => new Promise((done) => setTimeout(done, 0))")
    page.context.close()
    assert told in "\n".join(WATCH.collect())


@pytest.fixture
def later(page: Page) -> Iterator[None]:
    """A fixture that ends before the page's own."""
    yield
    assert page.is_closed()


@pytest.mark.usefixtures("later")
def test_windows_close_before_any_fixture_ends(page: Page) -> None:
    assert not page.is_closed()
