"""Tokens of some studies: no route shows or touches another study, or tells whether there is one."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

import httpx
import pytest

from server import app as composed
from server.app import create_app
from server.routes.table import ACROSS, ROUTERS, SCOPES
from server.scopes import ADMIN, OPEN
from server.services.leases.long_poll import Work
from server.services.studies.placement import Offer
from server.settings import Settings
from server.store.reach import Reach
from sturgeon.client import Client
from sturgeon.errors import SturgeonError
from sturgeon.messages import Needs
from tests.server.studies import BOWL, DIGITS, Json, refusal
from tests.server.test_scopes import NAMES, without_convertors
from tests.server.tokens import SHARED_TOKEN, with_token

if TYPE_CHECKING:
    from tests.running import RunningServer

OWN: Final = "mnist-a"
OTHER: Final = "classified"
ABSENT: Final = "nowhere"
OF_NO_STUDY: Final = {
    "POST /v1/space:preview": {"space": BOWL["space"]},
    "POST /new:read": {"name": "mnist-b"},
} | dict.fromkeys(name for name in ACROSS if name.startswith("GET /") and not name.startswith("GET /v1"))
"""Routes across studies that know of none, with what they are sent."""
ACROSS_STUDIES: Final = {
    "POST /v1/studies": BOWL | {"name": "mnist-b"},
    "POST /v1/leases": {"worker": "wilma", "slots": 9},
    "POST /v1/leases:renew": {"worker": "wilma", "held": []},
    "GET /v1/studies": None,
    "GET /v1/studies:overview": None,
    "GET /v1/stream": None,
    "GET /v1/workers": None,
}
OF_ALL_STUDIES: Final = {"GET /metrics"} | {name for name, needed in SCOPES.items() if needed == ADMIN}
"""Routes that are refused to a token of some studies."""


def tell_of(server: RunningServer, name: str, worker: str) -> Json:
    """A study of which a worker runs one trial and cannot run another, and which it takes alone; one more trial waits.
    The lease, as JSON."""
    server.client.create_study(DIGITS | {"name": name, "title": name, "tags": [name]})
    with with_token(server, SHARED_TOKEN) as http:
        asked = {"worker": worker, "slots": 2, "only": [name]}
        held, refused = http.post("/v1/leases", json=asked).json()["leases"]
        release = {"fence": refused["fence"], "unable": f"{name} is too large"}
        assert http.post(f"/v1/studies/{name}/trials/{refused['number']}:release", json=release).is_success
    lease: Json = held
    return lease


@pytest.fixture
def two_studies(guarded: RunningServer) -> Json:
    """The lease of the study that is not the token's. A study of both has a trial that runs, and one that waits; one
    worker for each, and one for both."""
    tell_of(guarded, OWN, "ann")
    other = tell_of(guarded, OTHER, "bob")
    tell_of(guarded, "mnist-c", "wilma")
    tell_of(guarded, f"{OTHER}-too", "wilma")
    return other


@pytest.fixture
def bound(guarded: RunningServer) -> Iterator[httpx.Client]:
    """Whoever has a token for all that is not admin, of the studies that begin with `mnist-`."""
    token = guarded.client.create_token("ada", ["read", "write", "work"], studies=["mnist-"])
    with with_token(guarded, token.token) as http:
        yield http


def answer_to(http: httpx.Client, name: str, study: str, body: object = None) -> httpx.Response:
    """The answer to a request for a route of SCOPES, of a stream what it says at once."""
    method, path = name.split(" ", 1)
    address = without_convertors(path).format(**NAMES | {"study": study})
    with http.stream(method, address, json=body) as answer:
        if "event-stream" not in answer.headers.get("content-type", ""):
            answer.read()
    return answer


def test_each_route_is_of_one_study_or_says_how_it_is_across_them() -> None:
    of_one = {name for name in SCOPES if "{study}" in name}
    open_to_all = {name for name, needed in SCOPES.items() if needed == OPEN}
    classes = [of_one, open_to_all, {*OF_NO_STUDY}, {*ACROSS_STUDIES}, OF_ALL_STUDIES]

    assert sum(map(len, classes)) == len(set().union(*classes)), "a route is in two classes"
    assert set().union(*classes) == {*SCOPES}, "a new route is to be classified here, and tested"
    assert {*OF_NO_STUDY, *ACROSS_STUDIES} == ACROSS
    takes_reach = {
        f"{method} {prefix}{route.path}"  # type: ignore[attr-defined]
        for router, prefix in ROUTERS
        for route in router.routes
        for method in route.methods or ()  # type: ignore[attr-defined]
        if "reach" in inspect.signature(route.endpoint).parameters  # type: ignore[attr-defined]
    }
    assert takes_reach - of_one == {*ACROSS_STUDIES}


def test_another_study_is_refused_on_every_route_as_one_that_is_not_there(guarded_sqlite: RunningServer) -> None:
    server = guarded_sqlite
    server.client.create_study(BOWL | {"name": OTHER})
    server.client.create_study(BOWL | {"name": OWN})
    scopes = ["read", "write", "work"]
    token = server.client.create_token("ada", scopes, studies=["mnist-", "digits-"])  # type: ignore[arg-type]
    of_one = [name for name in SCOPES if "{study}" in name]
    with with_token(server, token.token) as http:
        for name in of_one:
            answers = [answer_to(http, name, study) for study in (OTHER, ABSENT, OWN)]
            assert [answer.status_code == 403 for answer in answers] == [True, True, False], name
            assert answers[0].json() == answers[1].json(), name
            assert answers[0].json()["detail"] == (
                "The token ada is only for studies whose names begin with digits- or mnist-."
            )
        for name in OF_ALL_STUDIES - {name for name, needed in SCOPES.items() if needed == ADMIN}:
            answer = answer_to(http, name, OWN)
            assert refusal(answer) == (403, "forbidden"), name
            assert answer.json()["detail"].startswith("This concerns all studies. The token ada is only for"), name
    assert len(of_one) > 45
    assert [one.name for one in server.client.studies().items] == [OTHER]  # its own it may delete


@pytest.mark.usefixtures("two_studies")
def test_no_answer_across_studies_names_another_one(guarded: RunningServer, bound: httpx.Client) -> None:
    for name, body in (OF_NO_STUDY | ACROSS_STUDIES).items():
        if name == "GET /v1/stream":
            continue
        answer = answer_to(bound, name, OWN, body)
        assert answer.status_code < 300 or name == "POST /new:read", (name, answer.text)
        assert OTHER not in answer.text, name

    listed = bound.get("/v1/studies").json()["items"]
    assert [one["name"] for one in listed] == [OWN, "mnist-c", "mnist-b"]
    workers = {one["name"]: one for one in bound.get("/v1/workers").json()["items"]}
    held = {name: [trial["study"] for trial in one["holds"]] for name, one in workers.items()}
    assert held == {"ann": [OWN], "bob": [], "wilma": [OWN, "mnist-c", "mnist-c"]}  # the waiting ones it was given
    assert [workers[name]["running"] for name in ("ann", "bob", "wilma")] == [1, 0, 3]
    unable = {name: [no["study"] for no in one["unable"]] for name, one in workers.items()}
    assert unable == {"ann": [OWN], "bob": [], "wilma": ["mnist-c"]}
    assert [one.running for one in guarded.client.workers().items] == [1, 1, 4]


@pytest.mark.usefixtures("two_studies")
def test_a_stream_across_studies_tells_of_no_other_one(guarded: RunningServer, bound: httpx.Client) -> None:
    beginning = bound.get("/v1/studies:overview").json()
    assert (beginning["total"], [one["name"] for one in beginning["studies"]]) == (2, ["mnist-c", OWN])
    with bound.stream("GET", "/v1/stream", params={"since": beginning["cursor"]}) as stream:
        parts = stream.iter_text()
        told = next(parts)  # the workers
        guarded.client.delete_study(OTHER, force=True)
        guarded.client.create_study(DIGITS | {"name": f"{OTHER}-new"})
        guarded.client.delete_study("mnist-c", force=True)
        while not re.search(r'"gone":\[[^]]*"mnist-c"', told):
            told += next(parts)

    assert "event: workers" in told
    assert OTHER not in told


def test_a_worker_gets_trials_of_its_own_studies_alone(
    guarded: RunningServer, two_studies: Json, bound: httpx.Client
) -> None:
    transfer = DIGITS["task"] | {"fixed": {"hidden_units": 16, "start_from": f"{OTHER}/0"}}
    guarded.client.create_study(DIGITS | {"name": "mnist-transfer", "task": transfer})  # it reads the other one
    key = {"Idempotency-Key": "one"}
    asked = {"worker": "eve", "slots": 100}
    with with_token(guarded, SHARED_TOKEN) as http:
        first = http.post("/v1/leases", json=asked, headers=key).json()
    assert {one["study"] for one in first["leases"]} == {OWN, OTHER, "mnist-c", f"{OTHER}-too"}
    assert refusal(bound.post("/v1/leases", json=asked, headers=key)) == (409, "idempotency_mismatch")

    given, stacked = [], 1
    while leases := bound.post("/v1/leases", json=asked | {"stack": stacked}).json()["leases"]:
        given += [one["study"] for one in leases]
        stacked = 2
    assert sorted(given) == [OWN, OWN, "mnist-c", "mnist-c"]
    assert bound.post("/v1/leases", json=asked | {"only": [OTHER]}).json()["leases"] == []

    held = [
        {"study": study, "number": two_studies["number"], "fence": two_studies["fence"]} for study in (OTHER, ABSENT)
    ]
    guarded.advance(seconds=20)
    answer = bound.post("/v1/leases:renew", json={"worker": "bob", "held": held}).json()
    assert answer["held"] == []
    assert answer["lost"] == [{"study": study, "number": 0, "reason": "cancelled"} for study in (OTHER, ABSENT)]


def test_a_token_gets_no_answer_that_one_of_its_name_got_before(guarded_sqlite: RunningServer) -> None:
    server, asked = guarded_sqlite, {"worker": "eve"}
    server.client.create_study(DIGITS | {"name": OTHER})
    for prefix, status in ((OTHER, 200), (OTHER, 200), ("mnist-", 409)):
        token = server.client.create_token("eve", ["work"], studies=[prefix])
        with with_token(server, token.token) as http:
            answer = http.post("/v1/leases", json=asked, headers={"Idempotency-Key": "one"})
        server.client.revoke_token("eve")

        assert answer.status_code == status, answer.text


def test_a_waiting_worker_is_not_woken_for_other_studies() -> None:
    offer = Offer(reach=Reach.of(["mnist-"], "ada"))

    def is_for(study: str, source: str | None = None) -> bool:
        return Work(study, "train", Needs(), 1, source).is_for(offer)

    assert is_for(OWN)
    assert is_for(OWN, source="mnist-c")
    assert not is_for(OTHER)
    assert not is_for(OWN, source=OTHER)


def test_a_page_that_is_opened_with_such_a_token_shows_no_other_study(guarded_sqlite: RunningServer) -> None:
    server = guarded_sqlite
    for name in (OTHER, OWN):
        server.client.create_study(BOWL | {"name": name})
    token = server.client.create_token("ada", ["read"], studies=["mnist-"])
    with with_token(server, "") as browser:
        del browser.headers["Authorization"]
        browser.post("/login", data={"token": token.token, "next": "/"})

        assert [one["name"] for one in browser.get("/v1/studies").json()["items"]] == [OWN]
        assert browser.get(f"/studies/{OWN}").is_success
        for study in (OTHER, ABSENT):
            for path in ("/studies/{}", "/studies/{}/compare", "/v1/studies/{}/stream"):
                refused = browser.get(path.format(study), headers={"Accept": "text/html"})
                assert refusal(refused) == (403, "forbidden"), path


def test_a_route_across_studies_is_named_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings(database_url="sqlite:///unused.db")
    monkeypatch.setattr(composed, "ACROSS", {*ACROSS, "GET /v1/gone"})
    with pytest.raises(SturgeonError, match="routes that do not exist: GET /v1/gone"):
        create_app(settings)

    monkeypatch.setattr(composed, "ACROSS", {*ACROSS, "GET /v1/studies/{study}"})
    with pytest.raises(SturgeonError, match=r"routes across studies that name one: GET /v1/studies/\{study\}"):
        create_app(settings)


def test_a_study_says_that_the_workers_that_are_there_may_not_run_it(guarded_sqlite: RunningServer) -> None:
    server = guarded_sqlite
    for name in (OTHER, OWN):
        server.client.create_study(DIGITS | {"name": name})
    token = server.client.create_token("eve", ["work"], studies=["mnist-"])
    with Client(server.url, token=token.token) as worker:
        worker.lease("eve")

    assert server.client.study(OWN).waits_for is None
    assert server.client.study(OTHER).waits_for == "No worker is there; start one with `sturgeon worker`."
