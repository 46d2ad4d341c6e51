"""The checker reads both databases as servers write them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from server.store.tables import checkpoints, reports, studies, trials
from tests.soak.case import Case
from tests.soak.checker import violations
from tests.soak.client import Asker
from tests.soak.history import read_history
from tests.soak.record import connected, read_record, record_within
from tests.soak.studies import ASKED

if TYPE_CHECKING:
    from tests.running import RunningServer

PLANTED = {
    "no acknowledged write is lost": reports.delete(),
    "a trial has one end, which never changes": trials.update().where(trials.c.state == "complete").values(value=9.0),
    "the budget is exact": studies.update().values(max_trials=1),
    "only the current fence writes": reports.update().values(fence=99),
    "checkpoints are whole": checkpoints.update().values(sha256="0" * 64),
}


def ask_and_tell(server: RunningServer, history: Path) -> None:
    """Everything that a client of a soak writes, in this thread; nothing but its own chance decides what it does."""
    for study in ASKED:
        server.client.create_study(study)
    asker = Asker("c0", 1, history, [server.url])
    for _ in range(4):
        for act in (asker.ask, asker.report, asker.put_checkpoint, asker.tell, asker.enqueue, asker.correct):
            act()
    for act in (asker.send_again, asker.send_late, asker.send_again, asker.read):
        act()
    asker.close()


def test_what_a_server_wrote_is_found_right_until_rows_are_changed(server: RunningServer, tmp_path: Path) -> None:
    history, url, folder = tmp_path / "c0.history", server.settings.database_url, server.settings.checkpoints
    ask_and_tell(server, history)
    case = Case(read_history([history]), read_record(url, folder))

    assert violations(case) == []
    written = {one.op for one in case.acknowledged}
    assert {"ask", "report", "checkpoint", "tell", "enqueue", "release"} <= written
    assert "lease_lost" in [(one.answer or {}).get("code") for one in case.tries]
    for promise, statement in PLANTED.items():
        with connected(url) as connection:
            connection.execute(statement)
            planted = record_within(connection, folder)
            connection.rollback()
        assert promise in {found.promise for found in violations(Case(case.tries, planted))}
