"""What a picture of the page shows: the marks in Vega's scene graph, which chart.js leaves at the picture's element."""

from __future__ import annotations

from typing import Any, Final

from playwright.sync_api import Locator, Page

from tests.processes import wait_until

VIEW: Final = "element.picture?.view"
"""In the page: the Vega view of a picture's element."""

READ_MARKS: Final = """
(element, [type, role]) => {
    const plain = (datum) => Object.fromEntries(Object.entries(datum || {}).filter(
        ([_key, value]) => value === null || typeof value !== "object"));
    const found = [];
    const visit = (mark) => {
        if (mark.marktype === type && mark.role === role) {
            for (const {x, y, width, height, opacity, fill, stroke, strokeDash, text, shape, datum} of mark.items) {
                found.push({x, y, width, height, opacity, fill, stroke, strokeDash, text, shape, datum: plain(datum)});
            }
        }
        for (const item of mark.items || []) { for (const child of item.items || []) visit(child); }
    };
    const view = VIEW;
    if (view) visit(view.scenegraph().root);
    return found;
}
""".replace("VIEW", VIEW)


ALL_DRAWN: Final = """
() => !document.querySelector("[aria-busy=true]")
    && [...document.querySelectorAll(".chart")].every(({picture: one}) =>
        !one || !one.seen || one.failed
        || one.view && !one.drawing && !one.changing && !(one.inSight && one.dirty.size))
"""

HAS_MARKS: Final = """
(() => {
    const count = (mark) => mark.marktype === "group"
        ? mark.items.reduce((sum, group) => sum + group.items.reduce((more, one) => more + count(one), 0), 0)
        : mark.role === "mark" && mark.marktype === "TYPE" && mark.items.length ? PER_MARK : 0;
    const view = document.querySelector("[data-picture=KIND]")?.picture?.view;
    return Boolean(view) && count(view.scenegraph().root) >= LEAST;
})()
"""


def history_has(trials: int) -> str:
    """An expression in the page: whether the history has a symbol for each of so many trials."""
    return _has("history", "symbol", "mark.items.length", trials)


def history_shows(number: int) -> str:
    """An expression in the page: whether the history has a symbol of this trial."""
    return _has("history", "symbol", f"mark.items.filter(({{datum}}) => datum.number === {number}).length", 1)


def curves_have(curves: int) -> str:
    """An expression in the page: whether so many learning curves are drawn; each is a mark of its own."""
    return _has("curves", "line", "1", curves)


def _has(kind: str, type: str, per_mark: str, least: int) -> str:
    words = {"KIND": kind, "TYPE": type, "PER_MARK": per_mark, "LEAST": str(least)}
    expression = HAS_MARKS
    for word, value in words.items():
        expression = expression.replace(word, value)
    return expression


def marks(picture: Locator, type: str, role: str = "mark") -> list[dict[str, Any]]:
    """The items of all marks of this type (symbol, line, rect, text ..), each with its place, look and datum.

    `role`: axis-label, axis-title, legend-label or title for the words around the picture.
    """
    found: list[dict[str, Any]] = picture.evaluate(READ_MARKS, [type, role])
    return found


def words(picture: Locator) -> set[str]:
    """All words that stand in a picture: titles, labels of its axes and legends, and marks of text."""
    roles = ("mark", "title-text", "axis-label", "axis-title", "legend-label", "legend-title")
    return {str(item["text"]) for role in roles for item in marks(picture, "text", role)}


def wait_for_marks(picture: Locator, type: str, count: int) -> list[dict[str, Any]]:
    """Wait until at least so many are drawn."""
    picture.wait_for()
    wait_until(lambda: len(marks(picture, type)) >= count, f"{count} marks of type {type} were drawn")
    return marks(picture, type)


TWO_FRAMES: Final = "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
"""By then what comes into view has been told so."""


def settle(page: Page) -> None:
    """Scroll through the page, so that each picture comes into view, and wait until all are drawn."""
    page.wait_for_function(ALL_DRAWN)
    height, at = 1, 0
    while at < height:
        page.evaluate("(y) => scrollTo(0, y)", at)
        page.evaluate(TWO_FRAMES)
        page.wait_for_function(ALL_DRAWN)
        height, at = page.evaluate("document.documentElement.scrollHeight"), at + 700
    page.evaluate("scrollTo(0, 0)")
    page.evaluate(TWO_FRAMES)
    page.wait_for_function(ALL_DRAWN)
