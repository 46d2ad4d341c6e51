"""What people do on the page, from the first click to what comes of it, with real workers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

import pytest
from playwright.sync_api import Locator, Page, expect

from sturgeon.client import Client
from tests.browser.drawn import marks, wait_for_marks
from tests.browser.show_studies import import_made_trials, is_over
from tests.processes import ServerProcess, WorkerProcess, wait_until
from tests.worker.paced import paced

pytestmark = pytest.mark.usefixtures("workers")

SHORT: Final[dict[str, Any]] = {
    "name": "short",
    "metric": "dev_error",
    "space": {"learning_rate": {"type": "float", "low": 1e-4, "high": 1e-3, "scale": "log"}},
    "search": {"sampler": "random", "seed": 3},
    "budget": {"max_trials": 1},
    "task": {"kind": "train", "dataset": "digits", "epochs": 3, "fixed": {"hidden_units": [16]}},
}
PANDA: Final[dict[str, Any]] = {
    "name": "steered",
    "metric": "dev_error",
    "mode": "panda",
    "params": {"learning_rate": 0.001},
    "budget": {"max_trials": 5},
    "needs": {"labels": ["paced"]},
    "task": {"kind": "train", "dataset": "iris", "epochs": 100_000, "fixed": {"hidden_units": 16, "batch_size": 64}},
}

ORIGIN: Final = """
({picture: {view}}) => [view.origin()[0] + view.padding().left, view.origin()[1] + view.padding().top]
"""
"""Where in its canvas a picture's marks begin."""


@pytest.fixture(scope="module")
def short_study(shared_server: ServerProcess) -> str:
    """A study whose only trial, trained too short, errs on many digits."""
    with Client(shared_server.url) as client:
        client.create_study(SHORT)
        wait_until(lambda: is_over(client, "short"), "the trial ended")
    return str(SHORT["name"])


@pytest.fixture
def running_panda(server: ServerProcess, client: Client, worker_process: Callable[..., WorkerProcess]) -> Iterator[str]:
    """It rests between its steps, so that the browser has the processor meanwhile. One was deleted before, whose
    versions the server does not give again."""
    client.create_study(PANDA)
    client.set_params("steered", 0, {"learning_rate": 0.5})
    client.delete_study("steered", force=True)
    worker_process(server.url, "--label", "paced", **paced(0.05))
    client.create_study(PANDA)
    wait_until(lambda: len(client.trial_metrics("steered", 0).items) > 1, "the panda had reported")
    yield "steered"
    client.stop("steered", 0)


def drag(page: Page, picture: Locator, start: tuple[float, float], end: tuple[float, float]) -> None:
    """From one place to another, in pixels of the picture's marks."""
    picture.scroll_into_view_if_needed()
    box = picture.locator("canvas").bounding_box()
    origin = picture.evaluate(ORIGIN)
    assert box is not None
    places = [(box["x"] + origin[0] + x, box["y"] + origin[1] + y) for x, y in (start, end)]
    page.mouse.move(*places[0])
    page.mouse.down()
    page.mouse.move(*places[1], steps=4)
    page.mouse.up()


def test_what_a_brush_picks_out_in_a_picture_the_table_shows(page: Page, client: Client) -> None:
    import_made_trials(client, "brushed", 60)
    page.goto("/studies/brushed", wait_until="domcontentloaded")
    parallel = page.locator("[data-picture=parallel]")
    lines = wait_for_marks(parallel, "path", 120)
    amount = page.locator("section[aria-labelledby=trials-title] .amount")

    def brushed() -> bool:
        """The pictures above are drawn meanwhile, and may move this one away under the pointer."""
        drag(page, parallel, (0, -4), (0, 90))
        return "of 60 trials" in amount.inner_text()

    wait_until(brushed, "a brush picked trials out")
    numbers = [int(one) for one in page.locator("#trials tbody a").all_inner_texts()]
    rates = {trial.number: trial.params["learning_rate"] for trial in client.all_trials("brushed")}
    assert 0 < len(numbers) < 60
    assert len(lines) == 120, "a faint line and a coloured one for each trial"
    picked = min(rates[number] for number in numbers)
    assert picked > max(rate for number, rate in rates.items() if number not in numbers), "the upper end of the axis"


def test_a_changed_rate_stands_in_the_timeline_and_on_the_curve(page: Page, running_panda: str) -> None:
    page.goto(f"/studies/{running_panda}/trials/0", wait_until="domcontentloaded")
    curve = page.locator("[data-picture=trial_curves]")
    wait_for_marks(curve, "line", 1)
    assert marks(curve, "rule") == []
    knobs = page.locator("#knobs")
    knobs.get_by_label("learning_rate", exact=True).fill("0.004")
    knobs.get_by_label("Reason").fill("it is slow")
    knobs.get_by_role("button", name="Change learning_rate").click()
    row = page.locator("[id^=version-]")
    expect(row).to_contain_text("0.001 → 0.004")
    expect(row).to_contain_text("it is slow")
    expect(row).to_contain_text("applied")
    wait_until(lambda: len(marks(curve, "rule")) > 0, "the change was drawn on the curve")


def test_a_tag_of_an_error_is_counted_with_its_ceiling(page: Page, client: Client, short_study: str) -> None:
    page.goto(f"/studies/{short_study}/trials/0", wait_until="domcontentloaded")
    examples = page.get_by_role("group", name="Misclassified examples").get_by_role("button")
    expect(examples.first).to_be_visible()
    for at in (0, 1):
        examples.nth(at).click()
    page.get_by_label("Tag for the chosen examples").fill("blurry")
    page.get_by_role("button", name="Tag", exact=True).click()
    row = page.get_by_role("region", name="Categories").get_by_role("row", name="blurry")
    expect(row.locator("td").first).to_have_text("2")
    told = next(one for one in client.errors(short_study, 0)["categories"] if one["tag"] == "blurry")
    assert told["count"] == 2
    expect(row).to_contain_text(f"{100 * told['ceiling']:.3g} %")


def test_a_trial_is_forked_and_promoted_and_its_branches_run(page: Page, client: Client, short_study: str) -> None:
    page.goto(f"/studies/{short_study}/trials/0", wait_until="domcontentloaded")
    page.locator("#checkpoints").get_by_role("button", name="Fork step").first.click()
    page.get_by_label("Branches").fill("epochs=4\nepochs=4, learning_rate=0.002")
    page.get_by_role("dialog").get_by_role("button", name="Fork", exact=True).click()
    wait_until(lambda: len(client.trials(short_study).items) == 4, "two branches and their control were made")
    page.locator("#checkpoints").get_by_role("button", name="Promote step").first.click()
    page.get_by_label("With other values").fill("epochs=5")
    page.get_by_role("dialog").get_by_role("button", name="Promote", exact=True).click()
    page.wait_for_url("**/trials/4", wait_until="domcontentloaded")
    expect(page.locator(".heading .state").first).to_have_text("complete")
    assert client.trial(short_study, 4).parent is not None
    wait_until(lambda: is_over(client, short_study), "all branches ended")
    states = {trial.number: trial.state for trial in client.trials(short_study).items}
    assert states == dict.fromkeys(range(5), "complete")
