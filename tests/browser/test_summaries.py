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
async ([spec, rows]) => {
    const {Summaries} = await import("/static/js/summaries.js");
    const all = new Summaries(spec);
    all.fill({}, {rows: {all: () => rows, byNumber: new Map()}});
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

    spec = {"data": {"name": "rows"}, "usermeta": found["usermeta"]}
    told = page.evaluate(ON_THE_PAGE, [spec, rows])
    expected = {one["name"]: one["value"] for one in found["params"]}
    assert told.keys() == expected.keys()
    for name, values in expected.items():
        assert told[name] == pytest.approx(values), name
