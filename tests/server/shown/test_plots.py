"""Pictures as specifications, with the server's own rows in them or without."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import httpx
import pytest

from server.services.sampling import rounds
from server.services.shown import recent
from server.services.shown import rows as shown_rows
from sturgeon.messages import Lease
from sturgeon.plots.registry import PLOTS
from tests.server.studies import refusal

if TYPE_CHECKING:
    from server.store.json_columns import Json
    from tests.running import RunningServer


@pytest.mark.usefixtures("finished_trial")
def test_a_picture_has_the_rows_of_its_study_as_they_are_now(server: RunningServer, http: httpx.Client) -> None:
    one = http.get("/v1/studies/bowl/plots/history").json()
    [lease] = server.client.ask("bowl").leases
    server.client.invalidate("bowl", 0, "wrong")
    two = http.get("/v1/studies/bowl/plots/history?width=500").json()

    assert [row["number"] for row in one["datasets"]["rows"]] == [0]
    assert two["datasets"]["rows"] == server.client.rows("bowl").rows
    assert [row["number"] for row in two["datasets"]["rows"]] == [0, lease.number]
    empty = http.get("/v1/studies/bowl/plots/history?data=false").json()["datasets"]
    assert empty == {"rows": [], "steps": []}


def test_an_edit_of_the_space_gives_rows_that_were_drawn_before_their_new_labels(
    server: RunningServer, http: httpx.Client
) -> None:
    """The list [1, 2] is drawn as that text, until the text is a value as well."""
    server.client.create_study(
        {"name": "texts", "metric": "loss", "space": choice([[1, 2], "z"]), "budget": {"max_trials": 9}}
    )
    server.client.enqueue("texts", {"c": [1, 2]})
    before = http.get("/v1/studies/texts/plots/history").json()["datasets"]["rows"]
    server.client.patch_study("texts", {"space": choice([[1, 2], "z", "[1, 2]"])})
    server.client.enqueue("texts", {"c": "[1, 2]"})

    rows = http.get("/v1/studies/texts/plots/history").json()["datasets"]["rows"]

    assert [row["p0"] for row in before] == ["[1, 2]"]
    assert rows == server.client.rows("texts").rows
    assert len({row["p0"] for row in rows}) == 2


def choice(values: list[object]) -> dict[str, object]:
    return {"c": {"type": "choice", "values": values}}


@pytest.mark.usefixtures("bowl")
def test_a_picture_of_a_study_that_grows_has_no_more_rows_than_an_answer(
    server: RunningServer, http: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, most in (("MOST", 2), ("BEST", 1)):
        monkeypatch.setattr(shown_rows, name, most)
    monkeypatch.setattr(recent, "GROWN", 1)

    numbers = []
    for _ in range(4):
        server.client.ask("bowl")
        rows = http.get("/v1/studies/bowl/plots/history").json()["datasets"]["rows"]
        numbers.append([row["number"] for row in rows])

    assert max(map(len, numbers)) == 3
    assert numbers[-1][-1] == 3


@pytest.mark.usefixtures("finished_trial")
@pytest.mark.parametrize("kind", [kind for kind, plot in PLOTS.items() if plot.of == "study" and kind != "two_stage"])
def test_each_kind_of_picture_of_a_study_is_there(http: httpx.Client, kind: str) -> None:
    answer = http.get(f"/v1/studies/bowl/plots/{kind}?field=p0&x=p0&y=p1&scale=log&top=50&data=false")

    assert answer.status_code == 200, answer.text
    assert answer.json()["$schema"].startswith("https://vega.github.io/schema/vega")


def test_a_trial_has_pictures_of_its_own(server: RunningServer, http: httpx.Client, leased_trial: Lease) -> None:
    server.client.report("bowl", 0, leased_trial.fence, [{"step": 1, "epoch": 1, "metrics": {"loss": 0.5}}])

    spec = http.get("/v1/studies/bowl/trials/0/plots/trial_curves").json()

    assert "0.5" in json.dumps(spec["datasets"]["curves"])
    assert http.get("/v1/studies/bowl/plots/trial_curves?number=0").json() == spec


@pytest.mark.usefixtures("leased_trial")
@pytest.mark.parametrize(
    "path",
    ["plots/pie", "plots/trial_curves", "trials/0/plots/history", "trials/7/plots/knobs", "trials/0/plots/errors"],
)
def test_a_picture_that_is_not_there_is_not_found(http: httpx.Client, path: str) -> None:
    assert refusal(http.get(f"/v1/studies/bowl/{path}")) == (404, "not_found")


@pytest.mark.usefixtures("finished_trial")
@pytest.mark.parametrize("kind", ["slice", "map", "importance"])
def test_a_picture_for_a_page_reads_nothing_of_the_history(
    http: httpx.Client, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = http.get(f"/v1/studies/bowl/plots/{kind}").json()
    for name in ("list_rounds", "importance"):
        monkeypatch.delattr(rounds, name)

    bare = http.get(f"/v1/studies/bowl/plots/{kind}?data=false").json()

    assert set(bare["datasets"]) == set(whole["datasets"])
    assert not any(bare["datasets"].values())


def report(server: RunningServer, lease: Lease, epoch: int, **more: float) -> None:
    metrics = {"loss": 1 / epoch} | more
    server.client.report("bowl", lease.number, lease.fence, [{"step": epoch, "epoch": epoch, "metrics": metrics}])


def test_a_picture_of_a_trial_is_sent_in_increments(
    server: RunningServer, http: httpx.Client, leased_trial: Lease
) -> None:
    """Applied to what a page has, they come to the whole picture."""
    had: dict[str, list[Json]] = {}
    sent, cursor, shape = [], "", {}
    for epoch, more in enumerate(({}, {}, {}, {"other": 0.5}, None), start=1):
        if more is not None:
            report(server, leased_trial, epoch, **more)
        told = http.get(f"/v1/studies/bowl/trials/0/plots/trial_curves?metric=loss&since={cursor}").json()
        cursor, shape = told["cursor"], told["spec"] or shape
        for name, part in told["datasets"].items():
            had[name] = had.get(name, [])[: part["start"]] + part["rows"]
        curves = told["datasets"]["curves"]
        sent.append((told["spec"] is not None, curves["start"], len(curves["rows"])))

    whole = http.get("/v1/studies/bowl/trials/0/plots/trial_curves?metric=loss").json()
    assert had == whole["datasets"]
    assert shape["layer"] == whole["layer"]
    assert sent == [(True, 0, 1), (True, 0, 2), (False, 2, 1), (False, 3, 1), (False, 4, 0)]


@pytest.mark.parametrize("cursor", ["", "x", "0123456789abcdef.curves:1:0123456789abcdef", "a.b.c:d:e"])
def test_a_cursor_that_says_nothing_gets_the_whole_picture(
    server: RunningServer, http: httpx.Client, leased_trial: Lease, cursor: str
) -> None:
    report(server, leased_trial, 1)

    told = http.get(f"/v1/studies/bowl/trials/0/plots/trial_curves?since={cursor}").json()

    assert told["spec"]["$schema"].endswith(".json")
    assert (told["datasets"]["curves"]["start"], len(told["datasets"]["curves"]["rows"])) == (0, 1)
