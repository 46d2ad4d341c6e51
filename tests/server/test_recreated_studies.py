"""A study that is deleted leaves nothing to the next one of its name: no lease, no version, no answer to a key."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import sqlalchemy as sa

from server.settings import Settings
from sturgeon.errors import LeaseLost
from sturgeon.messages import Lease
from tests.running import RunningServer
from tests.server.panda.manual_worker import PANDA, ManualWorker
from tests.server.studies import BOWL, DIGITS, refusal

if TYPE_CHECKING:
    from sturgeon.client import Client
    from tests.postgres import Postgres

OTHER_SPACE = BOWL | {"space": {"y": {"type": "float", "low": 100, "high": 200}}}
KEY = {"Idempotency-Key": "a-key"}


def lease_of(client: Client, study: dict[str, Any] = DIGITS, worker: str = "ada") -> Lease:
    """A trial of a new study."""
    client.create_study(study)
    [lease] = client.ask(study["name"], worker=worker).leases
    return lease


def held(lease: Lease) -> list[dict[str, Any]]:
    return [{"study": lease.study, "number": lease.number, "fence": lease.fence}]


def told_to(client: Client, lease: Lease) -> str | None:
    [one] = client.tell_many("digits", [{"number": 0, "fence": lease.fence, "metrics": {"dev_error": 0.0}}]).items
    return one.code


def lost_by(client: Client, lease: Lease) -> str | None:
    answer = client.renew("ada", held(lease))
    return "lease_lost" if (answer.held, len(answer.lost)) == ([], 1) else None


def refused(call: Callable[[], object]) -> str | None:
    with suppress(LeaseLost):
        call()
        return None
    return "lease_lost"


WRITES: dict[str, Callable[[Client, Lease], str | None]] = {
    "report": lambda c, old: refused(lambda: c.report("digits", 0, old.fence, [{"step": 1, "metrics": {"a": 1.0}}])),
    "alarm": lambda c, old: refused(
        lambda: c.report("digits", 0, old.fence, [], events=[{"kind": "drift", "key": "1", "reason": "Labels."}])
    ),
    "tell": lambda c, old: refused(lambda: c.tell("digits", 0, old.fence, {"dev_error": 0.0})),
    "failed tell": lambda c, old: refused(lambda: c.tell("digits", 0, old.fence, state="failed", error="E")),
    "tell many": told_to,
    "renew": lost_by,
    "release": lambda c, old: refused(lambda: c.release("digits", 0, old.fence)),
    "checkpoint": lambda c, old: refused(lambda: c.put_checkpoint("digits", 0, 1, b"old", old.fence, 1.0, 0.0)),
    "diagnosis": lambda c, old: refused(lambda: c.put_finding("digits", 0, "diagnosis", old.fence, {"bias": 1})),
    "errors": lambda c, old: refused(lambda: c.put_finding("digits", 0, "errors", old.fence, {"wrong": 1})),
}


@pytest.mark.fault("W2")
@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
@pytest.mark.parametrize("state", ["leased", "queued", "told"])
def test_no_lease_of_a_deleted_study_writes_into_the_next(
    server: RunningServer, write: Callable[[Client, Lease], str | None], state: str
) -> None:
    client = server.client
    old = lease_of(client)
    client.delete_study("digits", force=True)
    new = lease_of(client, worker="bob")
    if state == "queued":
        client.release("digits", 0, new.fence)
    if state == "told":
        client.tell("digits", 0, new.fence, {"dev_error": 0.5})
    before = client.trial("digits", 0), client.checkpoints("digits", 0), client.events("digits").items

    assert write(client, old) == "lease_lost"

    assert (client.trial("digits", 0), client.checkpoints("digits", 0), client.events("digits").items) == before
    assert client.late_results("digits").items == []
    assert old.fence < new.fence


@pytest.mark.fault("W2")
def test_no_fence_is_given_again_however_often_a_study_is_made_anew(server: RunningServer) -> None:
    client, given = server.client, list[int]()
    for force in (False, True, False):
        lease = lease_of(client, BOWL)
        given.append(lease.fence)
        for _ in range(2):  # without --force, too: the holder was released, and may still write
            client.release("bowl", 0, lease.fence)
            [lease] = client.ask("bowl").leases
            given.append(lease.fence)
        if not force:
            client.release("bowl", 0, lease.fence)
        client.delete_study("bowl", force=force)

    assert given == sorted(set(given))


@pytest.mark.fault("W2")
def test_an_enqueued_trial_gets_no_fence_of_a_deleted_study(server: RunningServer) -> None:
    client = server.client
    old = lease_of(client, BOWL)
    client.delete_study("bowl", force=True)
    client.create_study(BOWL)
    client.enqueue("bowl", {"x": 0.5, "n": 2})

    [new] = client.ask("bowl").leases

    assert refused(lambda: client.tell("bowl", 0, old.fence, {"loss": -999.0})) == "lease_lost"
    assert client.tell("bowl", 0, new.fence, {"loss": 7.0}).value == 7.0


@pytest.mark.fault("W2")
def test_a_version_that_was_seen_of_a_deleted_trial_steers_no_other(server: RunningServer, http: httpx.Client) -> None:
    worker, path = ManualWorker(server), "/v1/studies/bear/trials/0"
    unsteered = http.get(path).headers["ETag"]
    steered = http.patch(f"{path}/params", json={"params": {"l2": 0.1}}, headers={"If-Match": unsteered})
    worker.client.delete_study("bear", force=True)
    worker.client.create_study(PANDA)

    for seen in (unsteered, steered.headers["ETag"]):
        answer = http.post(f"{path}:stop", headers={"If-Match": seen})
        assert refusal(answer) == (412, "precondition_failed")

    present = http.get(path).headers["ETag"]
    again = http.patch(f"{path}/params", json={"params": {"l2": 0.2}}, headers={"If-Match": present})
    assert again.status_code == 202
    assert again.headers["ETag"] == http.get(path).headers["ETag"] not in (unsteered, steered.headers["ETag"])


@pytest.mark.fault("W2")
def test_a_worker_obeys_the_versions_of_a_study_that_was_made_anew(server: RunningServer) -> None:
    ManualWorker(server).client.set_params("bear", 0, {"l2": 0.1})
    server.client.delete_study("bear", force=True)
    worker = ManualWorker(server)
    version = worker.client.set_params("bear", 0, {"l2": 0.2}).desired.version
    assert worker.report(1, 0.5).params == {"l2": 0.2}
    worker.apply(version, 15)
    worker.upload(20, 0.4)

    [(applied, verb, params, step, state)] = worker.entries()

    assert (applied, verb, params, step, state) == (version, "params", {"l2": 0.2}, 15, "applied")
    assert worker.client.trial("bear", 0).params["l2"] == 0.2
    assert worker.client.rollback("bear", 0, 20).desired.version == version + 1


@pytest.mark.fault("W2")
def test_a_restored_backup_gives_no_fence_that_was_given_since(
    settings: Settings, serve: Callable[[Settings], RunningServer], request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    server = serve(settings)
    server.client.create_study(BOWL)
    server.client.enqueue("bowl", {"x": 0.5, "n": 2})
    server.stop()
    backup = copy_of(settings.database_url, tmp_path, request)
    server = serve(settings)
    [forgotten] = server.client.ask("bowl").leases
    server.client.report("bowl", 0, forgotten.fence, [{"step": 1, "metrics": {"loss": 0.5}}])
    server.stop()

    restored = RunningServer(settings.model_copy(update={"database_url": backup}))
    restored.advance(seconds=60)
    restored.start()
    try:
        [new] = restored.client.ask("bowl", worker="bob").leases

        assert refused(lambda: restored.client.tell("bowl", 0, forgotten.fence, {"loss": -999.0})) == "lease_lost"
        assert restored.client.tell("bowl", 0, new.fence, {"loss": 7.0}).value == 7.0
    finally:
        restored.stop()


def copy_of(url: str, tmp_path: Path, request: pytest.FixtureRequest) -> str:
    """A copy of a database that nobody uses."""
    if url.startswith("sqlite"):
        return f"sqlite:///{shutil.copy(url.removeprefix('sqlite:///'), tmp_path / 'backup.db')}"
    postgres: Postgres = request.getfixturevalue("postgres")
    name = str(sa.make_url(url).database)
    return postgres.create_database(f"{name}_backup", template=name)


# --- idempotency keys


REQUESTS: dict[str, tuple[str, dict[str, Any]]] = {
    "enqueue": ("/v1/studies/bear/trials", {"params": {"learning_rate": 0.1, "keep_prob": 0.9}}),
    "ask": ("/v1/studies/bear/trials:ask", {"count": 1}),
    "lease": ("/v1/leases", {"worker": "ada", "slots": 1}),
    "change": ("/v1/studies/bear/trials/0/params", {"params": {"l2": 0.1}}),
    "pause": ("/v1/studies/bear/trials/0:pause", {}),
    "stop": ("/v1/studies/bear/trials/0:stop", {}),
    "fork": ("/v1/studies/bear/trials/0:fork", {"branches": [{"params": {"l2": 0.1}}]}),
    "promote": ("/v1/studies/bear/trials/0:promote", {}),
}


def bear(server: RunningServer, *, leased: bool) -> None:
    """A panda that has a checkpoint, and runs or waits."""
    worker = ManualWorker(server)
    worker.upload(20, 0.4)
    if not leased:
        worker.client.release("bear", 0, worker.lease.fence)


@pytest.mark.fault("W3")
@pytest.mark.parametrize(("path", "body"), REQUESTS.values(), ids=REQUESTS)
def test_a_key_is_new_to_the_next_study_of_a_name(
    server: RunningServer, http: httpx.Client, path: str, body: dict[str, Any]
) -> None:
    def send() -> tuple[httpx.Response, object]:
        bear(server, leased=path.endswith(("params", ":pause", ":stop")))
        answer = http.request("PATCH" if path.endswith("params") else "POST", path, json=body, headers=KEY)
        trials = [trial.model_dump(exclude={"created_at"}) for trial in server.client.trials("bear").items]
        return answer, [(trial["state"], trial["desired"] is not None) for trial in trials]

    first, effect = send()
    server.client.delete_study("bear", force=True)

    again, same_effect = send()

    assert first.is_success
    assert (again.status_code, same_effect) == (first.status_code, effect)
    if "leases" in first.json():
        [lease] = again.json()["leases"]
        server.client.report("bear", 0, lease["fence"], [{"step": 30, "metrics": {"dev_error": 0.5}}])


@pytest.mark.fault("W3")
def test_a_study_that_was_deleted_is_created_again_under_its_old_key(server: RunningServer, http: httpx.Client) -> None:
    http.post("/v1/studies", json=BOWL, headers=KEY)
    server.client.delete_study("bowl")

    again = http.post("/v1/studies", json=OTHER_SPACE, headers=KEY)

    assert again.status_code == 201
    assert server.client.study("bowl").model_dump(mode="json")["space"].keys() == {"y"}
    assert http.post("/v1/studies", json=OTHER_SPACE, headers=KEY).json() == again.json()


@pytest.mark.fault("W3")
def test_a_key_of_leases_gives_those_of_the_studies_that_are_left(server: RunningServer, http: httpx.Client) -> None:
    for name in ("deleted", "kept"):
        server.client.create_study(DIGITS | {"name": name, "budget": {"max_trials": 1}})
        server.client.enqueue(name, {"learning_rate": 0.1})
    body = {"worker": "ada", "slots": 2}
    first = http.post("/v1/leases", json=body, headers=KEY).json()["leases"]
    server.client.delete_study("deleted", force=True)
    server.client.create_study(DIGITS | {"name": "deleted"})

    again = http.post("/v1/leases", json=body, headers=KEY).json()["leases"]

    assert [lease["study"] for lease in first] == ["deleted", "kept"]
    assert again == first[1:]
