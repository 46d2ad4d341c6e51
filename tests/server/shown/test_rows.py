"""The rows of a study: whole, and what has changed since a cursor."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from server.services import lookup
from server.services.shown import rows as rows_service
from server.services.shown.rows import read_rows
from server.store import trials
from sturgeon.messages import Lease, Study, Table
from tests.server.studies import BOWL

if TYPE_CHECKING:
    from server.store.engine import Database
    from tests.running import RunningServer

Change = Callable[["RunningServer", int, int], object]


def database_of(server: RunningServer) -> Database:
    database: Database = server.app.state.database
    return database


def test_a_row_has_what_tables_and_pictures_show(server: RunningServer, finished_trial: Lease) -> None:
    server.client.patch_trial("bowl", 0, {"tags": ["good"]})

    table = server.client.rows("bowl")

    assert (table.objective, table.direction, table.total, table.left_out) == ("loss", "minimize", 4 - 3, 0)
    assert [(one.field, one.name, one.kind, one.scale, one.low, one.high) for one in table.parameters] == [
        ("p0", "x", "float", "linear", -1, 1),
        ("p1", "n", "int", "linear", 1, 4),
    ]
    [row] = table.rows
    assert {name: row[name] for name in ("number", "state", "score", "worker", "tags", "invalid", "sampler")} == {
        "number": 0, "state": "complete", "score": 0.25, "worker": "ada", "tags": ["good"], "invalid": False,
        "sampler": "random",
    }  # fmt: skip
    assert (row["p0"], row["p1"]) == (finished_trial.params["x"], finished_trial.params["n"])
    assert row["finished_at"] == "2026-01-01T12:00:00Z"


CHANGES: dict[str, Change] = {
    "a report": lambda s, n, f: s.client.report("bowl", n, f, [{"step": 1, "metrics": {"loss": 1.0}}]),
    "a report of another metric": lambda s, n, f: s.client.report("bowl", n, f, [{"step": 1, "metrics": {"x": 1.0}}]),
    "the end": lambda s, n, f: s.client.tell("bowl", n, f, {"loss": 1.0}),
    "a failure": lambda s, n, f: s.client.tell("bowl", n, f, state="failed", error="no\nmemory"),
    "a tag": lambda s, n, _f: s.client.patch_trial("bowl", n, {"tags": ["odd"]}),
    "steering": lambda s, n, _f: s.client.stop("bowl", n),
    "its cancellation": lambda s, n, _f: s.client.cancel("bowl", n),
    "its release": lambda s, n, f: s.client.release("bowl", n, f),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_each_change_of_a_trial_is_in_the_next_increment(server: RunningServer, bowl: Study, change: Change) -> None:
    first, _other = server.client.ask(bowl.name, count=2, worker="ada").leases
    before = server.client.rows(bowl.name)

    change(server, first.number, first.fence)

    after = server.client.rows(bowl.name, before.cursor)
    assert (after.complete, after.more, [row["number"] for row in after.rows]) == (False, False, [first.number])
    assert after.rows == [row for row in server.client.rows(bowl.name).rows if row["number"] == first.number]
    assert server.client.rows(bowl.name, after.cursor).rows == []


def test_what_people_do_to_a_trial_that_has_ended_is_an_increment(server: RunningServer, bowl: Study) -> None:
    one, other = server.client.ask(bowl.name, count=2, worker="ada").leases
    server.client.tell(bowl.name, one.number, one.fence, {"loss": 1.0})
    server.client.cancel(bowl.name, other.number)
    cursor = server.client.rows(bowl.name).cursor

    server.client.invalidate(bowl.name, one.number, "wrong data")
    [row] = (answer := server.client.rows(bowl.name, cursor)).rows
    assert (row["number"], row["invalid"]) == (one.number, True)
    server.client.requeue(bowl.name, other.number)
    [row] = server.client.rows(bowl.name, answer.cursor).rows
    assert (row["number"], row["state"]) == (other.number, "queued")


def test_a_lease_that_runs_out_is_a_change_and_its_renewal_is_none(server: RunningServer, leased_trial: Lease) -> None:
    held = [{"study": "bowl", "number": leased_trial.number, "fence": leased_trial.fence}]
    cursor = server.client.rows("bowl").cursor

    server.client.renew("ada", held)
    assert server.client.rows("bowl", cursor).rows == []
    server.advance(seconds=61)
    server.expire_leases()
    assert [row["state"] for row in server.client.rows("bowl", cursor).rows] == ["queued"]
    cursor = server.client.rows("bowl").cursor
    server.client.renew("ada", held)  # its holder comes back before anybody has taken the trial
    assert [row["state"] for row in server.client.rows("bowl", cursor).rows] == ["running"]


@pytest.mark.usefixtures("finished_trial")
def test_an_edit_of_the_space_keeps_the_fields_of_its_columns(server: RunningServer) -> None:
    space = {"n": BOWL["space"]["n"], "y": {"type": "choice", "values": [None, "null", [1]]}}
    server.client.patch_study("bowl", {"space": space, "added": {"y": None}})

    columns = server.client.rows("bowl").parameters

    assert [(one.field, one.name, one.current) for one in columns] == [
        ("p0", "x", False), ("p1", "n", True), ("p2", "y", True)
    ]  # fmt: skip
    assert columns[2].values == ["null (2)", "null", "[1]"]  # each value has a text of its own


def test_a_cursor_of_a_deleted_study_gets_all_of_the_next_of_its_name(server: RunningServer, bowl: Study) -> None:
    server.client.ask(bowl.name, count=3)
    old = server.client.rows(bowl.name).cursor
    server.client.delete_study(bowl.name, force=True)
    server.client.create_study(BOWL)
    server.client.ask(bowl.name, count=1)

    answer = server.client.rows(bowl.name, old)

    assert answer.complete
    assert [row["number"] for row in answer.rows] == [0]


@pytest.mark.parametrize("cursor", ["s1.5~3", "s1.99999999999999999", "s1.7:3:9", "s1.1:900000000:2,1", "a1-1.1", "x"])
@pytest.mark.usefixtures("queued_trial")
def test_a_cursor_that_no_server_gave_gets_all_rows(http: httpx.Client, cursor: str) -> None:
    answer = http.get("/v1/studies/bowl/rows", params={"since": cursor})

    assert answer.status_code == 200
    assert (answer.json()["complete"], len(answer.json()["rows"])) == (True, 1)


def test_changes_that_do_not_fit_into_one_answer_come_in_several(server: RunningServer) -> None:
    study = server.client.create_study(BOWL | {"budget": {"max_trials": 9}})
    cursor = server.client.rows(study.name).cursor
    server.client.ask(study.name, count=7)
    seen: dict[int, Any] = {}
    numbers: list[list[int]] = []

    def read() -> Table:
        with database_of(server).reading() as tx:
            table = read_rows(tx, lookup.get_study(tx, study.name), cursor, most=3).table
        numbers.append([row["number"] for row in table.rows])
        seen.update({row["number"]: row for row in table.rows})
        return table

    cursor = read().cursor
    server.client.patch_trial(study.name, 1, {"tags": ["late"]})  # it was read already, and has changed since
    while (table := read()).more or table.rows:
        cursor = table.cursor

    assert numbers == [[0, 1, 2], [3, 4, 5], [6], [1], []]
    assert seen == {row["number"]: row for row in server.client.rows(study.name).rows}


def test_of_too_many_trials_the_newest_and_the_best_are_shown(
    server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = server.client.create_study(BOWL | {"direction": "maximize", "budget": {"max_trials": 9}})
    for number, loss in enumerate([3.0, 9.0, 1.0, 8.0, 2.0, 0.0]):
        [lease] = server.client.ask(study.name).leases
        server.client.tell(study.name, number, lease.fence, {"loss": loss})
    monkeypatch.setattr(rows_service, "MOST", 4)
    monkeypatch.setattr(rows_service, "BEST", 2)

    table = server.client.rows(study.name)

    assert ([row["number"] for row in table.rows], table.total, table.left_out) == ([1, 3, 4, 5], 6, 2)


@pytest.mark.parametrize("database_kind", ["postgres"], indirect=True)  # SQLite's writers come one after another
def test_what_commits_late_is_in_the_next_increment(server: RunningServer, bowl: Study) -> None:
    server.client.ask(bowl.name, count=2)
    cursor = server.client.rows(bowl.name).cursor
    database = database_of(server)
    with database.reading() as tx:
        first, second = (trials.find(tx, lookup.get_study(tx, bowl.name).id, number) for number in (0, 1))  # type: ignore[arg-type]
    assert first is not None
    assert second is not None

    with database.writing() as early:
        trials.update(early, first, notes="began first")
        with database.writing() as late:
            trials.update(late, second, notes="committed first")
        between = server.client.rows(bowl.name, cursor)
    after = server.client.rows(bowl.name, between.cursor)

    assert [row["number"] for row in between.rows] == [1]
    assert [row["number"] for row in after.rows] == [0]


def test_rows_that_are_kept_show_the_time_that_renewals_add(server: RunningServer, leased_trial: Lease) -> None:
    [before] = server.client.rows("bowl").rows
    server.advance(seconds=20)
    held = {"study": "bowl", "number": leased_trial.number, "fence": leased_trial.fence}
    server.client.renew("ada", [held])

    [row] = server.client.rows("bowl").rows

    assert (before["seconds"], row["seconds"]) == (0, 20)


def test_the_time_of_a_run_that_reports_nothing_is_a_change_once_a_minute(
    server: RunningServer, leased_trial: Lease
) -> None:
    held = [{"study": "bowl", "number": leased_trial.number, "fence": leased_trial.fence}]
    cursor, seen = server.client.rows("bowl").cursor, []

    for _ in range(9):
        server.advance(seconds=20)
        server.client.renew("ada", held)
        answer = server.client.rows("bowl", cursor)
        seen.append([row["seconds"] for row in answer.rows])
        cursor = answer.cursor

    assert seen == [[], [], [60], [], [], [120], [], [], [180]]
