"""Who did what: the audit trail has what people and programs have changed, once, and with it who they were."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import sqlalchemy as sa

from server.request_context import UNRECORDED, WORK
from server.routes import table
from server.routes.table import ACTIONS, require_actions
from server.services import audit as trail
from server.services.trials import admin
from server.store import proposals
from server.store.tables import audit, studies, tokens, trials
from sturgeon.client import Client
from sturgeon.errors import Conflict, Forbidden, SturgeonError
from sturgeon.messages import ImportedTrial
from tests.server.panda.manual_worker import ManualWorker
from tests.server.studies import BOWL
from tests.server.tokens import SHARED_TOKEN, guarded_server, with_token

if TYPE_CHECKING:
    from pathlib import Path

    from server.settings import Settings
    from sturgeon.messages import AuditEntry
    from tests.running import RunningServer

IMPORTED: dict[str, Any] = {"key": "one", "state": "complete", "params": {"x": 0.5, "n": 1}, "metrics": {"loss": 0.5}}
IMPORTED |= {"started_at": "2026-01-01T00:00:00Z", "finished_at": "2026-01-01T00:00:01Z"}


@pytest.fixture
def guarded(migrated_url: str, tmp_path: Path, serve: Callable[[Settings], RunningServer]) -> RunningServer:
    """A server that wants a token and has the study bowl, once on each kind of database."""
    server = guarded_server(migrated_url, tmp_path, serve, webhook_networks="127.0.0.0/8")
    server.client.create_study(BOWL)
    return server


@pytest.fixture
def ada(guarded: RunningServer) -> Iterator[Client]:
    """A client with a token for all but administration."""
    token = guarded.client.create_token("ada", ["read", "write", "work"]).token
    with Client(guarded.url, token=token) as client:
        yield client


def told(server: RunningServer, **wanted: Any) -> list[AuditEntry]:
    """The audit trail, the oldest first."""
    return server.client.audit(1000, **wanted).items[::-1]


def actions(server: RunningServer, **wanted: Any) -> list[str]:
    return [entry.action for entry in told(server, **wanted)]


def test_an_entry_says_who_has_changed_what_and_which_fields(guarded: RunningServer, ada: Client) -> None:
    ada.patch_study("bowl", {"state": "paused"})
    number = ada.enqueue("bowl", {"x": 0.5, "n": 1}).number
    ada.patch_trial("bowl", number, {"notes": "a secret of ours"})

    created, token, paused, enqueued, described = told(guarded)
    assert (created.actor, created.actor_token, created.action, created.study) == (
        "shared",
        None,
        "study.create",
        "bowl",
    )
    assert (token.action, token.target) == ("token.create", "ada")
    assert token.detail == {"fields": ["name", "scopes"], "scopes": ["read", "write", "work"]}
    assert (paused.actor, paused.study, paused.detail) == ("ada", "bowl", {"fields": ["state"], "state": "paused"})
    assert paused.actor_token is not None
    assert (enqueued.trial, enqueued.detail) == (number, {"fields": ["params"]})
    assert (described.action, described.trial, described.detail) == ("trial.describe", number, {"fields": ["notes"]})
    assert paused.at == guarded.client.events("bowl").items[0].at


def test_what_failed_and_what_came_again_is_not_in_it(
    guarded: RunningServer, ada: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = actions(guarded)
    with with_token(guarded, SHARED_TOKEN) as http:
        again = {"json": {"params": {"x": 0.5, "n": 1}}, "headers": {"Idempotency-Key": "k"}}
        answers = [http.post("/v1/studies/bowl/trials", **again).json() for _ in range(3)]  # type: ignore[arg-type]
        assert answers[0] == answers[1] == answers[2]
        for path, body in (
            ("/v1/studies", BOWL),  # it is there
            ("/v1/studies/bowl/trials/7:cancel", None),
            ("/v1/studies/bowl/trials", {"params": {"x": 99}}),
            ("/v1/studies/bowl/trials/0:pause", {"no": 1}),
            ("/v1/tokens", {"name": "ada", "scopes": ["read"]}),
        ):
            assert http.post(path, json=body).is_client_error, path
        assert http.post("/v1/studies?dry_run=true", json=BOWL | {"name": "dry"}).is_success
    with pytest.raises(Forbidden):
        ada.create_token("eve", ["admin"])

    def late(*_: object) -> None:
        raise Conflict("it came to nothing, at the very end")

    monkeypatch.setattr(admin, "store_answer", late)
    with pytest.raises(Conflict, match="at the very end"):
        guarded.client.cancel("bowl", 0)
    monkeypatch.undo()

    assert actions(guarded) == [*before, "trial.enqueue"]
    assert guarded.client.trial("bowl", 0).state == "queued"


def test_the_work_of_workers_is_not_in_it_but_a_trial_that_a_person_takes_is(
    guarded: RunningServer, ada: Client
) -> None:
    before = actions(guarded)
    [lease] = ada.ask("bowl", worker="ada").leases
    ada.report("bowl", 0, lease.fence, [{"step": 1, "metrics": {"loss": 1.0}}])
    ada.renew("ada", [{"study": "bowl", "number": 0, "fence": lease.fence}])
    ada.release("bowl", 0, lease.fence)
    [lease] = ada.ask("bowl", worker="ada").leases
    ada.tell("bowl", 0, lease.fence, {"loss": 0.5})
    assert actions(guarded) == before

    ada.ask("bowl", worker="ada")
    guarded.client.release("bowl", 1, None)

    assert [(one.action, one.trial) for one in told(guarded)[len(before) :]] == [("trial.release", 1)]


def test_each_action_of_the_table_is_in_it(guarded: RunningServer) -> None:
    client, panda = guarded.client, ManualWorker(guarded)
    panda.report(1, 0.5)
    panda.upload(10, 0.5)
    where = ("bear", 0)
    for proposal in propose_twice(guarded):
        (client.accept if proposal % 2 else client.dismiss)(*where, proposal)
    client.set_params(*where, {"learning_rate": 0.05})
    client.keep_checkpoint(*where)
    client.rollback(*where, 10)
    client.pause(*where)
    client.resume(*where)
    client.fork(*where, [{"learning_rate": 0.2}])
    client.promote(*where)
    client.put_finding(*where, "errors", panda.lease.fence, {"own": "object"})
    client.tag_errors(*where, {"0": ["blurry"]})
    client.stop(*where)
    number = client.enqueue("bowl", {"x": 0.5, "n": 1}).number
    client.patch_trial("bowl", number, {"notes": "mine"})
    client.cancel("bowl", number)
    client.requeue("bowl", number)
    [lease] = client.ask("bowl", worker="ada").leases
    client.tell("bowl", number, lease.fence, {"loss": 0.5})
    client.invalidate("bowl", number, "a wrong file")
    client.import_trials("bowl", [ImportedTrial.model_validate_json(json.dumps(IMPORTED))])
    client.patch_study("bowl", {"state": "paused"})
    client.ask("bowl", worker="ada")
    hook = client.create_webhook("http://127.0.0.1:9/hook?key=hidden-in-an-address")
    client.test_webhook(hook.id)
    client.delete_webhook(hook.id)
    client.drain_worker("ada")
    token = client.create_token("bob", ["read"]).token
    client.revoke_token("bob")
    client.delete_study("bowl", force=True)

    entries = told(guarded)
    done = [entry.action for entry in entries]
    assert set(done) == set(ACTIONS.values()) - {WORK, UNRECORDED}
    assert len(done) == len(set(done)) + 1  # two studies were created
    for hidden in (token, hook.secret, "hidden-in-an-address", "a wrong file", "mine"):
        assert hidden not in str(rows(guarded))
    by_action = {entry.action: entry for entry in entries}
    assert by_action["trial.fork"].detail["branches"] == [1, 2]
    assert (by_action["webhook.create"].target, by_action["token.revoke"].target) == (str(hook.id), "bob")
    assert [one.action for one in told(guarded, study="bowl")][-1] == "study.delete"


def propose_twice(server: RunningServer) -> list[int]:
    """The ids of two proposals of a policy for the panda's first trial; the odd one is older or newer."""
    with server.app.state.database.writing() as tx:
        trial = tx.execute(sa.select(trials.c.id).join(studies).where(studies.c.name == "bear")).scalar_one()
        values = {"trial_id": trial, "policy": "plateau", "params": {"learning_rate": 0.01}, "reason": "flat"}
        more = {"step": 10, "restore": None, "state": "open", "version": None, "at": tx.now()}
        return [proposals.insert(tx, values | more).id for _ in range(2)][::-1]


