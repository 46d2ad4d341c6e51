"""A request that is sent again has one effect and one answer, whatever has become of its trial in between."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from sturgeon.messages import Lease
from tests.server.panda.manual_worker import ManualWorker
from tests.server.studies import BOWL, DIGITS, Json, refusal
from tests.server.test_findings import ERRORS

if TYPE_CHECKING:
    from tests.running import RunningServer

STUDY: Json = DIGITS | {"budget": {"max_trials": 1}}
TRIAL = "/v1/studies/digits/trials/0"
KEY = {"Idempotency-Key": "k"}
FAILED: Json = {"state": "failed", "error": "MemoryError"}


def tell(http: httpx.Client, lease: Lease) -> httpx.Response:
    return http.post(f"{TRIAL}:tell", json=FAILED | {"fence": lease.fence})


def tell_many(http: httpx.Client, lease: Lease) -> httpx.Response:
    tells = [FAILED | {"number": 0, "fence": lease.fence}]
    return http.post("/v1/studies/digits/trials:tell", json={"tells": tells})


def release(http: httpx.Client, lease: Lease) -> httpx.Response:
    return http.post(f"{TRIAL}:release", json={"fence": lease.fence})


def release_alone(http: httpx.Client, lease: Lease) -> httpx.Response:
    return http.post(f"{TRIAL}:release", json={"fence": lease.fence, "alone": True})


def report(http: httpx.Client, lease: Lease) -> httpx.Response:
    events = [{"kind": "drift", "key": "1", "reason": "Labels."}]
    rows = [{"step": 1, "epoch": 0.5, "metrics": {"dev_error": 0.5}}]
    answer = http.post(f"{TRIAL}:report", json={"fence": lease.fence, "reports": rows, "events": events})
    http.post(f"{TRIAL}:release", json={"fence": lease.fence})
    return answer


def diagnose(http: httpx.Client, lease: Lease) -> httpx.Response:
    answer = http.put(f"{TRIAL}/diagnosis", params={"fence": lease.fence}, json={"note": "none"})
    http.post(f"{TRIAL}:release", json={"fence": lease.fence})
    return answer


ENDS = [tell, tell_many, release, release_alone, report, diagnose]


@pytest.fixture
def lease(server: RunningServer) -> Lease:
    server.client.create_study(STUDY)
    [lease] = server.client.ask("digits", worker="ada").leases
    return lease


def gone_on(server: RunningServer, become: str) -> None:
    """What becomes of the trial after its first run."""
    if become == "waits":
        return
    [new] = server.client.ask("digits", worker="bob").leases
    if become == "ended":
        server.client.tell("digits", 0, new.fence, {"dev_error": 0.5}, step=7)
    if become == "cancelled and requeued":
        server.client.cancel("digits", 0)
        server.client.requeue("digits", 0)


@pytest.mark.fault("L9")
@pytest.mark.parametrize("become", ["waits", "taken", "ended", "cancelled and requeued"])
@pytest.mark.parametrize("send", ENDS)
def test_what_ends_a_run_is_answered_again_as_at_first(
    server: RunningServer,
    http: httpx.Client,
    lease: Lease,
    send: Callable[[httpx.Client, Lease], httpx.Response],
    become: str,
) -> None:
    first = send(http, lease)
    gone_on(server, become)
    before = server.client.trial("digits", 0), server.client.events("digits").items

    for _ in range(2):
        again = send(http, lease)
        assert (again.status_code, again.content) == (first.status_code, first.content)

    assert first.is_success
    assert (server.client.trial("digits", 0), server.client.events("digits").items) == before
    assert server.client.late_results("digits").items == []


@pytest.mark.fault("L9")
def test_another_request_under_a_run_that_ended_is_still_refused(
    server: RunningServer, http: httpx.Client, lease: Lease
) -> None:
    tell(http, lease)
    gone_on(server, "taken")
    other: list[tuple[str, Json]] = [
        ("tell", FAILED | {"error": "KeyError"}),
        ("tell", {"metrics": {"dev_error": 0.0}}),
        ("release", {}),
        ("report", {"reports": [{"step": 1, "metrics": {"dev_error": 0.5}}]}),
        ("report", {"reports": []}),
    ]

    for verb, body in other:
        answer = http.post(f"{TRIAL}:{verb}", json=body | {"fence": lease.fence})
        assert refusal(answer) == (409, "lease_lost")


@pytest.mark.fault("L9")
def test_a_last_failure_is_answered_again_after_a_requeue(
    server: RunningServer, http: httpx.Client, lease: Lease
) -> None:
    for _ in range(2):
        tell(http, lease)
        [lease] = server.client.ask("digits").leases
    last = tell(http, lease)
    server.client.requeue("digits", 0)
    server.client.ask("digits", worker="bob")

    again = tell(http, lease)

    assert last.json()["state"] == "failed"
    assert (again.status_code, again.content) == (200, last.content)


@pytest.mark.fault("L9")
def test_the_end_of_a_run_whose_trial_goes_on_is_answered_again(server: RunningServer, http: httpx.Client) -> None:
    worker = ManualWorker(server)
    worker.report(1, 0.5)
    worker.upload(10, 0.5)
    worker.client.rollback("bear", 0, 10)
    told = {"fence": worker.lease.fence, "metrics": {"dev_error": 0.4}, "step": 200}
    first = http.post("/v1/studies/bear/trials/0:tell", json=told)
    worker.take()

    again = http.post("/v1/studies/bear/trials/0:tell", json=told)

    assert first.json()["state"] == "queued"
    assert (again.status_code, again.content) == (200, first.content)


@pytest.mark.fault("L9")
def test_an_upload_is_answered_again_after_its_lease(server: RunningServer, lease: Lease) -> None:
    def upload(content: bytes = b"weights") -> Any:
        return server.client.put_checkpoint("digits", 0, 10, content, lease.fence, 1.0, 0.5)

    first = upload()
    server.client.release("digits", 0, lease.fence)
    gone_on(server, "taken")

    assert upload() == first
    assert server.client.checkpoints("digits", 0).items == [first]


VERBS: dict[str, tuple[str, Json | None]] = {
    "requeue": ("requeue", None),
    "cancel": ("cancel", None),
    "invalidate": ("invalidate", {"reason": "the labels were shifted"}),
}


@pytest.mark.fault("L9")
@pytest.mark.parametrize(("verb", "body"), VERBS.values(), ids=VERBS)
def test_what_a_person_does_to_a_trial_is_done_once_under_one_key(
    server: RunningServer, http: httpx.Client, lease: Lease, verb: str, body: Json | None
) -> None:
    def send() -> httpx.Response:
        return http.post(f"{TRIAL}:{verb}", json=body, headers={"Idempotency-Key": "a-key"})

    if verb == "requeue":
        server.client.cancel("digits", 0)
    first = send()
    if verb == "cancel":
        server.client.requeue("digits", 0)
    if verb == "invalidate":
        server.client.tell("digits", 0, lease.fence, {"dev_error": 0.5})
    else:
        server.client.ask("digits", worker="bob")
    before = server.client.trial("digits", 0), server.client.events("digits").items

    again = send()

    assert first.is_success
    assert (again.status_code, again.content) == (first.status_code, first.content)
    assert (server.client.trial("digits", 0), server.client.events("digits").items) == before


@pytest.mark.fault("L9")
@pytest.mark.usefixtures("lease")
def test_a_trial_that_waits_for_its_second_run_is_not_requeued_twice(server: RunningServer) -> None:
    server.client.cancel("digits", 0)
    first = server.client.requeue("digits", 0)
    before = server.client.events("digits").items

    assert server.client.requeue("digits", 0) == first
    assert server.client.events("digits").items == before


@pytest.mark.fault("L9")
@pytest.mark.usefixtures("bowl")
def test_a_deletion_that_is_sent_again_deletes_no_later_study(server: RunningServer, http: httpx.Client) -> None:
    def send() -> int:
        return http.delete("/v1/studies/bowl", headers={"Idempotency-Key": "a-key"}).status_code

    assert send() == 204
    server.client.create_study(BOWL)

    assert send() == 204
    assert server.client.study("bowl").state == "active"
    assert http.delete("/v1/studies/bowl").status_code == 204
    assert http.delete("/v1/studies/bowl").status_code == 404


@pytest.mark.fault("L9")
def test_a_doubled_patch_does_not_undo_what_came_between(server: RunningServer, http: httpx.Client) -> None:
    server.client.create_study(BOWL)
    pause = {"state": "paused", "budget": {"max_epochs": 5}}
    first = http.patch("/v1/studies/bowl", json=pause, headers=KEY)
    server.client.patch_study("bowl", {"state": "active", "budget": {"max_epochs": None}})

    again = http.patch("/v1/studies/bowl", json=pause, headers=KEY)

    assert (again.status_code, again.json()) == (200, first.json())
    study = server.client.study("bowl")
    assert (study.state, study.budget.max_epochs) == ("active", None)
    for other in ({"state": "paused"}, {"state": "paused", "budget": {"max_epochs": None}}):
        assert refusal(http.patch("/v1/studies/bowl", json=other, headers=KEY)) == (409, "idempotency_mismatch")
    assert [event.kind for event in server.client.events("bowl").items].count("budget") == 2


@pytest.mark.fault("L9")
def test_doubled_tags_do_not_undo_what_came_between(
    server: RunningServer, http: httpx.Client, leased_trial: Lease
) -> None:
    server.client.put_finding("bowl", 0, "errors", leased_trial.fence, ERRORS)
    path, tags = "/v1/studies/bowl/trials/0/errors/tags", {"tags": {"7": ["smudged"]}}
    first = http.put(path, json=tags, headers=KEY)
    server.client.tag_errors("bowl", 0, {"7": []})

    again = http.put(path, json=tags, headers=KEY)

    assert (again.status_code, again.json()) == (200, first.json())
    assert "smudged" in str(first.json())
    assert "smudged" not in str(server.client.errors("bowl", 0))
    assert refusal(http.put(path, json={"tags": {"7": ["other"]}}, headers=KEY)) == (409, "idempotency_mismatch")
