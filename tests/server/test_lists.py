"""Every list in pages, sorted and filtered."""

from __future__ import annotations

from collections.abc import Callable
from threading import get_ident
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import sqlalchemy as sa

from server.services.studies import lifecycle
from server.store import tables
from sturgeon.errors import LeaseLost
from tests.server.studies import BOWL, DIGITS, refusal

if TYPE_CHECKING:
    from tests.running import RunningServer

MANY = BOWL | {"budget": {"max_trials": 7}}


def pages(http: httpx.Client, path: str, size: int, **query: Any) -> list[list[Any]]:
    """The items of all pages, followed by their tokens."""
    found = []
    token: str | None = None
    while True:
        after = {} if token is None else {"page_token": token}
        page = http.get(path, params={"page_size": size, **query, **after}).json()
        assert page.keys() == {"items", "next_page_token"}
        found.append(page["items"])
        token = page["next_page_token"]
        if token is None:
            return found


def seven_studies(server: RunningServer) -> str:
    for i in range(7):
        server.client.create_study(BOWL | {"name": f"study{6 - i}"})
    return "/v1/studies"


def seven_trials(server: RunningServer) -> str:
    server.client.create_study(MANY)
    server.client.ask("bowl", count=7)
    return "/v1/studies/bowl/trials"


def seven_reports(server: RunningServer) -> str:
    server.client.create_study(MANY)
    server.client.ask("bowl")
    server.client.report("bowl", 0, 1, [{"step": 10 * i, "metrics": {"loss": i}} for i in range(7)])
    return "/v1/studies/bowl/trials/0/metrics"


def seven_events(server: RunningServer) -> str:
    server.client.create_study(MANY)
    for i in range(7):
        server.client.patch_study("bowl", {"state": ["paused", "active"][i % 2]})
    return "/v1/studies/bowl/events"


def seven_late_results(server: RunningServer) -> str:
    server.client.create_study(MANY)
    server.client.ask("bowl")
    server.client.cancel("bowl", 0)
    for i in range(7):
        with pytest.raises(LeaseLost):
            server.client.tell("bowl", 0, 1, {"loss": i})
    return "/v1/studies/bowl/late-results"


def seven_workers(server: RunningServer) -> str:
    for i in range(7):
        server.client.lease(f"worker{6 - i}")
    return "/v1/workers"


Seven = Callable[["RunningServer"], str]
LISTS: dict[Seven, str] = {
    seven_studies: "name",
    seven_trials: "number",
    seven_reports: "step",
    seven_events: "id",
    seven_late_results: "id",
    seven_workers: "name",
}


