"""What a client waits for most often does not spend its time on building and compiling SQL."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from threading import current_thread
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from sqlalchemy.engine.interfaces import ExecutionContext

from server.services.leases import long_poll
from server.store.hot_statements import HotStatements
from sturgeon.messages import Held, Lease
from tests.running import RunningServer
from tests.server.studies import BOWL


def test_an_ask_a_report_and_a_tell_build_no_statement_again(
    server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.client.create_study(BOWL)
    ask_report_and_tell(server)
    run: list[str] = []
    built_again: list[str] = []

    def note(_c: object, _cursor: object, sql: str, _p: object, context: ExecutionContext | None, _many: bool) -> None:
        run.append(sql)
        if context is None:  # it is one of `hot_statements.py`, which says below what it has compiled
            return
        compiled: Any = context.compiled
        if compiled is None or context.invoked_statement is not compiled.statement:
            built_again.append(sql)

    database = server.app.state.database
    engine = database.engine
    monkeypatch.setattr(
        HotStatements, "_compile", lambda _self, statement, _columns: built_again.append(str(statement))
    )
    sa.event.listen(engine, "before_cursor_execute", note)
    try:
        ask_report_and_tell(server)
    finally:
        sa.event.remove(engine, "before_cursor_execute", note)

    assert [sql.split()[0] for sql in run].count("INSERT") >= 2  # a trial and a report
    assert built_again == []


def test_an_ask_a_report_and_a_tell_are_few_statements(server: RunningServer, http: httpx.Client) -> None:
    server.client.create_study(BOWL)
    ask_report_and_tell(server)  # what is stored once is stored now

    with statements_of(server) as asking:
        lease = Lease.model_validate(http.post("/v1/studies/bowl/trials:ask", json={}).json()["leases"][0])
    with statements_of(server) as asking_once:
        server.client.ask("bowl")  # with an idempotency key
    code = {"commit": "a" * 40, "dirty": False}
    server.client.ask("bowl", code_version=code)
    with statements_of(server) as asking_with_code:
        server.client.ask("bowl", code_version=code)
    with statements_of(server) as reporting:
        report(server, lease, 1)
    with statements_of(server) as reporting_more:
        report(server, lease, 20)
    with statements_of(server) as telling:
        server.client.tell("bowl", lease.number, lease.fence, {"loss": 0.25})

    assert 1 <= len(asking) <= 3
    assert 1 <= len(asking_once) <= 4
    assert 1 <= len(asking_with_code) <= 5
    assert 1 <= len(reporting) <= 3
    assert 1 <= len(reporting_more) <= 3
    assert 1 <= len(telling) <= 5


def test_a_batch_takes_no_more_statements_than_its_first_few(server: RunningServer) -> None:
    server.client.create_study(BOWL | {"budget": {"max_trials": 100}})
    tell_all(server, server.client.ask("bowl", count=2, worker="ada").leases)
    server.client.renew("ada", [])

    def batch(count: int) -> list[int]:
        with statements_of(server) as asking:
            leases = server.client.ask("bowl", count=count, worker="ada").leases
        with statements_of(server) as renewing:
            held = [Held(study="bowl", number=lease.number, fence=lease.fence) for lease in leases]
            assert len(server.client.renew("ada", held).held) == count
        with statements_of(server) as telling:
            tell_all(server, leases)
        return [len(asking), len(renewing), len(telling)]

    of_few = batch(2)
    assert min(of_few) >= 1
    assert batch(40) == of_few
    assert of_few[2] <= 5


def test_a_worker_without_work_asks_the_database_little(
    server: RunningServer, http: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One look a poll, of which only one statement writes: that the worker has called."""
    monkeypatch.setattr(long_poll, "SURE_S", 0.0)
    server.client.create_study(BOWL)  # whose trials are no worker's
    server.client.renew("ada", [])

    with statements_of(server) as renewing:
        server.client.renew("ada", [])
    with statements_of(server) as polling:
        answer = http.post(
            "/v1/leases", json={"worker": "ada", "slots": 1, "wait": 0.02}, headers={"Idempotency-Key": "poll"}
        )

    assert answer.json()["leases"] == []
    assert 1 <= len(renewing) <= 2
    assert 1 <= len(polling) <= 6
    assert [sql.split()[0] for sql in polling if not sql.startswith(("SELECT", "WITH"))] == ["UPDATE"]


def tell_all(server: RunningServer, leases: Sequence[Lease]) -> None:
    told = [{"number": lease.number, "fence": lease.fence, "metrics": {"loss": 0.5}} for lease in leases]
    items = server.client.tell_many("bowl", told).items
    assert [item.trial is not None for item in items] == [True] * len(leases)


def report(server: RunningServer, lease: Lease, steps: int) -> None:
    reports = [{"step": 10 * steps + step, "metrics": {"loss": 0.5}} for step in range(steps)]
    server.client.report("bowl", lease.number, lease.fence, reports)


@contextmanager
def statements_of(server: RunningServer) -> Iterator[list[str]]:
    """The statements of requests; not those of the server's other threads."""
    run: list[str] = []

    def note(_connection: object, _cursor: object, sql: str, *_rest: object) -> None:
        if current_thread().name.startswith(("request", "AnyIO worker")):
            run.append(sql)

    database = server.app.state.database
    engines = {database.engine, database.reader}
    for engine in engines:
        sa.event.listen(engine, "before_cursor_execute", note)
    try:
        yield run
    finally:
        for engine in engines:
            sa.event.remove(engine, "before_cursor_execute", note)


def ask_report_and_tell(server: RunningServer) -> None:
    [lease] = server.client.ask("bowl").leases
    server.client.report("bowl", lease.number, lease.fence, [{"step": 1, "metrics": {"loss": 0.5}}])
    server.client.tell("bowl", lease.number, lease.fence, {"loss": 0.25})
