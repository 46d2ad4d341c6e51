"""What the page promises of large studies, measured: for benchmarks/page.py."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any, Final

from playwright.sync_api import Browser

from benchmarks.page_visit import Visit
from sturgeon.client import Client
from tests.browser.drawn import curves_have, history_has, history_shows
from tests.browser.made_trials import made_trials
from tests.browser.show_studies import import_made_trials
from tests.processes import ServerProcess

MANY: Final = 10_000
CURVES: Final = 1_000
STUDIES: Final = 1_000
UPDATES: Final = 20
LOOK_EVERY_MS: Final = 250
PROMISED_MS: Final = {
    "first picture of 10,000 trials": 2_000,
    "filter of 10,000 trials": 200,
    "update of 10,000 trials": 50,
    "1,000 curves": 1_000,
    "list of 1,000 studies": 2_000,
}
FILTER: Final = "learning_rate<0.001 state:complete"

TIMED_FILTER: Final = """
async ([words]) => {
    const input = document.querySelector("input[aria-label='Filter trials']");
    const amount = () => input.closest("section").querySelector(".amount").textContent;
    const before = amount();
    const begun = performance.now();
    input.value = words;
    input.dispatchEvent(new Event("input", {bubbles: true}));
    while (amount() === before) await new Promise(requestAnimationFrame);
    await new Promise(requestAnimationFrame);
    return performance.now() - begun;
}
"""

TIMED_CURVES: Final = """
async () => {
    const begun = performance.now();
    const heading = [...document.querySelectorAll("h2")].find((one) => one.textContent === "Learning curves");
    heading.scrollIntoView();
    while (!(DRAWN)) {
        await new Promise(requestAnimationFrame);
        if (Math.abs(heading.getBoundingClientRect().top) > 100) heading.scrollIntoView();
    }
    return performance.now() - begun;
}
"""


@contextmanager
def large_server(folder: Path) -> Iterator[tuple[ServerProcess, Client]]:
    """With a study of 10,000 trials, one of 1,000 trials and 1,000 studies without any."""
    server = ServerProcess(folder, (), {"STURGEON_DATABASE_URL": f"sqlite:///{folder}/large.db"})
    try:
        server.start()
        with Client(server.url) as client:
            import_made_trials(client, "many", MANY)
            import_made_trials(client, "curves", CURVES)
            for number in range(STUDIES - 2):
                client.create_study(small(number))
            yield server, client
    finally:
        server.kill()


def small(number: int) -> dict[str, Any]:
    space = {"x": {"type": "float", "low": 0, "high": 1}}
    return {"name": f"study-{number:03}", "metric": "loss", "space": space, "budget": {"max_trials": 10}}


def budgets(browser: Browser, folder: Path, rounds: int) -> dict[str, Any]:
    """Milliseconds of each, beside what was promised; medians of fresh windows."""
    with large_server(folder) as (server, client):
        many = f"{server.url}/studies/many"
        listed = f"document.querySelector('#studies [aria-rowcount=\"{STUDIES + 1}\"] tbody a') !== null"
        measured: dict[str, Callable[[], float]] = {
            "first picture of 10,000 trials": lambda: first_ms(browser, many, history_has(MANY), rounds),
            "filter of 10,000 trials": lambda: median(filter_ms(browser, many) for _ in range(rounds)),
            "update of 10,000 trials": lambda: update_ms(browser, many, client),
            "1,000 curves": lambda: median(curves_ms(browser, f"{server.url}/studies/curves") for _ in range(rounds)),
            "list of 1,000 studies": lambda: first_ms(browser, server.url, listed, rounds),
        }
        found = {}
        for name, measure in measured.items():
            found[name] = measure()
            print(f"{name}: {found[name]:.0f} ms", file=sys.stderr)
    return {name: {"ms": round(ms, 1), "promised_ms": PROMISED_MS[name]} for name, ms in found.items()}


def first_ms(browser: Browser, url: str, drawn: str, rounds: int) -> float:
    times = []
    for _ in range(rounds):
        visit = Visit(browser, url, drawn)
        times.append(visit.first_picture_ms())
        visit.close()
    return median(times)


def filter_ms(browser: Browser, url: str) -> float:
    """From a change of the filter to the frame after the table shows it."""
    visit = Visit(browser, url, history_has(MANY))
    visit.first_picture_ms()
    visit.page.wait_for_timeout(1_000)
    spent = float(visit.page.evaluate(TIMED_FILTER, [FILTER]))
    visit.close()
    return spent


def update_ms(browser: Browser, url: str, client: Client) -> float:
    """The main thread's time of an update: trials that finish one by one, each drawn before the next."""
    visit = Visit(browser, url, history_has(MANY))
    visit.first_picture_ms()
    visit.page.wait_for_timeout(5_000)
    spent = []
    for trial in list(made_trials(MANY + UPDATES))[MANY:]:
        before = visit.costs()
        client.import_trials("many", [trial.as_imported()])
        # Who looks at each frame asks for frames, and they would count as well.
        visit.page.wait_for_function(f"() => {history_shows(trial.number)}", polling=LOOK_EVERY_MS)
        visit.page.wait_for_timeout(1_000)  # for all that follows, such as the summary
        spent.append(visit.costs().since(before).busy_s)
    visit.close()
    return 1e3 * median(spent)


def curves_ms(browser: Browser, url: str) -> float:
    """From the moment that the picture comes into view to the frame with all curves."""
    visit = Visit(browser, url, history_has(CURVES))
    visit.first_picture_ms()
    visit.page.wait_for_timeout(2_000)
    spent = float(visit.page.evaluate(TIMED_CURVES.replace("DRAWN", curves_have(CURVES))))
    visit.close()
    return spent
