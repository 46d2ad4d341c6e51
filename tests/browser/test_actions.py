"""What people do to trials and workers by a click, or a key, and what then holds on the server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

import pytest
from playwright.sync_api import Page, expect

from sturgeon.client import Client
from sturgeon.messages import Lease
from tests.browser.drawn import wait_for_marks
from tests.browser.made_trials import made_trials
from tests.browser.show_studies import import_made_trials
from tests.browser.test_flows import drag
from tests.browser.test_keyboard import press_until
from tests.processes import wait_until

SPACE: Final[dict[str, Any]] = {"rate": {"type": "float", "low": 0.0, "high": 1.0}}
TASK: Final[dict[str, Any]] = {
    "kind": "train",
    "dataset": "digits",
    "epochs": 9,
    "fixed": {"hidden_units": [4]},
    "checkpoints": {"best": 1, "last": 5},
}


@pytest.fixture
def acted(client: Client) -> Iterator[str]:
    """Trial 0 is complete, 1 has failed, and 2 runs."""
    study = {"name": "acted", "metric": "loss", "space": SPACE, "search": {"sampler": "random", "seed": 1}}
    client.create_study(study | {"budget": {"max_trials": 9}})
    first, second, _third = client.ask("acted", 3, worker="hand").leases
    client.tell("acted", first.number, first.fence, {"loss": 0.5})
    client.tell("acted", second.number, second.fence, state="failed", error="no disk", retry=False)
    yield "acted"
    client.delete_study("acted", force=True)


@pytest.fixture
def panda(client: Client) -> Iterator[Lease]:
    """A model that trains by hand, with two checkpoints; no worker takes it, since it needs what none has."""
    study = {"name": "by-hand", "metric": "dev_error", "mode": "panda", "params": {"learning_rate": 0.01}}
    client.create_study(study | {"task": TASK, "budget": {"max_trials": 5}, "needs": {"gpus": 1}})
    [lease] = client.ask("by-hand", worker="hand").leases
    for step in (10, 20):
        report = {"step": step, "epoch": step / 10, "metrics": {"dev_error": 1 / step}}
        client.report("by-hand", lease.number, lease.fence, [report])
        client.put_checkpoint("by-hand", lease.number, step, b"weights", lease.fence, epoch=step / 10, value=1 / step)
    yield lease
    client.delete_study("by-hand", force=True)


def pick(page: Page, state: str) -> None:
    """The first trial of this state, in the table."""
    page.get_by_label("Filter trials").fill(f"state:{state}")
    table = page.get_by_role("grid", name="Trials")
    expect(table.locator("tbody a")).to_have_count(1)
    table.focus()
    for key in ("ArrowDown", "Space"):
        page.keyboard.press(key)
    expect(table.locator("tr[aria-selected=true]")).to_have_count(1)


def test_picked_trials_are_requeued_cancelled_and_invalidated(page: Page, client: Client, acted: str) -> None:
    page.goto(f"/studies/{acted}", wait_until="domcontentloaded")
    picked = page.get_by_role("group", name="Trials that are picked")

    pick(page, "failed")
    picked.get_by_role("button", name="Requeue 1").click()
    wait_until(lambda: client.trial(acted, 1).state == "queued", "the trial was queued again")

    pick(page, "running")
    picked.get_by_role("button", name="Cancel 1").click()
    wait_until(lambda: client.trial(acted, 2).state == "cancelled", "the trial was cancelled")

    pick(page, "complete")
    picked.get_by_role("button", name="Invalidate").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Reason").fill("wrong data")
    dialog.get_by_role("button", name="Invalidate").click()
    wait_until(lambda: client.trial(acted, 0).invalid is not None, "the trial was invalidated")
    told = client.trial(acted, 0).invalid
    assert told is not None
    assert told.reason == "wrong data"
    assert client.study(acted).best is None


def test_a_worker_is_drained(page: Page, client: Client) -> None:
    client.lease("spare", offer={"kinds": ["command"], "only": ["elsewhere"]})
    page.goto("/workers", wait_until="domcontentloaded")
    page.get_by_role("button", name="Drain spare").click()
    page.get_by_role("dialog").get_by_role("button", name="Drain", exact=True).click()
    wait_until(lambda: {one.name: one.drain for one in client.workers().items}["spare"], "the worker drains")
    expect(page.get_by_role("button", name="Drain spare")).to_have_count(0)


def test_a_model_is_rolled_back_to_the_checkpoint_that_was_chosen(page: Page, client: Client, panda: Lease) -> None:
    page.goto(f"/studies/by-hand/trials/{panda.number}", wait_until="domcontentloaded")
    page.locator("#checkpoints").get_by_role("button", name="Roll back step 10").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("With other values").fill("learning_rate=0.002")
    dialog.get_by_label("Reason").fill("it diverged")
    dialog.get_by_role("button", name="Roll back").click()
    wait_until(lambda: len(client.timeline("by-hand", panda.number).items) > 0, "the model was rolled back")
    [entry] = client.timeline("by-hand", panda.number).items
    assert (entry.verb, entry.restore, entry.reason) == ("rollback", 10, "it diverged")
    assert entry.params["learning_rate"] == 0.002


def test_a_model_is_paused_by_keyboard_alone(page: Page, client: Client, panda: Lease) -> None:
    page.goto(f"/studies/by-hand/trials/{panda.number}", wait_until="domcontentloaded")
    opener = page.get_by_role("button", name="Pause", exact=True)
    expect(opener).to_be_visible()
    opener.evaluate("(one) => { one.id = 'opener'; }")
    press_until(page, "Tab", "#opener")
    page.keyboard.press("Enter")
    press_until(page, "Tab", "dialog [name=reason]")
    page.keyboard.type("lunch")
    page.keyboard.press("Enter")

    def wanted() -> str | None:
        desired = client.trial("by-hand", panda.number).desired
        return desired and desired.run

    wait_until(lambda: wanted() == "pause", "the model was asked to pause")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page.get_by_role("button", name="Resume", exact=True)).to_be_focused()


def test_a_brush_and_the_filtered_table_survive_an_update(
    page: Page, client: Client, passing: Callable[[str], str]
) -> None:
    import_made_trials(client, passing("kept-brush"), 30)
    page.goto("/studies/kept-brush", wait_until="domcontentloaded")
    parallel = page.locator("[data-picture=parallel]")
    wait_for_marks(parallel, "path", 60)
    amount = page.locator("section[aria-labelledby=trials-title] .amount")

    def brushed() -> bool:
        drag(page, parallel, (0, -4), (0, 90))
        return "of 30 trials" in amount.inner_text()

    wait_until(brushed, "a brush picked trials out")
    place = "({picture: {view}}) => view.signal('brush_0')"
    before = parallel.evaluate(place)
    client.import_trials("kept-brush", [list(made_trials(31))[30].as_imported()])
    wait_for_marks(parallel, "path", 31 + 1)
    expect(amount).to_contain_text("of 31 trials")
    assert parallel.evaluate(place) == before
