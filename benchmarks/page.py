"""The web page beside optuna-dashboard on the same 1,000 trials, and alone with ten times as many.

    make bench-page

Writes with --write to benchmarks/results/page.json and to the tables of docs/page.md; what was not measured stays.
Both dashboards show the same study, which Optuna's storage has and `sturgeon import optuna` brings. Measured in
Chromium, on one machine with the servers: milliseconds from the navigation to the first frame with all trials in the
history; then trials that finish one by one, as bytes on the wire, milliseconds of the page's main thread, and seconds
until the trial is drawn. The budgets are for 10,000 trials, 1,000 curves and 1,000 studies.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any, Final

from playwright.sync_api import Browser

from benchmarks.page_budgets import budgets
from benchmarks.page_dashboard import Dashboard
from benchmarks.page_storage import OptunaStorage
from benchmarks.page_tables import write_tables
from benchmarks.page_visit import Visit
from benchmarks.results_file import add_write_option, stored_results, write_results
from sturgeon.client import Client
from tests.browser.chromium import running_chromium
from tests.browser.drawn import history_has
from tests.browser.made_trials import MadeTrial, made_trials
from tests.processes import STURGEON, ServerProcess

TRIALS: Final = 1_000
UPDATES: Final = 4
EVERY_S: Final = 10.0
"""As often as optuna-dashboard asks."""


def visits(browser: Browser, url: str, drawn: Callable[[int], str], rounds: int) -> dict[str, float]:
    """Of fresh windows, without a cache: medians."""
    times, costs, heaps = [], [], []
    for _ in range(rounds):
        visit = Visit(browser, url, drawn(TRIALS))
        times.append(visit.first_picture_ms())
        visit.page.wait_for_timeout(3_000)  # what is drawn after the first picture belongs to the opening
        costs.append(visit.costs())
        heaps.append(visit.heap_mb())
        visit.close()
    return {
        "first_picture_ms": median(times),
        "opening_kb": median(one.bytes for one in costs) / 1e3,
        "opening_requests": median(one.requests for one in costs),
        "opening_busy_ms": 1e3 * median(one.busy_s for one in costs),
        "heap_mb": median(heaps),
    }


def updates(
    browser: Browser, url: str, drawn: Callable[[int], str], add: Callable[[MadeTrial], None], trials: list[MadeTrial]
) -> dict[str, float]:
    """What a page that stays open costs while a trial finishes every ten seconds."""
    known = trials[0].number
    visit = Visit(browser, url, drawn(known))
    visit.first_picture_ms()
    visit.page.wait_for_timeout(EVERY_S * 1e3)
    before, begun, delays = visit.costs(), time.monotonic(), []
    for number, trial in enumerate(trials, start=1):
        add(trial)
        added = time.monotonic()
        visit.page.wait_for_function(f"() => {drawn(known + number)}", timeout=120_000)
        delays.append(time.monotonic() - added)
        visit.page.wait_for_timeout(max(0.0, begun + number * EVERY_S - time.monotonic()) * 1e3)
    spent = visit.costs().since(before)
    visit.close()
    return {
        "update_kb": spent.bytes / len(trials) / 1e3,
        "update_requests": spent.requests / len(trials),
        "update_busy_ms": 1e3 * spent.busy_s / len(trials),
        "drawn_after_s": median(delays),
    }


@contextmanager
def servers(folder: Path) -> Iterator[tuple[OptunaStorage, Dashboard, ServerProcess]]:
    storage = OptunaStorage(folder / "optuna.db")
    storage.add(made_trials(TRIALS))
    dashboard, server = Dashboard(storage.url, folder), ServerProcess(folder, (), {})
    try:
        dashboard.start()
        server.start()
        yield storage, dashboard, server
    finally:
        dashboard.kill()
        server.kill()


def compared(browser: Browser, folder: Path, rounds: int) -> dict[str, dict[str, float]]:
    """Both on the same trials; new ones go to Optuna's storage, and to Sturgeon by another import."""
    with servers(folder) as (storage, dashboard, server):
        bring = [STURGEON, "import", "optuna", storage.url, "--server", server.url, "-o", "json"]
        subprocess.run(bring, cwd=folder, check=True, capture_output=True)
        ours = f"{server.url}/studies/{OptunaStorage.NAME}"
        found = {
            "optuna-dashboard": visits(browser, dashboard.url, Dashboard.drawn, rounds),
            "sturgeon": visits(browser, ours, history_has, rounds),
        }
        new = list(made_trials(TRIALS + UPDATES))[TRIALS:]
        found["optuna-dashboard"] |= updates(
            browser, dashboard.url, Dashboard.drawn, lambda trial: storage.add([trial]), new
        )
        with Client(server.url) as client:
            metric = client.study(OptunaStorage.NAME).metric

            def add(trial: MadeTrial) -> None:
                client.import_trials(OptunaStorage.NAME, [trial.as_imported(metric)])

            found["sturgeon"] |= updates(browser, ours, history_has, add, new)
        return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="fresh windows of each page; the median counts")
    parser.add_argument("--only", choices=["compared", "budgets"], help="measure this part alone")
    add_write_option(parser, "page")
    arguments = parser.parse_args()
    results: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder, running_chromium() as browser:
        if arguments.only != "budgets":
            results["compared"] = compared(browser, Path(folder), arguments.rounds)
        if arguments.only != "compared":
            results["budgets"] = budgets(browser, Path(folder), arguments.rounds)
    print(json.dumps(results, indent=1))
    if arguments.write:
        write_results("page", stored_results("page") | results)
        write_tables(results)


if __name__ == "__main__":
    main()
