"""Streams of changes: what they send, where they go on, and how they end."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from server.services.changes import streams
from sturgeon.client import Client
from sturgeon.client.requests import lines_of
from sturgeon.client.rows import events_of
from sturgeon.errors import NotFound
from sturgeon.messages import Lease, StreamEvent, Study
from tests.processes import DEADLINE_S
from tests.server.studies import BOWL, refusal

if TYPE_CHECKING:
    from server.services.changes.feed import Feed
    from server.settings import Settings
    from tests.running import RunningServer

MANY = BOWL | {"budget": {"max_trials": 1000}}


@contextmanager
def open_stream(server: RunningServer, path: str, last: str | None = None) -> Iterator[Iterator[StreamEvent]]:
    """The events of a stream, as a browser gets them."""
    headers = {} if last is None else {"Last-Event-ID": last}
    with (
        httpx.Client(base_url=server.url, timeout=DEADLINE_S, trust_env=False, verify=False) as http,
        http.stream("GET", f"/v1{path}", headers=headers) as answer,
    ):
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        yield events_of(lines_of(answer.iter_text()))


Wanted = Callable[[Any], object]


def until(events: Iterator[StreamEvent], name: str, wanted: Wanted = lambda _data: True) -> Any:
    """The data of the first event of this name that has what is wanted."""
    return until_all(events, **{name: wanted})[name]


def until_all(events: Iterator[StreamEvent], /, **wanted: Wanted) -> dict[str, Any]:
    """Read until each of these events has come with what is wanted, in any order; by name, their data."""
    found: dict[str, Any] = {}
    for event in events:
        if event.event in wanted and event.event not in found and wanted[event.event](event.data):
            found[event.event] = event.data
        if len(found) == len(wanted):
            return found
    raise AssertionError(f"the stream ended without {wanted.keys() - found.keys()}")


def finish(server: RunningServer, loss: float, study: str = "bowl") -> int:
    [lease] = server.client.ask(study, worker="ada").leases
    server.client.tell(study, lease.number, lease.fence, {"loss": loss})
    return lease.number


def test_a_stream_tells_of_rows_events_and_the_study(server: RunningServer, bowl: Study) -> None:
    with open_stream(server, f"/studies/{bowl.name}/stream") as events:
        first = until(events, "study")  # a stream begins with the study as it is
        assert (first["name"], first["counts"]) == ("bowl", {})
        number = finish(server, 0.5)
        told = until_all(
            events,
            rows=lambda data: data["rows"][0]["state"] == "complete",
            study=lambda data: data["counts"].get("complete"),
        )
        assert ([row["number"] for row in told["rows"]["rows"]], told["rows"]["complete"]) == ([number], False)
        assert told["study"]["best"]["value"] == 0.5
        server.client.invalidate("bowl", number, "wrong")
        told = until_all(
            events,
            rows=lambda data: data["rows"][0]["invalid"],
            events=lambda data: data["items"][0]["kind"] == "invalidated",
            study=lambda data: data["best"] is None,
        )
        assert told["events"]["items"][0]["number"] == number


def test_a_stream_sends_only_what_has_changed(server: RunningServer) -> None:
    study = server.client.create_study(MANY)
    server.client.ask(study.name, count=300)
    cursor = server.client.rows(study.name).cursor
    with open_stream(server, f"/studies/{study.name}/stream?since={cursor}") as events:
        until(events, "study")
        server.client.patch_trial(study.name, 7, {"tags": ["odd"]})

        rows = until(events, "rows")

    assert [row["number"] for row in rows["rows"]] == [7]
    assert len(str(rows)) < 3_000


def test_the_stream_of_all_studies_tells_of_each_change(server: RunningServer, bowl: Study) -> None:
    cursor = server.client.overview().cursor
    with open_stream(server, f"/stream?since={cursor}") as events:
        finish(server, 0.25)
        changed = until(events, "studies", lambda data: data["studies"][0]["best"] == 0.25)
        assert ([one["name"] for one in changed["studies"]], changed["complete"]) == ([bowl.name], False)
        server.client.lease("eve", slots=1)
        until(events, "workers", lambda data: data["items"][0]["name"] == "eve")
        server.client.create_study(BOWL | {"name": "other"})
        assert until(events, "studies", lambda data: data["total"] == 2)["studies"][0]["name"] == "other"
        server.client.delete_study("other")
        until(events, "studies", lambda data: data["gone"] == ["other"])


@pytest.mark.usefixtures("finished_trial")
def test_a_stream_goes_on_behind_the_last_event(server: RunningServer) -> None:
    path = "/studies/bowl/stream"
    with open_stream(server, path) as events:
        cursor = next(one.cursor for one in events if one.cursor)
    number = finish(server, 0.5)  # while nobody listens

    with open_stream(server, path, last=cursor) as events:
        rows = until(events, "rows")["rows"]

    assert [row["number"] for row in rows] == [number]


def test_a_server_that_restarts_goes_on_with_its_streams(
    settings: Settings, serve: Callable[[Settings], RunningServer]
) -> None:
    first = serve(settings)
    first.client.create_study(BOWL)
    with open_stream(first, "/studies/bowl/stream") as events:
        cursor = next(one for one in events if one.cursor).cursor
        first.stop()  # returns, though a stream is open
        assert [one.event for one in events] == []
    second = serve(settings)
    number = finish(second, 1.0)

    with open_stream(second, "/studies/bowl/stream", last=cursor) as events:
        assert [row["number"] for row in until(events, "rows")["rows"]] == [number]


def test_what_one_server_commits_reaches_the_streams_of_another(
    settings: Settings, serve: Callable[[Settings], RunningServer]
) -> None:
    one, other = serve(settings), serve(settings)
    one.client.create_study(BOWL)
    cursor = one.client.rows("bowl").cursor
    all_studies = one.client.overview().cursor
    with (
        open_stream(other, f"/studies/bowl/stream?since={cursor}") as events,
        open_stream(other, f"/stream?since={all_studies}") as overview,
    ):
        until(events, "study")
        number = finish(one, 0.5)
        told = until(events, "rows", lambda data: data["rows"][0]["state"] == "complete")
        until(overview, "studies", lambda data: data["studies"][0]["best"] == 0.5)
    assert [row["number"] for row in told["rows"]] == [number]
    assert other.client.rows("bowl", cursor).rows == one.client.rows("bowl", cursor).rows


@pytest.mark.parametrize("seed", range(2))
def test_a_reader_that_comes_and_goes_has_all_rows_in_the_end(
    settings: Settings, serve: Callable[[Settings], RunningServer], seed: int
) -> None:
    """Changes at random, and a reader that breaks off at random, even amid what was sent at once, and goes on at either
    of two servers."""
    rnd, servers = random.Random(seed), [serve(settings), serve(settings)]
    client = servers[0].client
    client.create_study(MANY)
    answer = client.rows("bowl")
    known = {row["number"]: row for row in answer.rows}
    cursor, held = answer.cursor, list[Lease]()
    for _ in range(8):
        with open_stream(rnd.choice(servers), "/studies/bowl/stream", last=cursor) as events:
            change_at_random(client, rnd, held)
            for event in itertools.islice(events, rnd.randint(1, 2)):  # the study and its rows come, at the least
                known |= {row["number"]: row for row in event.data.get("rows", [])}
                cursor = event.cursor or cursor
        change_at_random(client, rnd, held)  # while nobody listens
    client.patch_trial("bowl", 0, {"tags": ["last"]})
    with open_stream(rnd.choice(servers), "/studies/bowl/stream", last=cursor) as events:
        for event in events:
            known |= {row["number"]: row for row in event.data.get("rows", [])}
            if known.get(0, {}).get("tags") == ["last"]:
                break

    assert known == {row["number"]: row for row in client.rows("bowl").rows}


def change_at_random(client: Client, rnd: random.Random, held: list[Lease]) -> None:
    for _ in range(rnd.randint(1, 6)):
        what = rnd.random()
        if not held or what < 0.3:
            held += client.ask("bowl", count=rnd.randint(1, 3)).leases
        elif what < 0.6:
            lease = rnd.choice(held)
            step = rnd.randint(0, 10**9)
            client.report("bowl", lease.number, lease.fence, [{"step": step, "metrics": {"loss": rnd.random()}}])
        elif what < 0.8:
            lease = held.pop(rnd.randrange(len(held)))
            client.tell("bowl", lease.number, lease.fence, {"loss": rnd.random()})
        else:
            client.patch_trial("bowl", rnd.choice(held).number, {"tags": [f"t{rnd.randint(0, 9)}"]})


def test_a_stream_ends_when_its_study_is_deleted(server: RunningServer, http: httpx.Client, bowl: Study) -> None:
    with open_stream(server, "/studies/bowl/stream") as events:
        until(events, "study")
        server.client.delete_study(bowl.name)
        assert [one.event for one in events] == []

    assert refusal(http.get("/v1/studies/bowl/stream")) == (404, "not_found")
    with pytest.raises(NotFound):
        next(server.client.stream("bowl"))


def test_readers_of_one_study_share_what_is_sent(server: RunningServer, bowl: Study) -> None:
    """20 open streams take no thread and no place: other requests are answered, and all of them hear of a change."""
    cursor = server.client.rows(bowl.name).cursor
    with ExitStack() as stack:
        opened = [stack.enter_context(open_stream(server, f"/studies/bowl/stream?since={cursor}")) for _ in range(20)]
        for events in opened:
            until(events, "study")
        number = finish(server, 1.0)
        for events in opened:
            assert until(events, "rows")["rows"][-1]["number"] == number
    feed: Feed = server.app.state.feed
    server.client.patch_trial("bowl", number, {"tags": ["after"]})
    with closing(server.client.stream("bowl", cursor)) as events:
        assert next(events).event in ("rows", "study")  # by then those that have gone are noticed
    assert len(feed.streams) <= 21


@pytest.mark.expects_errors("503 answered to GET /v1/studies/bowl/stream")
def test_one_client_does_not_hold_all_streams(
    server: RunningServer, bowl: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "MOST_OF_ONE", 2)
    feed: Feed = server.app.state.feed
    kept = feed.streams
    kept._open.update(streams.Stream(None, f"10.0.0.{at}", "") for at in range(5))  # those of others do not count
    with ExitStack() as stack:
        for _ in range(2):
            stack.enter_context(open_stream(server, "/stream"))

        answer = httpx.get(f"{server.url}/v1/studies/{bowl.name}/stream", trust_env=False, timeout=DEADLINE_S)

    assert refusal(answer) == (503, "overloaded")
    assert "Your machine has 2 open streams" in answer.json()["detail"]


def test_the_client_follows_a_study(server: RunningServer, bowl: Study) -> None:
    cursor = server.client.rows(bowl.name).cursor
    number = finish(server, 0.5)

    with closing(server.client.stream(bowl.name, cursor)) as events:
        rows = next(event for event in events if event.event == "rows").data["rows"]

    assert [row["number"] for row in rows] == [number]
