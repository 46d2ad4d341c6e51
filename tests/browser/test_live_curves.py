"""The learning curves of a study's open page follow the server."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Locator, Page

from sturgeon.client import Client
from sturgeon.messages import Lease
from tests.browser.drawn import marks
from tests.processes import wait_until


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
