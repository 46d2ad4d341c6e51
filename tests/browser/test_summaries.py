"""What a page computes of all rows of a picture is what a file has."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any, Final

import pytest

from sturgeon.plots import summaries
from sturgeon.plots.summaries import five, span, steps, summarized
from tests.plots.answers import row

if TYPE_CHECKING:
    from playwright.sync_api import Page

ON_THE_PAGE: Final = """
async ([spec, rows, changes]) => {
    const {Summaries} = await import("/static/js/summaries.js");
    const all = new Summaries(spec);
    all.fill({}, {rows: {all: () => rows, byNumber: new Map()}});
    let now = rows;
    for (const [gone, added] of changes) {
        now = [...now.filter(({number}) => !gone.some((one) => one.number === number)), ...added];
        all.take({all: () => now}, gone, added);
    }
    return all.known;
}
"""
WANTED: Final = {
    "scores": five("score"),
    "values": five("score", "guess", "so_far", over=0),
    "least_first": steps("minimize"),
    "greatest_first": steps("maximize"),
    "rates": span("p0", [1e-4, 1e-2], over=0),
    "odds": span("p4", [], over=0, under=1),
    "gone": span("p9", []),
    **summaries.NUMBERS,
}


def trials(many: int) -> list[dict[str, Any]]:
    """Of all kinds: pruned, invalid, queued and failed ones, penalties, and texts and bounds as parameters."""
    chance = random.Random(many)
    found = [row(number, round(chance.gauss(0.3, 0.2), 3)) for number in range(many)]
    for trial in found[3:]:
        if chance.random() < 0.4:
            trial |= chance.choice([{"invalid": True, "score": -9.0}, {"score": 1e300}, {"state": "queued"}])
    for trial in found[2::5]:
        trial |= {"state": "pruned", "score": None, "guess": chance.choice([None, 0.2]), "so_far": -0.1, "p0": "text"}
    return [*found, row(many, None, "failed", p4=1.0, p0=0.0)]


@pytest.mark.parametrize("many", [0, 1, 2, 60])
def test_a_page_sums_rows_up_as_a_file_does(page: Page, many: int) -> None:
    page.goto("/")
    rows = trials(many)

    found = summarized(rows, WANTED)

    assert_told(page, found, rows, [])


@pytest.mark.parametrize("seed", range(6))
def test_rows_that_come_and_go_are_summed_up_as_if_all_were_new(page: Page, seed: int) -> None:
    """Of the least and greatest values, and of steps, more come and go than of others."""
    page.goto("/")
    chance = random.Random(seed)
    first = trials(12)
    now, changes = {one["number"]: one for one in first}, []
    for turn in range(40):
        edges = [find(now.values(), key=lambda one: one["score"] or 0) for find in (min, max)]
        gone = {one["number"]: one for one in [*chance.sample(list(now.values()), 2), chance.choice(edges)]}
        added = [row(number, round(chance.gauss(0.3, 0.3), 2), p0=10 ** chance.uniform(-5, 0)) for number in gone]
        added = [
            chance.choice([one, one | {"invalid": True}, one | {"state": "running", "score": None}]) for one in added
        ]
        added.append(row(100 + turn, chance.choice([-(10.0**turn), 10.0**turn, 0.3])))
        changes.append([list(gone.values()), added])
        now = {number: one for number, one in now.items() if number not in gone} | {one["number"]: one for one in added}

    found = summarized([now[number] for number in sorted(now)], WANTED)

    assert_told(page, found, first, changes)


def test_the_only_value_takes_both_ends_with_it(page: Page) -> None:
    page.goto("/")
    for value in (0.2, 0.9):
        before, now = row(0, 0.3, p0=0.001, p4=0.5), row(0, 0.3, p0=0.001, p4=value)
        assert_told(page, summarized([now], WANTED), [before], [[[before], [now]]])


def assert_told(page: Page, found: dict[str, Any], rows: list[dict[str, Any]], changes: list[Any]) -> None:
    spec = {"data": {"name": "rows"}, "usermeta": found["usermeta"]}
    told = page.evaluate(ON_THE_PAGE, [spec, rows, changes])
    expected = {one["name"]: one["value"] for one in found["params"]}
    assert told.keys() == expected.keys()
    for name, values in expected.items():
        assert told[name] == pytest.approx(values), name
