"""Texts of people and programs become neither markup nor code where they are written into a form.

test_every_page.py has what the pages show of them.
"""

from __future__ import annotations

from playwright.sync_api import Page, expect

from tests.browser.hostile import HARM, TEXTS, TRAP


def test_nothing_runs_when_hostile_texts_are_written_into_a_form(page: Page) -> None:
    page.add_init_script(TRAP)
    page.goto("/new", wait_until="domcontentloaded")
    for text in TEXTS:
        page.get_by_label("Values, with commas").fill(text.replace(",", ";"))
        page.get_by_label("Title").fill(text)
        expect(page.get_by_label("Preview of the space")).to_contain_text("100 %")
    assert page.evaluate(HARM) == []
