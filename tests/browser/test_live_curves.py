"""The learning curves of a study's open page lose nothing that happens while they are asked for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any, Final

import pytest
from playwright.sync_api import APIResponse, Locator, Page, Route

from sturgeon.client import Client
from sturgeon.messages import Lease
from tests.browser.drawn import marks
from tests.browser.test_live import AWAY
from tests.processes import wait_until

PASSED_ON: Final = """
(number) => {
    const {rows, pictures} = document.querySelector("#study").page;
    return rows.byNumber.get(number).epochs === 3 && !pictures.timer;
}
"""
"""In the page: the row of this trial in epoch 3 has come, and all pictures know of it."""


@pytest.fixture
def undone(client: Client, passing: Callable[[str], str]) -> list[Lease]:
    """Two trials of a study that have reported two epochs each. It needs what none has: no worker takes them over, or
    begins others, whose curves would be in the picture too."""
    space = {"learning_rate": {"type": "float", "low": 1e-4, "high": 0.1, "scale": "log"}}
    task = {"kind": "train", "dataset": "digits", "epochs": 9}
    study = {"name": passing("undone"), "metric": "dev_error", "space": space, "task": task, "needs": {"gpus": 1}}
    client.create_study(study | {"budget": {"max_trials": 9}, "pruning": {"rule": "none"}})
    leases = client.ask("undone", count=2, worker="here").leases
    for lease in leases:
        client.report("undone", lease.number, lease.fence, [in_epoch(1), in_epoch(2)])
    return leases


def in_epoch(epoch: int) -> dict[str, Any]:
    return {"step": 10 * epoch, "epoch": epoch, "metrics": {"dev_error": 0.5 / epoch}}


def open_curves(page: Page) -> Locator:
    page.goto("/studies/undone", wait_until="domcontentloaded")
    page.locator("#section-learning-curves").scroll_into_view_if_needed()
    return page.locator("[data-picture=curves]").first


def drawn_curves(curves: Locator) -> dict[int, int]:
    """Number of a trial -> points of its line. What is out of sight does not follow, so it is scrolled to."""
    curves.scroll_into_view_if_needed()
    return dict(Counter(row["datum"]["number"] for row in marks(curves, "line")))


@pytest.mark.usefixtures("workers")
def test_a_learning_curve_that_a_rollback_leaves_nothing_of_goes(
    page: Page, client: Client, undone: list[Lease]
) -> None:
    [one, other] = undone
    curves = open_curves(page)
    wait_until(lambda: drawn_curves(curves) == {one.number: 2, other.number: 2}, "the lines are there")
    version = client.rollback("undone", one.number, step=0).desired.version
    client.report("undone", one.number, one.fence, [], version, 0)
    wait_until(lambda: drawn_curves(curves) == {other.number: 2}, "its line is gone")


@AWAY
def test_what_is_reported_before_the_first_curves_arrive_is_drawn_all_the_same(
    page: Page, client: Client, undone: list[Lease]
) -> None:
    """Also where the server does not answer the first time that it is asked what has changed since."""
    [one, other] = undone
    held: list[tuple[Route, APIResponse]] = []
    away = [True]

    def answer(route: Route) -> None:
        if "since=" not in route.request.url:
            held.append((route, route.fetch()))
        elif away and away.pop():
            route.abort()
        else:
            route.fallback()

    page.route("**/undone/curves?*", answer)
    curves = open_curves(page)
    wait_until(lambda: bool(page.evaluate("1")) and bool(held), "the curves were asked for")
    client.report("undone", one.number, one.fence, [in_epoch(3)])
    page.wait_for_function(PASSED_ON, arg=one.number)
    [(route, response)] = held
    route.fulfill(response=response)
    wait_until(lambda: drawn_curves(curves) == {one.number: 3, other.number: 2}, "the newest point is drawn")
    assert not away
