"""What people write of studies and trials, and the code and data of runs: stored, listed, and told when it changes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import pytest

from sturgeon.errors import LeaseLost
from tests.server.studies import BOWL, refusal

if TYPE_CHECKING:
    from sturgeon.messages import Lease
    from tests.running import RunningServer

CODE: dict[str, Any] = {"commit": "a" * 40, "dirty": False}
DATA: dict[str, Any] = {"sha256": "1" * 64, "files": 1, "size": 1234}


def ask(server: RunningServer, **code: Any) -> Lease:
    [lease] = server.client.ask("bowl", code_version=CODE | code).leases
    return lease


def put(server: RunningServer, lease: Lease, body: dict[str, Any]) -> None:
    server.client.put_finding("bowl", lease.number, "versions", lease.fence, body)


def told(server: RunningServer) -> list[tuple[str, int]]:
    return [(change.what, change.number) for change in server.client.study("bowl").changes]


def test_tags_and_notes_are_written_and_studies_found_by_them(server: RunningServer) -> None:
    server.client.create_study(BOWL | {"tags": ["vision", "v2", "vision"], "notes": "a first try"})
    server.client.create_study(BOWL | {"name": "other", "tags": ["Vision"]})
    study = server.client.study("bowl")
    assert (study.tags, study.notes, study.code_version) == (["vision", "v2"], "a first try", None)

    assert [found.name for found in server.client.studies(tag="vision").items] == ["bowl"]
    assert [found.name for found in server.client.studies(tag="v").items] == []
    server.client.patch_study("bowl", {"tags": ["done"]})
    changed = server.client.patch_study("bowl", {"notes": ""})
    assert (changed.tags, changed.notes) == (["done"], "")
    assert [found.name for found in server.client.studies(tag="vision").items] == []


def test_tags_and_notes_of_a_trial(server: RunningServer) -> None:
    server.client.create_study(BOWL)
    server.client.ask("bowl", count=3)

    trial = server.client.patch_trial("bowl", 1, {"tags": ["odd"], "notes": "it oscillates"})
    assert (trial.tags, trial.notes) == (["odd"], "it oscillates")
    assert [found.number for found in server.client.trials("bowl", tag="odd").items] == [1]
    assert server.client.patch_trial("bowl", 1, {"notes": ""}).tags == ["odd"]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"tags": ["two words"]}, "/tags/0"),
        ({"tags": ["a", 'b"']}, "/tags/1"),
        ({"tags": [f"t{i}" for i in range(51)]}, "/tags"),
        ({"notes": "x" * 10_001}, "/notes"),
    ],
)
def test_tags_are_words(server: RunningServer, http: httpx.Client, body: dict[str, Any], pointer: str) -> None:
    server.client.create_study(BOWL)
    for answer in (
        http.post("/v1/studies", json=BOWL | {"name": "new"} | body),
        http.patch("/v1/studies/bowl", json=body),
        http.patch("/v1/studies/bowl/trials/0", json=body),
    ):
        assert refusal(answer) == (422, "invalid")
        assert answer.json()["errors"][0]["pointer"] == pointer


def test_a_change_of_the_code_amid_a_study_is_an_event(server: RunningServer) -> None:
    server.client.create_study(BOWL | {"code_version": CODE})
    ask(server)
    assert told(server) == []
    dirty = {"dirty": True, "diff": "0123456789abcdef"}
    ask(server, **dirty)
    ask(server, **dirty)
    server.client.ask("bowl")  # which says nothing of its code

    [change] = server.client.study("bowl").changes
    assert (change.what, change.number, change.was, change.now) == ("code", 1, CODE, CODE | dirty)
    versions = [server.client.trial("bowl", number).code_version for number in range(4)]
    assert [version and version.diff for version in versions] == [None, "0123456789abcdef", "0123456789abcdef", None]
    assert [event.kind for event in server.client.events("bowl").items].count("code_changed") == 1


def test_a_change_of_the_data_amid_a_study_is_an_event(server: RunningServer) -> None:
    server.client.create_study(BOWL)
    first, second, third = (ask(server) for _ in range(3))
    put(server, first, {"data": DATA})
    put(server, first, {"data": DATA})
    put(server, second, {"data": DATA})
    assert told(server) == []
    put(server, third, {"code": CODE, "data": DATA | {"sha256": "2" * 64}})

    assert told(server) == [("data", 2)]
    study, trial = server.client.study("bowl"), server.client.trial("bowl", 2)
    assert study.data_version is not None
    assert trial.data_version is not None
    assert (study.data_version.sha256[0], trial.data_version.sha256[0]) == ("1", "2")
    assert study.code_version is not None  # of the first run that told one
    put(server, first, {"data": DATA})
    assert [change.number for change in server.client.study("bowl").changes] == [0]


def test_only_the_holder_of_a_lease_tells_versions(server: RunningServer, taken_trial: Lease) -> None:
    with pytest.raises(LeaseLost):
        server.client.put_finding("bowl", taken_trial.number, "versions", 10**6, {"code": CODE})
    put(server, taken_trial, {"code": CODE | {"commit": "b" * 40}})  # its lease is lost: nobody needs it

    assert server.client.study("bowl").code_version is None
