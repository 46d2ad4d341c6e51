"""A lease belongs to the token that it was given to: a worker acts under its own, whatever fences it guesses."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import sqlalchemy as sa

from server.store.tables import trials
from sturgeon.client import Client
from sturgeon.errors import Forbidden, IdempotencyMismatch, LeaseLost
from tests.server.studies import BOWL
from tests.server.tokens import guarded_server, with_token

if TYPE_CHECKING:
    from pathlib import Path

    from server.settings import Settings
    from sturgeon.messages import Lease, TokenScope
    from tests.running import RunningServer

OTHERS: dict[str, list[TokenScope]] = {"mallory": ["work"], "writer": ["read", "write", "work"]}
VERSIONS: dict[str, Any] = {"code": {"commit": "a" * 40, "dirty": False}}
WEIGHTS = b"weights"


@pytest.fixture
def guarded(migrated_url: str, tmp_path: Path, serve: Callable[[Settings], RunningServer]) -> RunningServer:
    """A server that wants a token and has the study bowl, once on each kind of database."""
    server = guarded_server(migrated_url, tmp_path, serve)
    server.client.create_study(BOWL)
    return server


@pytest.fixture
def client_of(guarded: RunningServer) -> Callable[..., Client]:
    """A client with a new token of this name."""
    clients = ExitStack()

    def new(name: str, *scopes: TokenScope) -> Client:
        token = guarded.client.create_token(name, list(scopes)).token
        return clients.enter_context(Client(guarded.url, token=token))

    with clients:
        yield new


def rows(server: RunningServer) -> list[dict[str, Any]]:
    """All that the database has of the trials, but for what readers are told by."""
    with server.app.state.database.reading() as tx:
        return [dict(row._mapping) for row in tx.execute(sa.select(trials).order_by(trials.c.id))]


def writes(client: Client, lease: Lease) -> dict[str, Callable[[], object]]:
    """All that the holder of a lease may send under it."""
    where = ("bowl", lease.number)
    return {
        "report": lambda: client.report(*where, lease.fence, [{"step": 1, "metrics": {"loss": 0.0}}]),
        "empty report": lambda: client.report(*where, lease.fence, []),
        "tell": lambda: client.tell(*where, lease.fence, {"loss": 0.0}),
        "failed tell": lambda: client.tell(*where, lease.fence, {}, "failed"),
        "release": lambda: client.release(*where, lease.fence),
        "checkpoint": lambda: client.put_checkpoint(*where, 1, WEIGHTS, lease.fence),
        "diagnosis": lambda: client.put_finding(*where, "errors", lease.fence, {"own": 1}),
        "versions": lambda: client.put_finding(*where, "versions", lease.fence, VERSIONS),
        "log": lambda: client.put_trial_log(*where, lease.fence, "mine"),
    }


@pytest.mark.parametrize("other", OTHERS)
def test_no_token_but_its_own_writes_under_a_lease(
    guarded: RunningServer, client_of: Callable[..., Client], other: str
) -> None:
    ada, mallory = client_of("ada", "work"), client_of(other, *OTHERS[other])
    [lease] = ada.ask("bowl", worker="ada").leases
    before = rows(guarded)

    for verb, write in writes(mallory, lease).items():
        with pytest.raises(LeaseLost):
            write()
        assert rows(guarded) == before, verb
    [told] = mallory.tell_many("bowl", [{"number": 0, "fence": lease.fence, "metrics": {"loss": 0.0}}]).items
    renewed = mallory.renew("ada", [{"study": "bowl", "number": 0, "fence": lease.fence}])

    assert (told.code, told.trial) == ("lease_lost", None)
    assert (renewed.held, [lost.reason for lost in renewed.lost]) == ([], ["taken"])
    assert rows(guarded) == before
    assert guarded.client.late_results("bowl").items == []
    assert guarded.client.trial_metrics("bowl", 0).items == []
    for verb in ("versions", "log", "report", "tell"):
        writes(ada, lease)[verb]()
    assert guarded.client.trial("bowl", 0).value == 0.0


def test_no_token_gets_what_its_holder_was_answered(client_of: Callable[..., Client]) -> None:
    """Once more the same tell, release or report is answered again: to its sender."""
    ada, mallory = client_of("ada", "work"), client_of("mallory", "work")
    for verbs in (("report", "log", "tell"), ("failed tell",), ("release",)):
        [lease] = ada.ask("bowl", worker="ada").leases
        for verb in verbs:
            for _ in range(2):
                writes(ada, lease)[verb]()
            with pytest.raises(LeaseLost):
                writes(mallory, lease)[verb]()


def test_no_token_gets_the_answer_to_the_key_of_another(guarded: RunningServer) -> None:
    ada, mallory = (guarded.client.create_token(name, ["work"]).token for name in ("ada", "mallory"))
    ask: dict[str, Any] = {"json": {"worker": "ada"}, "headers": {"Idempotency-Key": "k"}}
    answers: list[httpx.Response] = []
    for token in (ada, ada, mallory):
        with with_token(guarded, token) as http:
            answers.append(http.post("/v1/studies/bowl/trials:ask", **ask))

    assert answers[0].json() == answers[1].json()
    assert answers[2].json()["code"] == IdempotencyMismatch.code


def test_a_token_for_work_alone_takes_no_trial_from_another(
    guarded: RunningServer, client_of: Callable[..., Client]
) -> None:
    ada, mallory = client_of("ada", "work"), client_of("mallory", "work")
    ada.ask("bowl", worker="ada")
    before = rows(guarded)

    with pytest.raises(Forbidden, match="leased to another token"):
        mallory.release("bowl", 0, None)

    assert rows(guarded) == before
    assert ada.release("bowl", 0, None).state == "queued"
    ada.ask("bowl", worker="ada")
    assert client_of("eve", "write", "work").release("bowl", 0, None).state == "queued"


def test_an_administrator_acts_under_each_lease(guarded: RunningServer, client_of: Callable[..., Client]) -> None:
    ada, root = client_of("ada", "work"), client_of("root", "admin")
    first, second = ada.ask("bowl", worker="ada", count=2).leases

    assert guarded.client.tell("bowl", first.number, first.fence, {"loss": 0.5}).value == 0.5
    assert root.tell("bowl", second.number, second.fence, {"loss": 0.25}).value == 0.25


def test_a_lease_of_the_shared_token_is_no_worker_s(guarded: RunningServer, client_of: Callable[..., Client]) -> None:
    ada = client_of("ada", "work")
    [lease] = guarded.client.ask("bowl", worker="ada").leases

    with pytest.raises(LeaseLost):
        ada.tell("bowl", 0, lease.fence, {"loss": 0.0})

    assert guarded.client.tell("bowl", 0, lease.fence, {"loss": 0.5}).value == 0.5


def test_a_renewed_token_goes_on_with_the_leases_of_its_name(
    guarded: RunningServer, client_of: Callable[..., Client]
) -> None:
    """What its worker has kept on its disk is delivered with the new token, also after the lease has run out."""
    old = client_of("ada", "work")
    running, expired = old.ask("bowl", worker="ada", count=2).leases
    guarded.client.revoke_token("ada")

    new = client_of("ada", "work")

    renewed = new.renew("ada", [{"study": "bowl", "number": running.number, "fence": running.fence}])
    assert (len(renewed.held), renewed.lost) == (1, [])
    guarded.advance(seconds=3601)
    guarded.expire_leases()
    sha256 = hashlib.sha256(WEIGHTS).hexdigest()
    assert new.put_checkpoint("bowl", expired.number, 1, WEIGHTS, expired.fence).sha256 == sha256
    assert new.tell("bowl", expired.number, expired.fence, {"loss": 0.5}).value == 0.5


def test_a_trial_that_was_taken_is_its_new_holder_s_alone(
    guarded: RunningServer, client_of: Callable[..., Client]
) -> None:
    ada, bob = client_of("ada", "work"), client_of("bob", "work")
    [first] = ada.ask("bowl", worker="ada").leases
    guarded.client.release("bowl", 0, None)
    [second] = bob.ask("bowl", worker="bob").leases
    assert (second.number, second.fence > first.fence) == (0, True)

    for guessed in range(first.fence, second.fence + 2):
        with pytest.raises(LeaseLost):
            ada.tell("bowl", 0, guessed, {"loss": 0.0})

    [late] = [one for one in guarded.client.late_results("bowl").items if one.fence == first.fence]
    assert late.actor == "ada"
    assert bob.tell("bowl", 0, second.fence, {"loss": 0.5}).value == 0.5


def test_a_lease_from_before_leases_were_anybody_s_still_holds(
    guarded: RunningServer, client_of: Callable[..., Client]
) -> None:
    ada = client_of("ada", "work")
    [lease] = guarded.client.ask("bowl", worker="ada").leases
    with guarded.app.state.database.writing() as tx:
        tx.execute(trials.update().values(leased_to=None))  # as the migration leaves it

    assert ada.tell("bowl", 0, lease.fence, {"loss": 0.5}).value == 0.5
    for taken in ("shared", "local", "server", "policy:drift", "guard"):
        with pytest.raises(Exception, match="is what a server itself writes"):
            guarded.client.create_token(taken, ["work"])
