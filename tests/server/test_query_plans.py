"""No hot statement reads a table as long as the study is: what it touches is found by an index.

Each statement is run beside the server's own run of it, and undone. On SQLite its virtual machine's steps are counted,
on PostgreSQL the rows that EXPLAIN ANALYZE saw, with sequential scans priced out: of tables of 2,000 rows the planner
may prefer those. A plan that touches a few of 2,000 rows touches as few of 100,000: SQLite, which has no statistics
here, plans without regard to sizes, and for PostgreSQL the same index only gains on its rivals.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from typing import TYPE_CHECKING, Any, Final

import httpx
import sqlalchemy as sa

from server.services.changes import pushes
from server.services.studies import budgets
from server.services.studies.measures import Measuring
from server.store import tables
from sturgeon.messages import Held
from tests.server.studies import BOWL, DIGITS

if TYPE_CHECKING:
    from server.store.engine import Database
    from sturgeon.client import Client
    from tests.running import RunningServer

ROWS: Final = 2000
MOST_ROWS: Final = 200
"""Of a table with ROWS of them. The pages that the test asks for have ten."""
MOST_STEPS: Final = 4000
"""To look at ROWS rows takes SQLite at least four steps a row, and to read fifty of them fewer."""
LARGE: Final = ("trials", "reports", "events", "idempotency_keys", "late_results", "studies")


def test_a_hot_statement_reads_few_rows_of_a_large_database(fresh_server: RunningServer) -> None:
    database: Database = fresh_server.app.state.database
    fill(database, fresh_server.client)

    fresh_server.client.studies(page_size=100)  # what a server adds up once is added up now
    state = fresh_server.app.state
    state.measuring = Measuring(state.database, clock=count().__next__)  # as if reading took a second
    scrape(fresh_server)
    with touched(database) as costs:
        use(fresh_server)

    assert len(costs) > 30
    assert {sql: cost for sql, cost in costs.items() if cost > 1} == {}


def use(server: RunningServer) -> None:
    """All that clients and duties ask for again and again."""
    client, database = server.client, server.app.state.database
    ask_report_and_tell(client)
    client.enqueue("bowl", {"x": 0.5, "n": 2})
    [queued] = client.ask("bowl", worker="ada").leases
    held = Held(study="bowl", number=queued.number, fence=queued.fence)
    client.renew("ada", [held])
    client.renew("ada", [held, held.model_copy(update={"number": 3})])
    client.release("bowl", queued.number, queued.fence)
    client.ask("waiting", worker="ada", lease_s=60)
    client.workers()
    [lease] = client.lease("ada").leases
    client.tell(lease.study, lease.number, lease.fence, state="failed", error="boom", retry=False)
    client.ask("bowl", worker="ada", lease_s=60)
    server.advance(seconds=3600)
    server.expire_leases()
    budgets.watch(server.app.state.transactions)
    client.trials("bowl", page_size=10)
    client.trial("bowl", 1000)
    list(client.trial_metrics("bowl", 1000))
    client.events("bowl", page_size=10)
    client.studies(page_size=10)
    client.tell_many("bowl", [{"number": 7, "fence": 99, "metrics": {"loss": 0.5}}])
    scrape(server)
    with database.reading() as tx:
        pushes.of_one(tx, "bowl", pushes.cursor_now(tx, pushes.studies.find(tx, "bowl")))


def scrape(server: RunningServer) -> None:
    """As Prometheus does."""
    assert httpx.get(f"{server.url}/metrics", trust_env=False).status_code == 200


def ask_report_and_tell(client: Client) -> None:
    leases = client.ask("bowl", count=3, worker="ada").leases
    for lease in leases:
        client.report("bowl", lease.number, lease.fence, [{"step": s, "metrics": {"loss": 0.5}} for s in range(1, 4)])
    client.tell("bowl", leases[0].number, leases[0].fence, {"loss": 0.25})
    told = [{"number": lease.number, "fence": lease.fence, "metrics": {"loss": 0.5}} for lease in leases[1:]]
    client.tell_many("bowl", told)


def fill(database: Database, client: Client) -> None:
    """A study with ROWS finished trials, each with a report and an event, among ROWS studies that are completed."""
    client.create_study(BOWL | {"budget": {"max_trials": 10 * ROWS}})
    client.create_study(DIGITS | {"name": "digits"})
    ask_report_and_tell(client)
    with database.writing() as tx:
        study = dict(tx.execute(sa.select(tables.studies)).first()._mapping)
        trial = dict(tx.execute(sa.select(tables.trials).where(tables.trials.c.state == "complete")).first()._mapping)
        report = dict(tx.execute(sa.select(tables.reports)).first()._mapping)
        del study["id"], trial["id"]
        others = [study | {"name": f"study{n}", "state": "completed"} for n in range(ROWS)]
        tx.execute(tables.studies.insert(), others)
        numbers = range(3, ROWS)
        tx.execute(tables.trials.insert(), [trial | {"number": n, "left_seq": n} for n in numbers])
        ids = tx.execute(sa.select(tables.trials.c.id).where(tables.trials.c.number >= 3)).scalars()
        tx.execute(tables.reports.insert(), [report | {"trial_id": one} for one in ids])
        event = {"study_id": trial["study_id"], "kind": "drift", "detail": {}, "at": 0}
        tx.execute(tables.events.insert(), [event | {"number": n} for n in range(ROWS)])
        key = {"request_sha256": "", "study_id": None, "answer": {}, "at": 0}
        tx.execute(tables.idempotency_keys.insert(), [key | {"key": str(n)} for n in range(ROWS)])
        # Not on the first page of studies: what goes on in those is added up.
        [waiting] = tx.execute(
            tables.studies.insert().returning(tables.studies.c.id), study | {"name": "waiting"}
        ).scalars()
        queued = trial | {"state": "queued", "left_seq": None, "finished_at": None, "lease_until": None}
        tx.execute(tables.trials.insert(), [queued | {"study_id": waiting, "number": n} for n in range(ROWS)])
        tx.execute(tables.studies.update().where(tables.studies.c.name == "bowl").values(next_number=ROWS, seq=ROWS))
        # What is beyond the last number of "bowl" is most of the table, of which none belongs to "bowl".
        size = {"next_number": 4 * ROWS, "seq": 5 * ROWS}
        [larger] = tx.execute(
            tables.studies.insert().returning(tables.studies.c.id),
            study | {"name": "larger", "state": "completed"} | size,
        ).scalars()
        ended = [trial | {"study_id": larger, "number": n, "left_seq": ROWS + n} for n in range(4 * ROWS)]
        tx.execute(tables.trials.insert(), ended)
    if database.engine.dialect.name == "postgresql":
        with database.engine.connect() as connection:
            connection.execute(sa.text("ANALYZE"))
            connection.commit()


@contextmanager
def touched(database: Database) -> Iterator[dict[str, float]]:
    """Each statement, and how much of its allowance it takes; each is looked at once."""
    costs: dict[str, float] = {}
    measure = steps_of if database.engine.dialect.name == "sqlite" else rows_of

    def note(_c: object, cursor: Any, sql: str, parameters: Any, *_rest: object) -> None:
        if sql not in costs and any(f" {table}" in sql for table in LARGE):
            costs[sql] = 0.0
            costs[sql] = measure(cursor.connection, sql, parameters[0] if isinstance(parameters, list) else parameters)

    engines = {database.engine, database.reader}
    for engine in engines:
        sa.event.listen(engine, "before_cursor_execute", note)
    try:
        yield costs
    finally:
        for engine in engines:
            sa.event.remove(engine, "before_cursor_execute", note)


def steps_of(connection: Any, sql: str, parameters: Any) -> float:
    """The steps of SQLite's virtual machine, as a part of MOST_STEPS."""
    steps = 0

    def count() -> int:
        nonlocal steps
        steps += 100
        return 0

    with undone(connection.execute):
        connection.set_progress_handler(count, 100)
        try:
            connection.execute(sql, parameters).fetchall()
        finally:
            connection.set_progress_handler(None, 0)
    return steps / MOST_STEPS


def rows_of(connection: Any, sql: str, parameters: Any) -> float:
    """The rows of large tables that PostgreSQL looks at, as a part of MOST_ROWS."""
    with connection.cursor() as cursor, undone(cursor.execute):
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {sql}", parameters)
        [(plan,)] = cursor.fetchall()
    [root] = plan if isinstance(plan, list) else json.loads(plan)
    return max((rows_at(node) for node in nodes(root["Plan"])), default=0.0) / MOST_ROWS


def rows_at(node: dict[str, Any]) -> float:
    """The rows that a node of a plan has looked at in a large table, those that it left out, too."""
    if node.get("Relation Name") not in LARGE or "Scan" not in node["Node Type"]:
        return 0.0
    removed = sum(node.get(f"Rows Removed by {why}", 0) for why in ("Filter", "Index Recheck"))
    return float((node["Actual Rows"] + removed) * node["Actual Loops"])


def nodes(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for child in node.get("Plans", ()):
        yield from nodes(child)


@contextmanager
def undone(execute: Callable[[str], object]) -> Iterator[None]:
    execute("SAVEPOINT measured")
    try:
        yield
    finally:
        execute("ROLLBACK TO SAVEPOINT measured")
        execute("RELEASE SAVEPOINT measured")
