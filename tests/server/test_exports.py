"""Trials as CSV, as lines of JSON, and as one JSON page."""

from __future__ import annotations

import csv
import io
import json
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from server.services.trials import export
from server.store import trial_lists
from server.store.trial_lists import Listing
from server.store.trials import TrialRow
from tests.server.studies import BOWL

if TYPE_CHECKING:
    from tests.running import RunningServer

PATH = "/v1/studies/net/trials"
NET = BOWL | {
    "name": "net",
    "space": {
        "layers": {"type": "choice", "values": [[16, 16], [32], True, None, 'a,"b"\nc', "=1+1"]},
        "beta": {"type": "float", "low": 0, "high": 1, "when": {"layers": [[32]]}},
    },
    "budget": {"max_trials": 6},
}


@pytest.fixture
def net(server: RunningServer) -> None:
    """Six trials: one complete, one cancelled, four queued."""
    server.client.create_study(NET)
    for layers in NET["space"]["layers"]["values"]:
        server.client.enqueue("net", {"layers": layers} | ({"beta": 0.1} if layers == [32] else {}))
    server.client.ask("net", worker="ada")
    server.client.tell("net", 0, 1, {"loss": 0.1, "dev.error": 1e-17, "odd": None}, step=3)
    server.client.cancel("net", 1)


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


@pytest.mark.usefixtures("net")
def test_csv_has_a_column_a_parameter_and_a_metric(http: httpx.Client) -> None:
    answer = http.get(PATH, params={"format": "csv"})

    assert answer.headers["content-type"].startswith("text/csv")
    assert answer.text.startswith(
        "number,state,value,seed,attempt,worker,step,created_at,started_at,finished_at,"
        "params.layers,params.beta,metrics.dev.error,metrics.loss,metrics.odd\r\n"
    )
    table = rows(answer.text)
    assert [row["number"] for row in table] == ["0", "1", "2", "3", "4", "5"]
    assert table[0] | {"seed": ""} == {
        "number": "0",
        "state": "complete",
        "value": "0.1",
        "seed": "",
        "attempt": "0",
        "worker": "ada",
        "step": "3",
        "created_at": "2026-01-01T12:00:00Z",
        "started_at": "2026-01-01T12:00:00Z",
        "finished_at": "2026-01-01T12:00:00Z",
        "params.layers": "[16, 16]",
        "params.beta": "",
        "metrics.dev.error": "1e-17",
        "metrics.loss": "0.1",
        "metrics.odd": "",
    }
    assert [row["params.layers"] for row in table] == ["[16, 16]", "[32]", "true", "", 'a,"b"\nc', "'=1+1"]
    assert [row["params.beta"] for row in table] == ["", "0.1", "", "", "", ""]


@pytest.mark.usefixtures("net")
def test_ndjson_has_a_trial_a_line(http: httpx.Client) -> None:
    answer = http.get(PATH, params={"format": "ndjson"})

    assert answer.headers["content-type"].startswith("application/x-ndjson")
    lines = answer.text.splitlines()
    assert [json.loads(line) for line in lines] == http.get(PATH).json()["items"]


@pytest.mark.usefixtures("net")
@pytest.mark.parametrize(
    ("accept", "query", "kind"),
    [
        ("text/csv", {}, "text/csv"),
        ("application/x-ndjson", {}, "application/x-ndjson"),
        ("application/json", {}, "application/json"),
        ("*/*", {}, "application/json"),
        ("text/html,application/xhtml+xml,*/*;q=0.8", {}, "application/json"),
        ("text/csv", {"format": "json"}, "application/json"),
        ("application/json", {"format": "csv"}, "text/csv"),
        ("text/csv", {"format": "ndjson"}, "application/x-ndjson"),
    ],
)
def test_the_format_is_that_of_accept_and_the_query_wins(
    http: httpx.Client, accept: str, query: dict[str, str], kind: str
) -> None:
    answer = http.get(PATH, params=query, headers={"Accept": accept})

    assert answer.headers["content-type"].partition(";")[0] == kind


