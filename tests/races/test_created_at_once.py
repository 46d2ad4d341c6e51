"""Studies that are created at the same moment, one of which names the other."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from tests.processes import DEADLINE_S, wait_until
from tests.server.studies import DIGITS

if TYPE_CHECKING:
    from server.settings import Settings
    from server.store.engine import Database
    from tests.running import RunningServer

NAMING = {"name": "naming", "task": DIGITS["task"] | {"fixed": {"hidden_units": 16, "start_from": "named/0"}}}
NAMED = {"name": "named"}


def waiters(database: Database) -> int:
    with database.reading() as tx:
        statement = (
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        )
        return int(tx.execute(sa.text(statement)).scalar_one())


@pytest.mark.fault("L11")
@pytest.mark.parametrize(("first", "second"), [(NAMING, NAMED), (NAMED, NAMING)], ids=["naming", "named"])
@pytest.mark.parametrize("database_kind", ["postgres"], indirect=True)  # SQLite has one writer at a time
def test_of_two_studies_created_at_once_one_finds_the_other(
    settings: Settings,
    serve: Callable[[Settings], RunningServer],
    monkeypatch: pytest.MonkeyPatch,
    first: dict[str, Any],
    second: dict[str, Any],
) -> None:
    from server.services.studies import lifecycle

    server = serve(settings)
    database: Database = server.app.state.database
    begun, goes_on = threading.Event(), threading.Event()
    store_answer = lifecycle.store_answer

    def stopped(tx: Any, key: Any, answer: Any, **more: Any) -> None:
        """The first is made and not committed, until the second has come as far as it comes."""
        if answer.name == first["name"]:
            begun.set()
            assert goes_on.wait(DEADLINE_S)
        store_answer(tx, key, answer, **more)

    monkeypatch.setattr(lifecycle, "store_answer", stopped)
    with ThreadPoolExecutor() as threads:
        one = threads.submit(server.client.create_study, DIGITS | first)
        assert begun.wait(DEADLINE_S)
        other = threads.submit(server.client.create_study, DIGITS | second)
        wait_until(lambda: other.done() or waiters(database) > 0, "the second is made, or waits for the first")
        goes_on.set()
        for each in (one, other):
            each.result(timeout=DEADLINE_S)

    with database.reading() as tx:
        named = tx.execute(sa.text("SELECT id FROM studies WHERE name = 'named'")).scalar_one()
        source = tx.execute(sa.text("SELECT source_study_id FROM studies WHERE name = 'naming'")).scalar_one()
    assert source == named
