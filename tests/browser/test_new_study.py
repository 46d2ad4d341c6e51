"""A study is made on the page: by a form or from a file, and a mistake stands where it was made."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from sturgeon.client import Client
from tests.browser.drawn import marks
from tests.processes import WorkerProcess, wait_until

REFUSED = pytest.mark.tolerates_errors("status of 4(09|22)")
"""The browser's console tells of each refusal."""


def open_form(page: Page) -> None:
    page.goto("/new", wait_until="domcontentloaded")
    expect(page.get_by_role("heading", name="learning_rate")).to_be_visible()


def test_a_study_from_the_form_runs_to_its_end_before_ones_eyes(
    page: Page, workers: list[WorkerProcess], client: Client
) -> None:
    open_form(page)
    page.get_by_label("Name", exact=True).first.fill("by-form")
    page.get_by_label("Trials at most").fill("4")
    page.get_by_label("Epochs").fill("3")
    page.get_by_role("button", name="Create the study").click()
    page.wait_for_url("**/studies/by-form", wait_until="domcontentloaded")
    expect(page.locator(".heading .state")).to_have_text("completed")
    history = page.locator("[data-picture=history]")

    def drawn() -> dict[int, float]:
        return {point["datum"]["number"]: point["datum"]["score"] for point in marks(history, "symbol")}

    scores = {trial.number: trial.value for trial in client.trials("by-form").items}
    assert len(scores) == 4
    wait_until(lambda: drawn() == scores, "all trials were drawn where they ended")
    assert marks(history, "line")
    assert len({worker.name for worker in workers}) == 2


def test_the_space_is_drawn_while_it_is_written(page: Page) -> None:
    open_form(page)
    drawn = page.get_by_label("Preview of the space")
    expect(drawn.locator(".strip").first.locator(".draw")).to_have_count(100)
    page.get_by_label("Values, with commas").fill("8, 16")
    expect(drawn.get_by_text("50 %")).to_have_count(2)


@REFUSED
def test_a_mistake_in_the_form_stands_at_its_field(page: Page) -> None:
    open_form(page)
    page.get_by_label("Low").first.fill("7")
    learning_rate = page.locator(".parameter").first
    expect(learning_rate.locator(".problem")).to_contain_text("Low must be less than High")
    page.get_by_label("Low").first.fill("0.001")
    expect(learning_rate.locator(".problem")).to_have_count(0)
    page.get_by_label("Name", exact=True).first.fill("no blanks")
    page.keyboard.press("Enter")
    name = page.get_by_label("Name", exact=True).first
    expect(name).to_have_attribute("aria-invalid", "true")
    expect(name).to_be_focused()


@REFUSED
def test_a_mistake_in_a_file_is_told_with_its_line(page: Page) -> None:
    open_form(page)
    page.get_by_role("button", name="From a file").click()
    area = page.get_by_label("A study as YAML or JSON")
    area.fill("name: from-file\nmetric: loss\nspace:\n  x: {type: float, low: 2, high: 1}\nbudget: {max_trials: 5}\n")
    page.get_by_role("button", name="Create the study").click()
    expect(page.get_by_role("button", name="Line 4")).to_be_visible()
    area.fill(area.input_value().replace("low: 2", "low: 0"))
    page.get_by_role("button", name="Create the study").click()
    page.wait_for_url("**/studies/from-file", wait_until="commit")