@pytest.mark.usefixtures("net")
@pytest.mark.parametrize("form", ["csv", "ndjson"])
def test_an_export_streams_all_pages_filtered_and_sorted(
    http: httpx.Client, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "EXPORT_PAGE", 2)
    query: dict[str, Any] = {"format": form, "page_size": 1, "state": "queued", "sort": "-number"}
    text = http.get(PATH, params=query).text

    if form == "csv":
        assert [row["number"] for row in rows(text)] == ["5", "4", "3", "2"]
    else:
        assert [json.loads(line)["number"] for line in text.splitlines()] == [5, 4, 3, 2]


@pytest.mark.fault("W9")
@pytest.mark.usefixtures("net")
@pytest.mark.parametrize("sort", ["number", "-number", "value"])
def test_an_export_is_of_one_moment_while_trials_leave_and_enter_its_filter(
    server: RunningServer, monkeypatch: pytest.MonkeyPatch, sort: str
) -> None:
    pages = 0

    def page(*args: Any) -> list[TrialRow]:
        nonlocal pages
        pages += 1
        if pages == 2:
            server.client.ask("net", count=3)
            server.client.requeue("net", 1)
        return trial_lists.page(*args)

    monkeypatch.setattr(export, "EXPORT_PAGE", 2)
    monkeypatch.setattr(export, "trial_lists", SimpleNamespace(**vars(trial_lists) | {"page": page}))
    which = Listing(state="queued", sort=sort.removeprefix("-"), descending=sort.startswith("-"))

    text = "".join(export.export(server.app.state.database, "net", which, "ndjson"))

    exported = [json.loads(line) for line in text.splitlines()]
    assert sorted(trial["number"] for trial in exported) == [2, 3, 4, 5]
    assert {trial["state"] for trial in exported} == {"queued"}
    assert pages == 3


@pytest.mark.usefixtures("net")
@pytest.mark.parametrize("in_memory", [10, 1_000_000])
def test_an_export_is_the_same_whether_it_fits_into_memory(
    http: httpx.Client, monkeypatch: pytest.MonkeyPatch, in_memory: int
) -> None:
    monkeypatch.setattr(export, "IN_MEMORY", in_memory)
    monkeypatch.setattr(export, "CHUNK", 7)

    text = http.get(PATH, params={"format": "csv"}).content.decode()

    assert [row["number"] for row in rows(text)] == ["0", "1", "2", "3", "4", "5"]
    assert rows(text)[4]["params.layers"] == 'a,"b"\nc'


def test_an_export_of_a_study_without_trials_is_a_header(server: RunningServer, http: httpx.Client) -> None:
    server.client.create_study(NET)

    assert rows(http.get(PATH, params={"format": "csv"}).text) == []
    assert http.get(PATH, params={"format": "ndjson"}).text == ""
    assert http.get(PATH, params={"format": "json"}).json() == {"items": [], "next_page_token": None}


@pytest.mark.fault("L10")
def test_no_cell_is_a_formula_to_a_spreadsheet(server: RunningServer, http: httpx.Client) -> None:
    texts = ["=cmd|' /C calc'!A0", "@SUM(1)", "-1+1", "+1", "\t=1", "\r=1", " =1", "\uff1d1", "a=1", "'=1", "1-1"]
    space = {"text": {"type": "choice", "values": texts}, "x": {"type": "float", "low": -1, "high": 1}}
    server.client.create_study(NET | {"space": space, "budget": {"max_trials": len(texts)}})
    for text in texts:
        server.client.enqueue("net", {"text": text, "x": -0.5})
    server.client.ask("net", worker="ada")
    server.client.tell("net", 0, 1, {}, state="failed", error="=HYPERLINK(1)")
    table = rows(http.get(PATH, params={"format": "csv"}).text)
    assert [row["params.text"] for row in table] == [*(f"'{text}" for text in texts[:8]), *texts[8:]]
    assert {row["params.x"] for row in table} == {"-0.5"}
    assert json.loads(http.get(PATH, params={"format": "ndjson"}).text.splitlines()[0])["params"]["text"] == texts[0]
