"""What goes wrong in a page, as an error that fails the test: see tests/errors.py."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from playwright.sync_api import BrowserContext, ConsoleMessage, Error, Page, Request

from tests.errors import WATCH

OWN_SCHEMES: Final = ("data", "blob", "about")
REPORT_VIOLATIONS: Final = """
addEventListener("securitypolicyviolation", (violation) => {
    console.error(`CSP: ${violation.effectiveDirective} refused ${violation.blockedURI || violation.sample}`);
});
"""


def watch_context(context: BrowserContext, origin: str) -> None:
    """Note every error in the console, every exception that no code catches, every violation of the page's policy and
    every request to another origin."""
    context.add_init_script(REPORT_VIOLATIONS)

    def note_request(request: Request) -> None:
        address = urlsplit(request.url)
        if address.scheme not in OWN_SCHEMES and f"{address.scheme}://{address.netloc}" != origin:
            WATCH.note(f"the page asks another origin: {request.url[:200]}")

    def watch_page(page: Page) -> None:
        page.on("console", note_console)
        page.on("pageerror", note_exception)
        page.on("crash", lambda _page: WATCH.note("the page crashed"))

    context.on("request", note_request)
    context.on("page", watch_page)


def note_console(message: ConsoleMessage) -> None:
    if message.type == "error":
        WATCH.note(f"console of the page: {message.text}\n{message.location.get('url', '')}")


def note_exception(error: Error) -> None:
    WATCH.note(f"exception in the page: {error}\n{error.stack or ''}")
