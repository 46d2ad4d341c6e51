"""The pages of the course: each lesson has its study, which a server takes, and pictures that are there."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from server.dashboard.pages import LESSONS
from sturgeon.plots.registry import PLOTS

if TYPE_CHECKING:
    from tests.running import RunningServer

STATIC = Path(__file__).parents[2] / "server/dashboard/static"
MODULE = (STATIC / "js/course/lessons.js").read_text(encoding="utf-8")
STUDIES = sorted((STATIC / "course").glob("*.json"))


def test_the_pages_are_those_of_the_lessons() -> None:
    titles = {int(row): title for row, title in re.findall(r'row: (\d+),\s+title: "([^"]*)"', MODULE)}

    assert titles == LESSONS
    assert set(re.findall(r'study: "([^"]*)"', MODULE)) == {file.stem for file in STUDIES}
    kinds = set(re.findall(r'kind: "([^"]*)"', MODULE))
    assert kinds <= PLOTS.keys()
    assert {"grid_against_random", "beta_scale", "zoom", "panda_caviar", "two_stage"} <= kinds


def test_each_lesson_is_a_page_and_no_other_row_is(http: httpx.Client) -> None:
    for row, title in LESSONS.items():
        answer = http.get(f"/course/{row}")
        assert answer.status_code == 200
        assert f"<h1>{title}</h1>" in answer.text
    for row in ("5", "0", "x", "4.0", "³"):
        assert http.get(f"/course/{row}").status_code == 404
    assert http.get("/course").status_code == 200


@pytest.mark.parametrize("file", STUDIES, ids=lambda file: file.stem)
def test_the_study_of_a_lesson_is_made_with_one_request(server: RunningServer, http: httpx.Client, file: Path) -> None:
    body = http.get(f"/static/course/{file.name}").json()
    assert body == json.loads(file.read_text(encoding="utf-8"))

    study = server.client.create_study(body)

    assert study.name == file.stem
    assert study.title.startswith("Row")


def test_the_grid_of_row_14_is_taken_beside_what_is_drawn(server: RunningServer) -> None:
    server.client.create_study(json.loads((STATIC / "course/random.json").read_text(encoding="utf-8")))
    for rate in (0.001, 0.01, 0.1):
        for epsilon in (1e-9, 1e-8, 1e-7):
            server.client.enqueue("random", {"learning_rate": rate, "epsilon": epsilon})

    given, drawn = (server.client.ask("random", 9).leases for _ in range(2))

    assert [len({lease.params["learning_rate"] for lease in leases}) for leases in (given, drawn)] == [3, 9]