def rows(server: RunningServer) -> list[tuple[Any, ...]]:
    with server.app.state.database.reading() as tx:
        return [tuple(row) for row in tx.execute(sa.select(audit).order_by(audit.c.id))]


def test_a_changing_route_without_an_action_keeps_the_server_from_starting() -> None:
    routes = [(name.split(" ")[0], name.split(" ")[1]) for name in ACTIONS]
    require_actions([*routes, ("GET", "/v1/other")])
    with pytest.raises(SturgeonError, match=r"names no action for these routes.*POST /v1/other"):
        require_actions([*routes, ("POST", "/v1/other")])
    with pytest.raises(SturgeonError, match="POST /v1/studies"):
        require_actions(routes[1:])
    assert all(name in table.SCOPES for name in ACTIONS)


def test_it_is_asked_for_by_page_and_filter_by_administrators_alone(guarded: RunningServer, ada: Client) -> None:
    for number in range(4):
        guarded.advance(seconds=60)
        ada.enqueue("bowl", {"x": 0.5, "n": 1})
        if number == 1:
            middle = told(guarded)[-1].at
    client = guarded.client

    first = client.audit(3, actor="ada", action="trial.enqueue")
    second = client.audit(3, first.next_page_token, actor="ada", action="trial.enqueue")
    assert [one.trial for one in (*first.items, *second.items)] == [3, 2, 1, 0]
    assert second.next_page_token is None
    assert [one.trial for one in told(guarded, since=middle)] == [1, 2, 3]
    assert [one.trial for one in told(guarded, since=middle, until=middle + timedelta(minutes=1))] == [1]
    assert actions(guarded, actor="shared") == ["study.create", "token.create"]
    assert actions(guarded, study="none") == actions(guarded, actor="nobody") == []
    with pytest.raises(Forbidden, match="needs: admin"):
        ada.audit()
    with with_token(guarded, SHARED_TOKEN) as http:
        for query in (
            "since=2026-01-01",
            "since=x",
            "until=0.5",
            "since=1700000000",
            "actor=a%20b",
            "action=%00",
            "study=..",
            "page_token=x",
        ):
            assert http.get(f"/v1/audit?{query}").status_code == 422, query


