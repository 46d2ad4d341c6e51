"""Histories outlive the clients that write them; a plan follows from its seed; figures become a table."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.processes import Process
from tests.soak.faults import GENTLE, KINDS, plan
from tests.soak.history import HistoryWriter, read_history
from tests.soak.logs import errors_in_logs
from tests.soak.system import Member
from tests.soak.table import BEGIN, END, write_table


def test_each_request_is_read_with_its_answer_or_as_lost(tmp_path: Path) -> None:
    file = tmp_path / "c0.history"
    writer = HistoryWriter(file, "c0")
    first = writer.sent("a", "tell", "bowl", 3, 7, state="complete")
    writer.sent("b", "ask", "bowl")
    writer.answered(first, 200, {"state": "complete"})
    writer.close()

    tell, ask = read_history([file])
    assert (tell.number, tell.fence, tell.body, tell.answer) == (3, 7, {"state": "complete"}, {"state": "complete"})
    assert tell.answered is not None
    assert tell.answered >= tell.sent
    assert (ask.request, ask.status, ask.is_acknowledged, tell.is_acknowledged) == ("b", None, False, True)


def test_a_client_that_is_killed_loses_its_torn_line_alone(tmp_path: Path) -> None:
    file = tmp_path / "c0.history"
    for request in ("a", "b"):
        writer = HistoryWriter(file, "c0")
        writer.answered(writer.sent(request, "read", "bowl"), 200, {})
        writer.sent(f"{request} lost", "read", "bowl")
        writer.close()
        with file.open("ab") as torn:
            torn.write(b'{"try": 3, "client": "c0", "sen')

    found = {(one.request, one.status) for one in read_history([file])}
    assert found == {("a", 200), ("a lost", None), ("b", 200), ("b lost", None)}


def test_logged_errors_are_told_once_but_for_what_faults_explain(tmp_path: Path) -> None:
    void = "Trial 3 has gone back to step 7; its checkpoint of step 9 does not count any more."
    refused = {"level": "error", "event": "checkpoint refused"}
    lines = [
        {"level": "warning", "event": "request", "status": 503},
        refused | {"reason": void},
        *(refused | {"reason": f"There is no version {version}."} for version in (1, 2)),
        {"level": "info", "event": "trial leased"},
    ]
    worker = Member(Process(["sturgeon", "worker", "w"], tmp_path, {}, "worker"))
    worker.process.log.write_text(
        "".join(json.dumps(line) + "\n" for line in lines) + "Traceback (most recent call last):\n"
    )

    assert errors_in_logs([worker]) == [
        "2 times: error checkpoint refused There is no version N.",
        "1 times: Traceback (most recent call last):",
    ]


def test_a_plan_follows_from_its_seed_and_has_every_kind() -> None:
    faults = plan(1, 600, [*KINDS])

    assert faults == plan(1, 600, [*KINDS])
    assert faults != plan(2, 600, [*KINDS])
    assert {fault.kind for fault in faults} == {*KINDS}
    assert all(fault.target < KINDS[fault.kind].targets for fault in faults)
    assert all(fault.at_s + fault.lasts_s <= 0.9 * 600 + 1 for fault in faults)
    assert {fault.kind for fault in plan(1, 60, GENTLE)} == {*GENTLE}


def test_the_table_is_written_between_its_marks_or_not_at_all(tmp_path: Path) -> None:
    growth = {name: [1.0, None, 1234.5] for name in (
        "servers_rss", "workers_rss", "servers_descriptors", "workers_descriptors", "wal", "database", "blobs", "logs"
    )}  # fmt: skip
    amounts = ("requests", "tries", "answers_lost", "acknowledged_writes", "refused_late_writes", "reports")
    run = dict.fromkeys(amounts, 1000) | {"growth": growth, "violations": [], "minutes": 10.0, "seed": 7}
    run |= {"statuses_5xx": {"503": 4}, "faults": {"disk full": 2}, "longest_pause_s": 9.5, "reports_of": {"own": 7}}
    document = tmp_path / "page.md"
    document.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")

    write_table({"sqlite": run, "postgres": run | {"faults": {}}}, document)

    text = document.read_text()
    assert text.startswith("before")
    assert text.endswith("after\n")
    assert "old" not in text
    assert "|  | SQLite | PostgreSQL |" in text
    assert "| · disk full | 2 | – |" in text
    assert "| · reports of own | 7 | 7 |" in text
    assert "| logs of servers and workers, MB | 1 → – → 1,234 | 1 → – → 1,234 |" in text
    document.write_text("no marks")
    with pytest.raises(ValueError, match="has no place"):
        write_table({"sqlite": run}, document)
