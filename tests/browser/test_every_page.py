"""Every page can be used by everybody, and shows texts of people and programs as they are.

axe-core finds no serious fault; no page is wider than its window; whatever can be done with a mouse can be reached with
the Tab key, and shows that it has the focus; no text becomes markup or code.

A page is loaded once for all tests of it, on a telephone, and then made wider.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

import pytest

from sturgeon.client import Client
from tests.browser.axe import grave_faults
from tests.browser.drawn import settle
from tests.browser.hostile import HARM, LONG, NAMES, TEXTS, TRAP
from tests.browser.hostile_studies import METRIC, WORKER, say_why_unable
from tests.browser.windows import watched_window
from tests.processes import ServerProcess

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.usefixtures("hostile_studies", "server")

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
TELEPHONE: Final = {"width": 390, "height": 800}
DESK: Final = {"width": 1280, "height": 800}

CONTROLS: Final = """
() => {
  const wanted = "a[href], button, input, select, textarea, summary, [role=button], [tabindex]";
  const seen = (one) => one.checkVisibility({visibilityProperty: true}) && !one.disabled && one.tabIndex >= 0;
  const radios = new Set();
  let number = 0;
  for (const one of document.querySelectorAll(wanted)) {
    if (!seen(one)) continue;
    if (one.type === "radio") {  // a group is one stop
      if (radios.has(one.name)) continue;
      radios.add(one.name);
    }
    one.dataset.control = number++;
  }
  return number;
}
"""
"""Numbers what a person can use on the page as it is now, and tells how many there are."""
FOCUSED: Final = """
() => {
  const one = document.activeElement;
  const style = getComputedStyle(one);
  const framed = (style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0) || style.boxShadow !== "none";
  return [one.dataset.control ?? null, framed, one.outerHTML.slice(0, 120)];
}
"""
UNREACHED: Final = """
(numbers) => [...document.querySelectorAll("[data-control]")]
  .filter((one) => !numbers.includes(one.dataset.control)).map((one) => one.outerHTML.slice(0, 120))
"""
MOST_STOPS: Final = 400


@pytest.fixture(scope="module")
def empty_page(browser: Browser, shared_server: ServerProcess) -> Iterator[Page]:
    """A page of its own for each path. The first test of the path loads it, so that the errors are that test's."""
    with watched_window(browser, shared_server.url, viewport=TELEPHONE) as window:
        window.add_init_script(TRAP)
        yield window.new_page()


@pytest.fixture
def path(request: pytest.FixtureRequest) -> str:
    return str(request.node.callspec.params["empty_page"])


@pytest.fixture
def on_telephone(empty_page: Page, path: str, client: Client) -> Page:
    """The page of the path, with all pictures drawn; as a telephone shows it, unless a test has made it wider."""
    if empty_page.url == "about:blank":
        say_why_unable(client)
        empty_page.goto(path, wait_until="domcontentloaded")
        settle(empty_page)
    return empty_page


@pytest.fixture
def on_a_desk(on_telephone: Page) -> Page:
    """The page of the path as a wide window shows it."""
    if on_telephone.viewport_size != DESK:
        on_telephone.set_viewport_size(DESK)
        settle(on_telephone)
    return on_telephone


@pytest.mark.parametrize("empty_page", SHOWN, indirect=True)
def test_a_hostile_text_is_shown_as_it_is(on_telephone: Page, server: ServerProcess, path: str) -> None:
    seen = str(on_telephone.evaluate("document.body.textContent"))
    assert on_telephone.evaluate(HARM) == []
    assert [text for text in SHOWN[path] if text not in seen] == []
    assert on_telephone.url == server.url + path


@pytest.mark.parametrize("empty_page", PAGES, indirect=True)
def test_no_page_is_wider_than_a_telephone(on_telephone: Page) -> None:
    assert on_telephone.viewport_size == TELEPHONE
    assert on_telephone.evaluate("document.documentElement.scrollWidth") <= 390


@pytest.mark.parametrize("empty_page", PAGES, indirect=True)
def test_the_tab_key_reaches_every_control_and_frames_it(on_a_desk: Page) -> None:
    page = on_a_desk
    assert page.evaluate(CONTROLS) > 4
    reached: list[str] = []
    for _ in range(MOST_STOPS):
        page.keyboard.press("Tab")
        number, framed, element = page.evaluate(FOCUSED)
        if element.startswith("<body") or number in reached:
            break
        assert framed, f"nothing shows that this has the focus: {element}"
        if number is not None:
            reached.append(number)
    assert page.evaluate(UNREACHED, reached) == []
    page.evaluate("document.activeElement.blur()")


@pytest.mark.parametrize("empty_page", PAGES, indirect=True)
def test_axe_finds_no_serious_fault_in_light_and_dark(on_a_desk: Page) -> None:
    assert grave_faults(on_a_desk) == []
    on_a_desk.emulate_media(color_scheme="dark")
    settle(on_a_desk)
    assert grave_faults(on_a_desk, rules=["color-contrast"]) == []
