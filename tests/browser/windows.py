"""A window of the browser whose faults are noted."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from tests.browser.watched import watch_context
from tests.processes import DEADLINE_S

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext

PATIENCE_S: Final = float(os.environ.get("BROWSER_PATIENCE_S", DEADLINE_S / 3))


@contextmanager
def watched_window(browser: Browser, url: str, **options: Any) -> Iterator[BrowserContext]:
    """Without cookies, on the server at this address; with playwright's options for contexts."""
    context = browser.new_context(base_url=url, **options)
    try:
        context.set_default_timeout(PATIENCE_S * 1000)
        watch_context(context, url)
        yield context
    finally:
        context.close()
