"""Whatever can be done with a mouse can be reached with the Tab key, and shows that it has the focus."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from sturgeon.client import Client
from tests.browser.drawn import settle
from tests.browser.test_accessibility import PAGES
from tests.processes import ServerProcess, wait_until

pytestmark = pytest.mark.usefixtures("hostile_studies")

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


@pytest.mark.parametrize("path", PAGES)
def test_the_tab_key_reaches_every_control_and_frames_it(
    server: ServerProcess, window: Callable[..., BrowserContext], path: str
) -> None:
    page = window(server.url, viewport={"width": 1280, "height": 800}).new_page()
    page.goto(path, wait_until="domcontentloaded")
    settle(page)
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


def press_until(page: Page, key: str, selector: str) -> None:
    """Press a key until the focus is on what this selects."""
    for _ in range(MOST_STOPS):
        page.keyboard.press(key)
        if page.evaluate("(selector) => document.activeElement.matches(selector)", selector):
            return
    raise AssertionError(f"{key} never came to {selector}")


def test_a_study_is_given_more_trials_by_keyboard_alone(page: Page, client: Client) -> None:
    study: dict[str, Any] = {
        "name": "keys",
        "metric": "loss",
        "space": {"x": {"type": "float", "low": 0, "high": 1}},
        "search": {"sampler": "random", "seed": 1},
        "budget": {"max_trials": 3},
    }
    client.create_study(study)
    page.goto("/studies/keys", wait_until="domcontentloaded")
    settle(page)
    opener = page.get_by_role("button", name="Budget", exact=True)
    expect(opener).to_be_visible()
    opener.evaluate("(one) => { one.id = 'opener'; }")
    press_until(page, "Tab", "#opener")
    page.keyboard.press("Enter")
    field = page.get_by_role("dialog").get_by_label("Trials at most")
    expect(field).to_be_visible()
    field.evaluate("(one) => { one.dataset.field = 'trials'; }")
    if not page.evaluate("document.activeElement.matches('[data-field=trials]')"):
        press_until(page, "Tab", "[data-field=trials]")
    page.keyboard.press("Control+a")
    page.keyboard.type("7")
    page.keyboard.press("Enter")
    wait_until(lambda: client.study("keys").budget.max_trials == 7, "the budget was changed")
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
