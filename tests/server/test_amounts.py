"""What a study's trials come to is what all of them come to, though a server adds up only those that are new to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from server.services import lookup
from server.services.studies.stored_sums import SumStore
from server.store import amounts, ended_sums
from server.store.kept_amounts import Amounts
from tests.server.studies import BOWL

if TYPE_CHECKING:
    from server.store.engine import Database
    from sturgeon.client import Client
    from tests.running import RunningServer


@pytest.fixture(autouse=True)
def _every_sum_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(amounts, "KEEP_EVERY", 1)


def test_amounts_are_right_after_each_end_and_each_requeue(server: RunningServer) -> None:
    server.client.create_study(BOWL | {"budget": {"max_trials": 100}})
    for step in (end_some, fail_some, end_some, requeue_one, end_some, cancel_one, requeue_one, end_some):
        step(server.client)
        server.advance(seconds=1)
        assert kept(server) == added_up(server)
    assert kept(server).counts == {"complete": 8, "failed": 1, "cancelled": 1}


def test_a_rolled_back_end_is_not_kept(server: RunningServer) -> None:
    server.client.create_study(BOWL)
    end_some(server.client, count=2)
    database: Database = server.app.state.database
    with database.writing() as tx:
        study = lookup.lock_study(tx, "bowl")
        tx.execute(amounts.trials.update().values(state="failed"))
        assert amounts.of_studies(tx, [study.id])[study.id].counts == {"failed": 2}
        tx.rollback_at_end()
    assert kept(server).counts == {"complete": 2}


def end_some(client: Client, count: int = 3) -> None:
    for lease in client.ask("bowl", count=count).leases:
        client.report("bowl", lease.number, lease.fence, [{"step": 1, "epoch": 1.5, "metrics": {"loss": 0.5}}])
        client.tell("bowl", lease.number, lease.fence, {"loss": 0.25})


def fail_some(client: Client) -> None:
    for lease in client.ask("bowl", count=3).leases:
        client.tell("bowl", lease.number, lease.fence, state="failed", error="boom", retry=False)


def requeue_one(client: Client) -> None:
    client.requeue("bowl", client.trials("bowl", state="failed").items[0].number)


def cancel_one(client: Client) -> None:
    [lease] = client.ask("bowl").leases
    client.cancel("bowl", lease.number)


def kept(server: RunningServer) -> Amounts:
    """The amounts with what the server has kept."""
    database: Database = server.app.state.database
    with database.reading() as tx:
        study = lookup.get_study(tx, "bowl")
        return amounts.of_studies(tx, [study.id])[study.id]


def added_up(server: RunningServer) -> Amounts:
    """The amounts without it."""
    database: Database = server.app.state.database
    with database.reading() as tx:
        tx.kept_amounts = {}
        study = lookup.get_study(tx, "bowl")
        return amounts.of_studies(tx, [study.id])[study.id]


def test_a_server_that_is_started_adds_up_only_what_ended_since(
    fresh_server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ended_sums, "STORE_EVERY", 4)
    server, database = fresh_server, fresh_server.app.state.database
    sums = SumStore(database)
    server.client.create_study(BOWL | {"budget": {"max_trials": 100}})
    end_some(server.client, count=5)
    fail_some(server.client)
    sums.step()
    end_some(server.client)
    with database.writing() as tx:  # so it is seen which ones are added up
        tx.execute(amounts.trials.update().where(amounts.trials.c.number < 5).values(spent_epochs=1000))

    begin_anew(database)
    assert (kept(server).counts, kept(server).epochs) == ({"complete": 8, "failed": 3}, 8 * 1.5)
    assert database.kept_amounts[1].seq == 11

    requeue_one(server.client)
    begin_anew(database)
    assert kept(server) == added_up(server)
    assert kept(server).counts == {"complete": 8, "failed": 2, "queued": 1}


def test_the_sums_of_a_deleted_study_are_gone(fresh_server: RunningServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ended_sums, "STORE_EVERY", 4)
    server, database = fresh_server, fresh_server.app.state.database
    sums = SumStore(database)
    server.client.create_study(BOWL | {"budget": {"max_trials": 100}})
    end_some(server.client, count=5)
    sums.step()
    end_some(server.client, count=5)
    assert stored(database) == [5]

    server.client.delete_study("bowl")
    sums.step()

    assert stored(database) == []
    assert database.kept_amounts == {}


def begin_anew(database: Database) -> None:
    """As a server that is started, which has kept nothing."""
    database.kept_amounts.clear()


def stored(database: Database) -> list[int]:
    with database.reading() as tx:
        return list(tx.execute(ended_sums.ended_sums.select()).scalars("seq"))
