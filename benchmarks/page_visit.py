"""A visit to a page in Chromium: when something is drawn, what comes over the wire, and what it costs the browser."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from playwright.sync_api import Browser, CDPSession, Page

LONGEST_MS: Final = 120_000
AT_EACH_FRAME: Final = """
(() => {
    const drawn = () => { try { return (DRAWN); } catch { return false; } };
    const look = () => drawn() ? (window.firstDrawn = performance.now()) : requestAnimationFrame(look);
    requestAnimationFrame(look);
})();
"""


@dataclass(frozen=True)
class Costs:
    """What the page has spent since it was opened: bytes on the wire, requests, and CPU seconds of its main thread."""

    bytes: float
    requests: int
    busy_s: float

    def since(self, before: Costs) -> Costs:
        return Costs(self.bytes - before.bytes, self.requests - before.requests, self.busy_s - before.busy_s)


class Visit:
    """A page in a fresh window. `drawn` is a JavaScript expression that is true once what is waited for is drawn."""

    def __init__(self, browser: Browser, url: str, drawn: str) -> None:
        self._context = browser.new_context(viewport={"width": 1280, "height": 800})
        self._context.add_init_script(AT_EACH_FRAME.replace("DRAWN", drawn))
        self.page: Page = self._context.new_page()
        self._bytes, self._requests = 0.0, 0
        self._tools = self._listen()
        self.page.goto(url, wait_until="commit")

    def _listen(self) -> CDPSession:
        tools = self._context.new_cdp_session(self.page)
        tools.send("Network.enable")
        tools.send("Performance.enable", {"timeDomain": "threadTicks"})  # what others take of the processor is not told
        tools.on("Network.requestWillBeSent", self._count_request)
        tools.on("Network.responseReceived", lambda event: self._count(event["response"]["encodedDataLength"]))
        tools.on("Network.dataReceived", lambda event: self._count(event["encodedDataLength"]))
        return tools

    def _count_request(self, _event: dict[str, Any]) -> None:
        self._requests += 1

    def _count(self, received: float) -> None:
        self._bytes += received

    def first_picture_ms(self) -> float:
        """Milliseconds from the start of the navigation to the first frame after it was drawn."""
        self.page.wait_for_function("() => window.firstDrawn !== undefined", timeout=LONGEST_MS)
        return float(self.page.evaluate("window.firstDrawn"))

    def costs(self) -> Costs:
        return Costs(self._bytes, self._requests, self._metric("TaskDuration"))

    def heap_mb(self) -> float:
        """After a collection of garbage."""
        self._tools.send("HeapProfiler.collectGarbage")
        return self._metric("JSHeapUsedSize") / 1e6

    def _metric(self, name: str) -> float:
        told = self._tools.send("Performance.getMetrics")["metrics"]
        return float(next(one["value"] for one in told if one["name"] == name))

    def close(self) -> None:
        self._context.close()
