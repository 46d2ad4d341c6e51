"""The page of a trial while it changes: where one is stays, and what one writes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import pytest
from playwright.sync_api import Locator, Page, expect

from sturgeon import messages
from sturgeon.client import Client
from tests.browser.drawn import wait_for_marks

STUDY: Final = "watched-trial"
ERRORS: Final[dict[str, Any]] = {
    "part": "dev",
    "examples": 10,
    "wrong": 3,
    "class_names": ["cat", "dog"],
    "confusion": [[3, 2], [1, 4]],
    "mistakes": [
        {"row": 1, "label": "cat", "predicted": "dog", "probability": 0.9, "tags": ["cat taken for dog"]},
        {"row": 2, "label": "cat", "predicted": "dog", "probability": 0.8, "tags": ["cat taken for dog"]},
        {"row": 3, "label": "dog", "predicted": "cat", "probability": 0.7, "tags": ["dog taken for cat"]},
    ],
    "categories": [
        {"tag": "cat taken for dog", "count": 2, "share": 0.67, "ceiling": 0.2, "error_after": 0.1},
        {"tag": "dog taken for cat", "count": 1, "share": 0.33, "ceiling": 0.1, "error_after": 0.2},
    ],
}


@pytest.fixture
def lease(client: Client) -> Iterator[messages.Lease]:
    """A trial that is run by this test."""
    space = {"x": {"type": "float", "low": 0.0, "high": 1.0}}
    client.create_study({"name": STUDY, "metric": "loss", "space": space, "budget": {"max_trials": 3}})
    [one] = client.ask(STUDY, worker="me").leases
    client.report(STUDY, 0, one.fence, [{"step": 1, "epoch": 1, "metrics": {"loss": 1.0}}])
    yield one
    client.delete_study(STUDY, force=True)


def open_trial(page: Page) -> None:
    page.goto(f"/studies/{STUDY}/trials/0", wait_until="domcontentloaded")
    expect(page.locator(".facts").first).to_contain_text("Epoch")


def next_epoch(client: Client, lease: messages.Lease, page: Page, epoch: int) -> None:
    client.report(STUDY, 0, lease.fence, [{"step": epoch, "epoch": epoch, "metrics": {"loss": 1 / epoch}}])
    expect(page.get_by_role("definition").filter(has_text=f"{epoch}").first).to_be_visible()


def test_the_focus_and_what_is_written_survive_an_update(page: Page, client: Client, lease: messages.Lease) -> None:
    open_trial(page)
    page.get_by_role("link", name="me", exact=True).focus()
    next_epoch(client, lease, page, 7)
    expect(page.get_by_role("link", name="me", exact=True)).to_be_focused()
    page.get_by_role("button", name="Pause").press("Enter")
    reason = page.get_by_role("dialog").get_by_label("Reason")
    reason.press_sequentially("lun")
    next_epoch(client, lease, page, 8)
    expect(reason).to_be_focused()
    reason.press_sequentially("ch")
    page.keyboard.press("Enter")
    expect(page.locator("#state")).to_contain_text("about to pause")
    expect(page.get_by_role("button", name="Resume")).to_be_focused()
    assert [entry.reason for entry in client.timeline(STUDY, 0).items] == ["lunch"]


def test_a_dialog_that_is_left_gives_the_focus_back(page: Page, lease: messages.Lease) -> None:
    open_trial(page)
    page.locator("summary", has_text="More").press("Enter")
    page.get_by_role("button", name="Invalidate").press("Enter")
    page.get_by_role("dialog").get_by_role("button", name="Invalidate").press("Enter")
    reason = page.get_by_role("dialog").get_by_label("Reason")
    expect(reason).to_be_focused()
    expect(reason).to_have_accessible_description("For example: it ran on the wrong data. This must not be empty.")
    page.keyboard.press("Escape")
    expect(page.locator("summary", has_text="More")).to_be_focused()
    assert lease.number == 0


def test_a_cell_of_the_confusion_matrix_shows_its_examples(page: Page, client: Client, lease: messages.Lease) -> None:
    open_trial(page)
    client.put_finding(STUDY, 0, "errors", lease.fence, ERRORS)
    examples = page.get_by_role("group", name="Misclassified examples").get_by_role("button")
    expect(examples).to_have_count(3)
    matrix = page.locator("[data-picture=confusion]")
    cells = [cell for cell in wait_for_marks(matrix, "rect", 4) if not cell["datum"]["right"]]
    for cell, count in zip(cells, (2, 1), strict=True):
        click(matrix, cell)
        expect(examples).to_have_count(count)
    page.get_by_role("region", name="Categories").get_by_role("button", name="cat taken for dog").press("Enter")
    expect(examples).to_have_count(2)


def click(picture: Locator, item: dict[str, Any]) -> None:
    picture.scroll_into_view_if_needed()
    left, top = picture.evaluate("(element) => element.picture.view.origin()")
    middle = {"x": left + item["x"] + item["width"] / 2, "y": top + item["y"] + item["height"] / 2}
    picture.locator("canvas").click(position=middle)  # type: ignore[arg-type]
