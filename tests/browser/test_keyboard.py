"""What people do by keyboard alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from playwright.sync_api import Page, expect

from sturgeon.client import Client
from tests.browser.drawn import settle
from tests.processes import wait_until

MOST_STOPS: Final = 400
BOWL: Final[dict[str, Any]] = {
    "metric": "loss",
    "space": {"x": {"type": "float", "low": 0, "high": 1}},
    "search": {"sampler": "random", "seed": 1},
    "budget": {"max_trials": 3},
}


def press_until(page: Page, key: str, selector: str) -> None:
    """Press a key until the focus is on what this selects."""
    for _ in range(MOST_STOPS):
        page.keyboard.press(key)
        if page.evaluate("(selector) => document.activeElement.matches(selector)", selector):
            return
    raise AssertionError(f"{key} never came to {selector}")


def test_the_active_row_of_a_table_stays_the_same_where_it_becomes_the_first(
    page: Page, client: Client, passing: Callable[[str], str]
) -> None:
    client.create_study(BOWL | {"name": passing("rows")})
    for _ in range(3):
        client.enqueue("rows", {"x": 0.5})
    page.goto("/studies/rows", wait_until="domcontentloaded")
    active = page.locator("#trials tr.active a")
    page.get_by_role("grid", name="Trials").focus()
    page.keyboard.press("ArrowDown")
    expect(active).to_have_text("1")
    page.get_by_role("searchbox", name="Filter trials").fill("number<2")
    expect(page.locator("#trials tbody a")).to_have_count(2)
    expect(active).to_have_text("1")


def test_a_study_is_given_more_trials_by_keyboard_alone(page: Page, client: Client) -> None:
    client.create_study(BOWL | {"name": "keys"})
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
    expect(opener).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
