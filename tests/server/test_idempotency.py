"""The same Idempotency-Key has one effect and one answer."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from server.services.leases import housekeeping
from tests.server.studies import BOWL, DIGITS, refusal

if TYPE_CHECKING:
    from tests.running import RunningServer

KEY = {"Idempotency-Key": "a-key"}
LEASES = {"worker": "ada", "slots": 2}

REQUESTS: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("/v1/studies", BOWL | {"name": "new"}, BOWL | {"name": "newer"}),
    ("/v1/studies/bowl/trials", {"params": {"x": 0.5, "n": 2}}, {"params": {"x": 0.25, "n": 2}}),
    ("/v1/studies/bowl/trials:ask", {"count": 2}, {"count": 1}),
    ("/v1/leases", LEASES, LEASES | {"slots": 1}),
]


@pytest.fixture
def studies(server: RunningServer) -> None:
    """One study for asks, and one for workers."""
    server.client.create_study(BOWL)
    server.client.create_study(DIGITS)


def effects(server: RunningServer) -> dict[str, int]:
    """How many trials each study has."""
    return {study.name: sum(study.counts.values()) for study in server.client.studies().items}


@pytest.mark.usefixtures("studies")
@pytest.mark.parametrize(("path", "body", "other"), REQUESTS, ids=[path for path, _, _ in REQUESTS])
def test_the_same_key_again_gets_the_first_answer_and_has_no_effect(
    server: RunningServer, http: httpx.Client, path: str, body: dict[str, Any], other: dict[str, Any]
) -> None:
    first = http.post(path, json=body, headers=KEY)
    after = effects(server)
    server.advance(seconds=3600)

    again = http.post(path, json=body, headers=KEY)

    assert first.is_success
    assert (again.status_code, again.json()) == (first.status_code, first.json())
    assert again.headers.get("location") == first.headers.get("location")
    assert effects(server) == after
    assert refusal(http.post(path, json=other, headers=KEY)) == (409, "idempotency_mismatch")
    assert effects(server) == after


@pytest.mark.usefixtures("studies")
def test_a_key_of_another_route_is_refused(http: httpx.Client) -> None:
    http.post("/v1/studies/bowl/trials:ask", json={"count": 1}, headers=KEY)

    answer = http.post("/v1/studies/digits/trials:ask", json={"count": 1}, headers=KEY)

    assert refusal(answer) == (409, "idempotency_mismatch")


@pytest.mark.usefixtures("studies")
@pytest.mark.parametrize(("path", "body", "other"), REQUESTS, ids=[path for path, _, _ in REQUESTS])
def test_the_same_key_from_many_threads_at_once_has_one_effect(
    server: RunningServer, http: httpx.Client, path: str, body: dict[str, Any], other: dict[str, Any]
) -> None:
    before = sum(effects(server).values())
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: http.post(path, json=body, headers=KEY), range(8)))

    assert [answer.status_code for answer in answers] == [answers[0].status_code] * 8
    assert all(answer.json() == answers[0].json() for answer in answers)
    given_out = len(answers[0].json().get("leases", [])) or path.endswith("/trials")
    assert sum(effects(server).values()) - before == given_out
    assert refusal(http.post(path, json=other, headers=KEY)) == (409, "idempotency_mismatch")


@pytest.mark.usefixtures("studies")
@pytest.mark.parametrize(("path", "body"), [("/v1/studies/digits/trials:ask", {"count": 2}), ("/v1/leases", LEASES)])
def test_an_empty_hand_out_is_not_stored(
    server: RunningServer, http: httpx.Client, path: str, body: dict[str, Any]
) -> None:
    server.client.patch_study("digits", {"state": "paused"})
    assert http.post(path, json=body, headers=KEY).json()["leases"] == []
    server.client.patch_study("digits", {"state": "active"})

    answer = http.post(path, json=body, headers=KEY).json()

    assert [lease["number"] for lease in answer["leases"]] == [0, 1]
    assert http.post(path, json=body, headers=KEY).json() == answer


@pytest.mark.usefixtures("bowl")
def test_a_refused_request_leaves_its_key_free(http: httpx.Client) -> None:
    http.patch("/v1/studies/bowl", json={"budget": {"max_trials": 1}})
    http.post("/v1/studies/bowl/trials:ask", json={"count": 1})
    enqueue = {"params": {"x": 0.5, "n": 2}}
    assert refusal(http.post("/v1/studies/bowl/trials", json=enqueue, headers=KEY)) == (409, "budget_spent")
    http.patch("/v1/studies/bowl", json={"budget": {"max_trials": 2}})

    assert http.post("/v1/studies/bowl/trials", json=enqueue, headers=KEY).status_code == 201


@pytest.mark.parametrize("key", ["", "a key", "k" * 201, "ключ".encode()])
@pytest.mark.usefixtures("bowl")
def test_a_key_that_is_no_word_is_refused(http: httpx.Client, key: str | bytes) -> None:
    headers: Any = [(b"Idempotency-Key", key if isinstance(key, bytes) else key.encode())]

    answer = http.post("/v1/studies/bowl/trials:ask", json={}, headers=headers)

    assert refusal(answer) == (422, "invalid")


@pytest.mark.usefixtures("bowl")
def test_keys_are_forgotten_after_a_day(server: RunningServer, http: httpx.Client) -> None:
    http.post("/v1/studies/bowl/trials:ask", json={"count": 1}, headers=KEY)
    server.advance(seconds=24 * 3600 - 1)
    forget(server)
    assert [lease["number"] for lease in ask_again(http)] == [0]

    server.advance(seconds=2)
    forget(server)

    assert [lease["number"] for lease in ask_again(http)] == [1]


def forget(server: RunningServer) -> None:
    """What a server does every hour."""
    housekeeping.clean_up(server.app.state.database, server.app.state.blobs)


def ask_again(http: httpx.Client) -> list[dict[str, Any]]:
    leases: list[dict[str, Any]] = http.post("/v1/studies/bowl/trials:ask", json={"count": 1}, headers=KEY).json()[
        "leases"
    ]
    return leases
