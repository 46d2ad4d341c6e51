"""A page that stays open: it follows the server, goes on after it was away, and does not grow."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any, Final

import pytest
from playwright.sync_api import BrowserContext, Page, Route, expect

from sturgeon.client import Client
from tests.browser.drawn import marks, settle, wait_for_marks, words
from tests.browser.made_trials import made_trials
from tests.browser.show_studies import import_made_trials
from tests.processes import ServerProcess, wait_until

AWAY: Final = pytest.mark.tolerates_errors("ERR_", "Failed to load resource")
"""What the console tells of a server that is away."""
HISTORY: Final = "[data-picture=history]"


@pytest.fixture
def followed(client: Client, request: pytest.FixtureRequest) -> Iterator[str]:
    """A study with 30 trials that have ended, which goes on."""
    name = request.node.name.replace("test_", "")[:60]
    import_made_trials(client, name, 30)
    yield name
    client.delete_study(name, force=True)


def add_trial(client: Client, study: str, number: int) -> None:
    client.import_trials(study, [list(made_trials(number + 1))[number].as_imported()])


def open_study(page: Page, study: str, trials: int) -> None:
    page.goto(f"/studies/{study}", wait_until="domcontentloaded")
    wait_for_marks(page.locator(HISTORY), "symbol", trials)
    page.evaluate("() => { window.sameDocument = true; }")


def test_a_trial_that_ends_appears_in_pictures_table_and_summary(page: Page, client: Client, followed: str) -> None:
    open_study(page, followed, 30)
    add_trial(client, followed, 30)
    wait_for_marks(page.locator(HISTORY), "symbol", 31)
    expect(page.locator("#trials").get_by_role("link", name="30", exact=True)).to_be_visible()
    expect(page.locator(".facts")).to_contain_text("31 of")
    assert page.evaluate("window.sameDocument")


def test_selection_scroll_and_zoom_survive_an_update(page: Page, client: Client, followed: str) -> None:
    open_study(page, followed, 30)
    table = page.get_by_role("grid", name="Trials")
    table.focus()
    for key in ("ArrowDown", "ArrowDown", "Space"):
        page.keyboard.press(key)
    chosen = table.locator("tr[aria-selected=true]")
    expect(chosen).to_have_count(1)
    number = chosen.locator("a").inner_text()
    scroller = page.locator("#trials .scroller")
    scroller.evaluate("(element) => { element.scrollTop = 100; scrollTo(0, 40); }")
    add_trial(client, followed, 30)
    wait_for_marks(page.locator(HISTORY), "symbol", 31)
    expect(page.locator(".facts")).to_contain_text("31 of")
    expect(chosen.locator("a")).to_have_text(number)
    assert scroller.evaluate("(element) => element.scrollTop") == pytest.approx(100, abs=40)
    assert page.evaluate("scrollY") == 40


def test_a_picture_out_of_sight_follows_when_it_is_seen(page: Page, client: Client, followed: str) -> None:
    open_study(page, followed, 30)
    history = page.locator(HISTORY)
    before = len(marks(history, "symbol"))
    page.evaluate("scrollTo(0, document.documentElement.scrollHeight)")
    page.wait_for_function("(kind) => !document.querySelector(kind).picture.inSight", arg=HISTORY)
    add_trial(client, followed, 30)
    page.wait_for_function("(kind) => document.querySelector(kind).picture.dirty.has('rows')", arg=HISTORY)
    page.wait_for_function("(kind) => !document.querySelector(kind).picture.changing", arg=HISTORY)
    assert len(marks(history, "symbol")) == before
    page.evaluate("scrollTo(0, 0)")
    wait_for_marks(history, "symbol", before + 1)


@AWAY
def test_after_the_server_was_away_the_page_goes_on_without_a_reload(
    server_process: Callable[..., ServerProcess], window: Callable[..., BrowserContext]
) -> None:
    server = server_process()
    with Client(server.url) as client:
        import_made_trials(client, "away", 12)
        page = window(server.url, viewport={"width": 1280, "height": 800}).new_page()
        open_study(page, "away", 12)
        server.kill()
        expect(page.locator("#banner")).to_contain_text("does not answer")
        assert len(marks(page.locator(HISTORY), "symbol")) >= 12, "what was there stays"
        server.start()
        expect(page.locator("#banner")).to_be_hidden()
        add_trial(client, "away", 12)
        wait_for_marks(page.locator(HISTORY), "symbol", 13)
        assert page.evaluate("window.sameDocument")


@AWAY
def test_a_page_tells_that_its_study_was_deleted_and_shows_the_next_one(
    page: Page, client: Client, passing: Callable[[str], str]
) -> None:
    """Another study of that name has other parameters, and revision 0 as well."""

    def make(parameter: str) -> None:
        space = {parameter: {"type": "float", "low": 0.0, "high": 1.0}}
        client.create_study({"name": "remade", "metric": "loss", "space": space, "budget": {"max_trials": 9}})
        for lease in client.ask("remade", 3).leases:
            client.tell("remade", lease.number, lease.fence, {"loss": 1.0})

    make("before")
    open_study(page, passing("remade"), 3)
    client.delete_study("remade", force=True)
    expect(page.locator("#banner")).to_contain_text("This was deleted")
    make("after")
    expect(page.get_by_role("columnheader", name="after")).to_be_visible()
    expect(page.get_by_role("columnheader", name="before")).to_have_count(0)
    expect(page.locator("#banner")).to_be_hidden()


SERVED: Final = """
async (path) => {
    const {Served} = await import("/static/js/trial/served.js");
    const host = document.createElement("div");
    host.id = "served";
    document.querySelector("main").prepend(host);
    host.scrollIntoView();
    new Served(host, "trial_curves").show(path);
}
"""
LATE: Final = """
async () => {
    const {chart} = await import("/static/js/chart.js");
    const host = document.createElement("div");
    host.id = "late";
    document.querySelector("main").prepend(host);
    const encoding = {x: {field: "x", type: "quantitative"}};
    const spec = {data: {name: "late"}, datasets: {late: []}, mark: "point", encoding};
    const kind = {$schema: "https://vega.github.io/schema/vega-lite/v6.json"};
    const picture = chart(host, {...kind, ...spec}, {}, {eager: true});
    await picture.drawn;
    picture.replace("late", [{x: 1}, {x: 2}]);
}
"""


def test_data_that_come_when_a_picture_is_drawn_already_are_in_it(page: Page) -> None:
    """As the importance of parameters, which takes the server a while."""
    page.goto("/")
    page.evaluate(LATE)
    wait_for_marks(page.locator("#late"), "symbol", 2)


@AWAY
def test_pictures_that_the_server_was_away_for_are_drawn_when_it_is_back(page: Page, followed: str) -> None:
    """Also those that nothing asks for again: what they show is as it was."""
    away = {"history", "curves", "trial_curves"}

    def answer(route: Route) -> None:
        kind = route.request.url.partition("?")[0].rpartition("/")[2]
        if kind in away:
            away.discard(kind)
            route.abort()
        else:
            route.fallback()

    page.route("**/plots/*", answer)
    page.goto(f"/studies/{followed}", wait_until="domcontentloaded")
    wait_for_marks(page.locator(HISTORY), "symbol", 30)
    page.locator("#section-learning-curves").scroll_into_view_if_needed()
    wait_for_marks(page.locator("[data-picture=curves]").first, "line", 1)
    page.evaluate(SERVED, f"/studies/{followed}/trials/0/plots/trial_curves?metric=loss")
    wait_for_marks(page.locator("#served"), "line", 1)
    assert not away


INCREMENTS: Final = 1_000


class FakeStream:
    """Answers the page's stream with as many increments as one likes, at once."""

    def __init__(self, rows: list[dict[str, Any]]) -> None:
        self.rows, self.sent, self.wanted = rows, 0, 0

    def answer(self, route: Route) -> None:
        events = []
        for _ in range(self.wanted):
            self.sent += 1
            row = self.rows[self.sent % len(self.rows)] | {"seconds": float(self.sent)}
            events.append(f"id: fake{self.sent}\nevent: rows\ndata: {json.dumps([row])}\n\n")
        self.wanted = 0
        route.fulfill(content_type="text/event-stream", body="".join(events) + ": beat\n\n")