@pytest.mark.parametrize("make", LISTS, ids=lambda make: make.__name__)
def test_pages_of_any_size_hold_each_item_once_in_one_order(
    server: RunningServer, http: httpx.Client, make: Seven
) -> None:
    path = make(server)
    [whole] = pages(http, path, size=1000)

    assert len({item[LISTS[make]] for item in whole}) == 7
    for size in (1, 3, 7):
        found = pages(http, path, size=size)
        assert [len(items) for items in found] == [size] * (7 // size) + [7 % size] * bool(7 % size)
        assert [item for items in found for item in items] == whole


@pytest.mark.parametrize("make", LISTS, ids=lambda make: make.__name__)
def test_a_page_size_or_token_that_cannot_be_is_refused(server: RunningServer, http: httpx.Client, make: Seven) -> None:
    path = make(server)

    for query in ({"page_size": 0}, {"page_size": 1001}, {"page_size": "ten"}, {"page_token": "\0"}):
        assert refusal(http.get(path, params=query)) == (422, "invalid")


SORTS = ["number", "-number", "value", "-value", "finished_at", "-finished_at"]


def nine_ends(server: RunningServer) -> None:
    """Trials with values, some of them equal, and without, at different times; the last is still queued."""
    server.client.create_study(BOWL | {"budget": {"max_trials": 9}})
    for place, loss in enumerate([0.5, None, 1e-17, 0.5, -3e300, None, 0.5, 2.0]):
        [lease] = server.client.ask("bowl").leases
        ends: dict[str, Any] = {"state": "diverged"} if loss is None else {"metrics": {"loss": loss}}
        server.client.tell("bowl", lease.number, lease.fence, **ends)
        server.advance(seconds=place % 3)
    server.client.enqueue("bowl", {"x": 0.5, "n": 2})


@pytest.mark.parametrize("sort", SORTS)
def test_a_trial_that_leaves_a_list_hides_none_of_its_next_page(
    server: RunningServer, http: httpx.Client, sort: str
) -> None:
    nine_ends(server)
    query: dict[str, Any] = {"sort": sort, "invalid": False, "page_size": 2}
    whole = [
        trial["number"]
        for trial in http.get("/v1/studies/bowl/trials", params=query | {"page_size": 9}).json()["items"]
    ]

    found: list[int] = []
    while True:
        page = http.get("/v1/studies/bowl/trials", params=query).json()
        found += [trial["number"] for trial in page["items"]]
        for trial in page["items"]:
            if trial["state"] != "queued":
                server.client.invalidate("bowl", trial["number"], "seen")
        if page["next_page_token"] is None:
            break
        query["page_token"] = page["next_page_token"]

    assert found == whole


def test_a_report_that_comes_late_repeats_none_on_the_next_page(server: RunningServer, http: httpx.Client) -> None:
    server.client.create_study(MANY)
    server.client.ask("bowl")
    report = lambda step: server.client.report("bowl", 0, 1, [{"step": step, "metrics": {"loss": 1.0}}])  # noqa: E731
    for step in (10, 20, 30):
        report(step)
    query: dict[str, Any] = {"left": True, "page_size": 2}

    first = http.get("/v1/studies/bowl/trials/0/metrics", params=query).json()
    report(5)
    query["page_token"] = first["next_page_token"]
    second = http.get("/v1/studies/bowl/trials/0/metrics", params=query).json()

    assert [one["step"] for one in first["items"] + second["items"]] == [10, 20, 30]


@pytest.mark.fault("L10")
@pytest.mark.parametrize("token", ["nan:7", "inf:7", "one:7", f"{10**19}:7", "none:", "1:2:3:4", "7\n", "a", "\u0667"])
def test_a_token_that_no_list_has_given_is_refused(server: RunningServer, http: httpx.Client, token: str) -> None:
    path = seven_trials(server)
    for where in (path, f"{path}/0/metrics", "/v1/studies", "/v1/studies/bowl/events", "/v1/studies/bowl/revisions"):
        assert refusal(http.get(where, params={"page_token": token})) == (422, "invalid")


@pytest.mark.fault("L10")
@pytest.mark.parametrize(
    ("query", "token", "curve"),
    [
        ({}, "1:2", {}),
        ({"sort": "value"}, "7", {"left": True}),
        ({"sort": "-finished_at"}, "7", {"left": True}),
    ],
)
def test_a_token_of_another_list_is_refused(
    server: RunningServer, http: httpx.Client, query: dict[str, str], token: str, curve: dict[str, Any]
) -> None:
    path = seven_trials(server)
    assert refusal(http.get(path, params=query | {"page_token": token})) == (409, "wrong_state")
    token = "7" if curve else "7:8:9"
    assert refusal(http.get(f"{path}/0/metrics", params=curve | {"page_token": token})) == (409, "wrong_state")


@pytest.mark.fault("L10")
@pytest.mark.parametrize("token", ["1.5e308:7", "-9e999:7", "1e-300:7", "none:7", f"{10**17}:7", "0.1:0"])
def test_each_token_of_the_described_form_is_taken(server: RunningServer, http: httpx.Client, token: str) -> None:
    path = seven_trials(server)
    for sort in ("value", "-value", "finished_at", "-finished_at"):
        assert http.get(path, params={"sort": sort, "page_token": token}).status_code == 200
    huge = "9" * 18
    assert http.get(path, params={"page_token": huge}).json()["items"] == []
    for token in (f"{huge}:{huge}:{huge}", f"0:{huge}:{huge}"):
        assert http.get(f"{path}/0/metrics", params={"left": True, "page_token": token}).json()["items"] == []


def test_studies_are_listed_from_the_oldest_as_they_are_read(server: RunningServer, http: httpx.Client) -> None:
    path = seven_studies(server)
    server.client.ask("study3")

    listed = http.get(path).json()["items"]

    assert [study["name"] for study in listed] == [f"study{6 - i}" for i in range(7)]
    assert listed == [http.get(f"/v1/studies/{study['name']}").json() for study in listed]


def test_studies_are_listed_with_the_best_trial_of_each(server: RunningServer, http: httpx.Client) -> None:
    kinds: dict[str, dict[str, Any]] = {
        "least": {},
        "most": {"direction": "maximize"},
        "mean": {"search": {"replicates": 2}, "budget": {"max_trials": 6}},
        "none": {},
    }
    for name, changes in kinds.items():
        server.client.create_study(BOWL | {"name": name} | changes)
        for loss in (0.5, 0.25, 0.75, 0.125):
            [lease] = server.client.ask(name).leases
            ends = {"state": "failed"} if name == "none" else {"metrics": {"loss": loss}}
            server.client.tell(name, lease.number, lease.fence, **ends)
    server.client.invalidate("least", 3, "a bad disk")

    listed = http.get("/v1/studies").json()["items"]

    assert {study["name"]: study["best"] and study["best"]["number"] for study in listed} == {
        "least": 1,
        "most": 2,
        "mean": 0,
        "none": None,
    }
    assert listed == [http.get(f"/v1/studies/{name}").json() for name in kinds]


def test_as_many_statements_list_a_thousand_studies_as_ten(server: RunningServer) -> None:
    server.client.create_study(BOWL)
    server.client.ask("bowl")
    server.client.tell("bowl", 0, 1, {"loss": 0.5})
    database, mine = server.app.state.database, get_ident()

    def statements(count: int) -> int:
        with database.writing() as tx:
            row = dict(tx.execute(sa.select(tables.studies)).first()._mapping)
            known = tx.execute(sa.select(sa.func.count()).select_from(tables.studies)).scalar_one()
            del row["id"]
            tx.execute(tables.studies.insert(), [row | {"name": f"study{i}"} for i in range(known, count)])
        executed: list[str] = []

        def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
            # Not what opens or checks a connection, nor what a thread of the server does meanwhile.
            if get_ident() == mine and ("studies" in statement or "trials" in statement):
                executed.append(statement)

        sa.event.listen(database.reader, "before_cursor_execute", note)
        try:
            page = lifecycle.listing(database, 1000, None)
        finally:
            sa.event.remove(database.reader, "before_cursor_execute", note)
        assert len(page.items) == count
        assert page.items[0].best is not None
        return len(executed)

    of_ten = statements(10)

    assert of_ten < 10
    assert statements(1000) == of_ten


def test_workers_are_listed_with_what_they_run(server: RunningServer, http: httpx.Client) -> None:
    server.client.create_study(DIGITS)
    server.client.lease("bob", slots=2)
    server.advance(seconds=5)
    server.client.lease("ada", slots=4)
    server.client.renew("bob", [])

    assert http.get("/v1/workers").json()["items"] == [
        {
            "name": "ada",
            "first_seen_at": "2026-01-01T12:00:05Z",
            "last_seen_at": "2026-01-01T12:00:05Z",
            "slots": 4,
            "running": 2,
            "drain": False,
            "gone": False,
            "kinds": ["train"],
            "gpus": 0,
            "memory_gb": None,
            "labels": [],
            "unable": [],
            "holds": [{"study": "digits", "number": 2}, {"study": "digits", "number": 3}],
        },
        {
            "name": "bob",
            "first_seen_at": "2026-01-01T12:00:00Z",
            "last_seen_at": "2026-01-01T12:00:05Z",
            "slots": 2,
            "running": 2,
            "drain": False,
            "gone": False,
            "kinds": ["train"],
            "gpus": 0,
            "memory_gb": None,
            "labels": [],
            "unable": [],
            "holds": [{"study": "digits", "number": 0}, {"study": "digits", "number": 1}],
        },
    ]


# --- trials ---


@pytest.fixture
def mixed_trials(server: RunningServer) -> None:
    """Values 0: 0.5, 1: none (diverged), 2: 0.25, 3: 0.5, 4: running, 5: queued; told in the order 3, 2, 1, 0."""
    server.client.create_study(MANY)
    server.client.ask("bowl", count=5)
    server.client.enqueue("bowl", {"x": 0, "n": 1})
    for number, loss in {3: 0.5, 2: 0.25, 1: None, 0: 0.5}.items():
        server.advance(seconds=1)
        state: Any = "complete" if loss is not None else "diverged"
        server.client.tell("bowl", number, 1, {"loss": loss}, state=state)


@pytest.mark.usefixtures("mixed_trials")
@pytest.mark.parametrize(
    ("query", "numbers"),
    [
        ({}, [0, 1, 2, 3, 4, 5]),
        ({"sort": "-number"}, [5, 4, 3, 2, 1, 0]),
        ({"sort": "value"}, [2, 0, 3, 1, 4, 5]),
        ({"sort": "-value"}, [0, 3, 2, 1, 4, 5]),
        ({"sort": "finished_at"}, [3, 2, 1, 0, 4, 5]),
        ({"sort": "-finished_at"}, [0, 1, 2, 3, 4, 5]),
        ({"state": "complete"}, [0, 2, 3]),
        ({"state": "diverged"}, [1]),
        ({"state": "queued"}, [5]),
        ({"state": "failed"}, []),
        ({"state": "complete", "sort": "value"}, [2, 0, 3]),
        ({"invalid": "false", "state": "running"}, [4]),
        ({"invalid": "true"}, []),
    ],
    ids=str,
)
def test_trials_are_sorted_and_filtered_the_same_in_whole_and_in_pages(
    http: httpx.Client, query: dict[str, str], numbers: list[int]
) -> None:
    path = "/v1/studies/bowl/trials"

    assert [trial["number"] for trial in http.get(path, params=query).json()["items"]] == numbers
    assert [trial["number"] for page in pages(http, path, size=2, **query) for trial in page] == numbers


@pytest.mark.usefixtures("mixed_trials")
def test_a_listed_trial_is_the_one_that_is_read(http: httpx.Client) -> None:
    listed = http.get("/v1/studies/bowl/trials").json()["items"]
    assert len(listed) == 6
    for trial in listed:
        assert http.get(f"/v1/studies/bowl/trials/{trial['number']}").json() == trial


@pytest.mark.usefixtures("mixed_trials")
@pytest.mark.parametrize("query", [{"sort": "loss"}, {"state": "done"}, {"invalid": "perhaps"}, {"format": "xml"}])
def test_an_unknown_sort_or_filter_is_refused(http: httpx.Client, query: dict[str, str]) -> None:
    assert refusal(http.get("/v1/studies/bowl/trials", params=query)) == (422, "invalid")


def test_events_are_also_listed_from_the_newest_on(server: RunningServer, http: httpx.Client) -> None:
    path = seven_events(server)
    oldest_first = [event["id"] for event in http.get(path).json()["items"]]

    page = http.get(path, params={"newest_first": True, "page_size": 4}).json()
    rest = {"newest_first": True, "page_token": page["next_page_token"]}
    listed = [event["id"] for event in page["items"] + http.get(path, params=rest).json()["items"]]

    assert len(oldest_first) == 7
    assert listed == oldest_first[::-1]
