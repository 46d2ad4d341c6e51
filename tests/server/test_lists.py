"""Every list in pages, sorted and filtered."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import httpx
import pytest

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


def test_studies_are_listed_from_the_oldest_as_they_are_read(server: RunningServer, http: httpx.Client) -> None:
    path = seven_studies(server)
    server.client.ask("study3")

    listed = http.get(path).json()["items"]

    assert [study["name"] for study in listed] == [f"study{6 - i}" for i in range(7)]
    assert listed == [http.get(f"/v1/studies/{study['name']}").json() for study in listed]


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
        },
        {
            "name": "bob",
            "first_seen_at": "2026-01-01T12:00:00Z",
            "last_seen_at": "2026-01-01T12:00:05Z",
            "slots": 2,
            "running": 2,
            "drain": False,
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