def test_thousands_of_increments_leave_no_more_in_memory(page: Page, followed: str) -> None:
    stream = FakeStream(rows_of(page, followed))
    page.route("**/stream*", stream.answer)
    open_study(page, followed, 30)
    tools = page.context.new_cdp_session(page)

    def taken_in() -> dict[str, float]:
        stream.wanted = INCREMENTS
        told = stream.sent + INCREMENTS
        wait_until(lambda: bool(page.evaluate("1")) and stream.sent >= told, "the increments were fetched")
        page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
        tools.send("HeapProfiler.collectGarbage")
        counted = tools.send("Memory.getDOMCounters")
        return {"nodes": counted["nodes"], "heap": page.evaluate("performance.memory.usedJSHeapSize")}

    first, _, last = taken_in(), taken_in(), taken_in()
    assert last["nodes"] < first["nodes"] + 500
    assert last["heap"] < first["heap"] + 4e6


def rows_of(page: Page, study: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = page.request.get(f"/v1/studies/{study}/rows").json()["rows"]
    return rows


@pytest.fixture
def begun(client: Client, request: pytest.FixtureRequest) -> Iterator[str]:
    """A study whose only trial runs, and has reported nothing."""
    name = request.node.name.replace("test_", "")[:60]
    space = {"rate": {"type": "float", "low": 1e-4, "high": 0.1, "scale": "log"}}
    client.create_study({"name": name, "metric": "loss", "space": space, "budget": {"max_trials": 9}})
    yield name
    client.delete_study(name, force=True)


def test_pictures_opened_before_the_first_report_become_whole(page: Page, client: Client, begun: str) -> None:
    (lease,) = client.ask(begun, count=1, worker="here").leases
    page.goto(f"/studies/{begun}", wait_until="domcontentloaded")
    settle(page)
    curves = page.locator("section", has=page.locator("#section-learning-curves"))
    curves.scroll_into_view_if_needed()
    expect(page.get_by_text("No trial has reported a curve yet.")).to_be_visible()
    for epoch in range(1, 4):
        client.report(begun, 0, lease.fence, [{"step": epoch, "epoch": epoch, "metrics": {"loss": 0.125 / epoch}}])
    client.tell(begun, 0, lease.fence, metrics={"loss": 0.0417})
    wait_for_marks(curves.locator("[data-picture=curves]"), "line", 1)
    slices = page.locator("[data-picture=slice]")
    slices.scroll_into_view_if_needed()
    wait_for_marks(slices, "symbol", 1)
    left = "({picture: {view}}) => view.origin()[0] + view.scenegraph().root.bounds.x1"
    wait_until(lambda: slices.evaluate(left) >= -1, "the labels of the axis have room")
    page.evaluate("scrollTo(0, 0)")
    history = page.locator(HISTORY)
    wait_until(lambda: "complete" in words(history), "the legend has the new state")
