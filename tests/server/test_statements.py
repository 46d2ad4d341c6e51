"""What a client waits for most often does not spend its time on building and compiling SQL."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine.interfaces import ExecutionContext

from tests.running import RunningServer
from tests.server.studies import BOWL


def test_an_ask_a_report_and_a_tell_build_no_statement_again(server: RunningServer) -> None:
    server.client.create_study(BOWL)
    ask_report_and_tell(server)
    run: list[str] = []
    built_again: list[str] = []

    def note(_c: object, _cursor: object, sql: str, _p: object, context: ExecutionContext, _many: bool) -> None:
        run.append(sql)
        compiled: Any = context.compiled
        if compiled is None or context.invoked_statement is not compiled.statement:
            built_again.append(sql)

    engine = server.app.state.database.engine
    sa.event.listen(engine, "before_cursor_execute", note)
    try:
        ask_report_and_tell(server)
    finally:
        sa.event.remove(engine, "before_cursor_execute", note)

    assert [sql.split()[0] for sql in run].count("INSERT") >= 2  # a trial and a report
    assert built_again == []


def ask_report_and_tell(server: RunningServer) -> None:
    [lease] = server.client.ask("bowl").leases
    server.client.report("bowl", lease.number, lease.fence, [{"step": 1, "metrics": {"loss": 0.5}}])
    server.client.tell("bowl", lease.number, lease.fence, {"loss": 0.25})
