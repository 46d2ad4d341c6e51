"""One server with workers, and one browser, for all tests; a fresh window for each, but for those of every page.

These tests have a process of their own (`make test-browser`; `make test` starts it): playwright leaves an event loop
running in the process that uses it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest
from playwright.sync_api import expect

from sturgeon.client import Client
from tests.browser.chromium import MISSING, find_chromium, running_chromium
from tests.browser.hostile_studies import hostile_panda, hostile_search
from tests.browser.windows import PATIENCE_S, watched_window
from tests.errors import WATCH
from tests.processes import ServerProcess, WorkerProcess

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

HERE = Path(__file__).parent
WINDOWS: Final = pytest.StashKey[ExitStack]()
"""Of a test: the windows that it has opened."""
expect.set_options(timeout=PATIENCE_S * 1000)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if find_chromium() is None:
        for item in items:
            if item.path.is_relative_to(HERE):
                item.add_marker(pytest.mark.skip(reason=MISSING))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> None:
    """A test's windows close before its first fixture ends: an open page asks for the study that one deletes."""
    if opened := item.stash.get(WINDOWS, None):
        item.addfinalizer(opened.close)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with running_chromium() as one:
        yield one


@pytest.fixture(scope="session")
def shared_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    server = ServerProcess(tmp_path_factory.mktemp("server"), (), {})
    server.start()
    yield server
    server.kill()


@pytest.fixture(scope="session")
def workers(shared_server: ServerProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[WorkerProcess]]:
    """Two workers of the shared server, called ant and bee."""
    folder = tmp_path_factory.mktemp("workers")
    started = [WorkerProcess(shared_server.url, name, folder, (), {}) for name in ("ant", "bee")]
    for worker in started:
        worker.start()
    yield started
    for worker in started:
        worker.kill()


@pytest.fixture(scope="session")
def hostile_studies(shared_server: ServerProcess) -> None:
    """Studies in which each text is hostile: there is something of every kind on their pages."""
    with Client(shared_server.url) as client:
        hostile_search(client)
        hostile_panda(client)


@pytest.fixture
def server(shared_server: ServerProcess) -> ServerProcess:
    """The server of all tests, whose errors during this one count."""
    WATCH.watch(shared_server.log)
    return shared_server


@pytest.fixture
def client(server: ServerProcess) -> Iterator[Client]:
    with Client(server.url) as one:
        yield one


@pytest.fixture
def passing(client: Client) -> Iterator[Callable[[str], str]]:
    """Take the name of a study, and give it back: the study is deleted once the windows of the test are closed."""
    names: list[str] = []
    yield lambda name: (names.append(name), name)[1]
    for name in names:
        client.delete_study(name, force=True)


@pytest.fixture
def window(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Callable[..., BrowserContext]]:
    """Open windows, each without cookies, on the server at this address; with playwright's options for contexts."""
    with ExitStack() as opened:
        request.node.stash[WINDOWS] = opened
        yield lambda url, **options: opened.enter_context(watched_window(browser, url, **options))


@pytest.fixture
def page(server: ServerProcess, window: Callable[..., BrowserContext]) -> Page:
    """An empty page in a fresh window of 1280 by 800 pixels on the shared server."""
    return window(server.url, viewport={"width": 1280, "height": 800}).new_page()