def test_it_has_who_logged_in_and_who_was_refused_but_not_what_they_sent(guarded: RunningServer) -> None:
    token = guarded.client.create_token("bob", ["read"]).token
    with httpx.Client(base_url=guarded.url, trust_env=False) as http:
        statuses = [
            http.post("/login", data={"token": sent}).status_code
            for sent in (token, SHARED_TOKEN, "wrong-7d1", token[:-1] + "x")
        ]
    assert statuses == [303, 303, 401, 401]

    logins = [entry for entry in told(guarded) if entry.action.startswith("login")]
    assert [(one.actor, one.action) for one in logins] == [
        ("bob", "login"),
        ("shared", "login"),
        ("nobody", "login.refused"),
        ("nobody", "login.refused"),
    ]
    assert {one.detail["address"] for one in logins} == {"127.0.0.1"}
    assert not any(sent in str(rows(guarded)) for sent in (token, token[:-1], SHARED_TOKEN, "wrong-7d1"))


def test_strangers_push_nothing_out_of_it(guarded: RunningServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trail, "MOST_REFUSED", 2)
    monkeypatch.setattr(trail, "REFUSED_A_MINUTE", 5)
    monkeypatch.setattr(trail, "AT_ONCE", 2)
    logins = trail.Logins(guarded.app.state.database)
    for _ in range(9):
        logins.record_refusal("10.0.0.1")
    assert actions(guarded) == ["study.create", *["login.refused"] * 5]

    trail.trim(guarded.app.state.database, "clean-up")

    assert actions(guarded) == ["study.create", *["login.refused"] * 2]


def test_it_keeps_a_year_and_no_more_rows_than_it_may(
    guarded: RunningServer, ada: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trail, "MOST", 3)
    monkeypatch.setattr(trail, "AT_ONCE", 2)
    database = guarded.app.state.database
    for _ in range(4):
        ada.enqueue("bowl", {"x": 0.5, "n": 1})
    trail.trim(database, "clean-up")
    assert [one.trial for one in told(guarded)] == [1, 2, 3]

    guarded.advance(seconds=366 * 86_400)
    guarded.client.patch_study("bowl", {"state": "paused"})
    trail.trim(database, "clean-up")

    assert actions(guarded) == ["study.change"]


def test_a_token_from_before_names_were_reserved_is_not_taken_for_somebody_else(
    guarded: RunningServer, ada: Client
) -> None:
    with guarded.app.state.database.writing() as tx:
        tx.execute(tokens.update().values(name="shared"))
    guarded.app.state.token_memo.forget()

    ada.patch_study("bowl", {"title": "mine"})
    [lease] = ada.ask("bowl").leases
    assert ada.tell("bowl", lease.number, lease.fence, {"loss": 0.5}).value == 0.5

    [entry] = told(guarded, action="study.change")
    assert (entry.actor, entry.actor_token is not None) == ("token:shared", True)


def test_events_say_who_and_what_the_server_decides_is_its_own(guarded: RunningServer, ada: Client) -> None:
    ada.enqueue("bowl", {"x": 0.5, "n": 1})
    [lease] = ada.ask("bowl", worker="w").leases
    ada.tell("bowl", 0, lease.fence, {}, "failed", error="broken", retry=False)
    guarded.client.requeue("bowl", 0)
    for _ in range(4):
        for one in ada.ask("bowl", worker="w").leases:
            ada.tell("bowl", one.number, one.fence, {"loss": 0.5})

    events = {event.kind: event for event in guarded.client.events("bowl").items}
    who = {kind: event.actor for kind, event in events.items()}
    assert who == {"enqueued": "ada", "failed": "ada", "requeued": "shared", "state": "server"}
    assert (events["enqueued"].actor_token is not None, events["state"].actor_token) == (True, None)


def test_a_timeline_has_the_names_of_that_time(guarded: RunningServer, ada: Client) -> None:
    panda = ManualWorker(guarded)
    ada.set_params("bear", 0, {"learning_rate": 0.05})
    first = guarded.client.timeline("bear", 0).items[0]
    guarded.client.revoke_token("ada")
    again = guarded.client.create_token("ada", ["write"]).token
    with Client(guarded.url, token=again) as client:
        client.set_params("bear", 0, {"learning_rate": 0.01})
    panda.client.keep_checkpoint("bear", 0)

    one, other, shared = guarded.client.timeline("bear", 0).items
    assert (one.actor, other.actor, shared.actor) == ("ada", "ada", "shared")
    assert one == first
    assert one.actor_token != other.actor_token
    assert shared.actor_token is None
