"""What answers cost when a run, or a list of studies, gets long: `python -m benchmarks.report_cost`.

Prints, and writes to benchmarks/results/report_cost.json, for SQLite and PostgreSQL: the time of a report of a panda
with a guard, a plateau and a drift policy with challengers and retests, after 100 and after 10,000 portions; of the
list of 10 and of 1,000 studies; and of the best trials of a study of 500, asked for the first time and unchanged. What
counts are the ratios of one run. The rows of a long run are written as its reports would have written them: an alarm,
its answer and the way back every 200 portions, a retest every 100.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from statistics import median
from typing import Any, Final

from benchmarks.results_file import add_write_option, write_results
from server.services.idempotency import IdempotencyKey
from server.services.leases.ask import AskContext, dispatch
from server.services.leases.stacks import DispatchRequest
from server.services.metrics import Counters
from server.services.reporting.report import report
from server.services.sampling.sampler_pool import SamplerPool
from server.services.studies import lifecycle
from server.services.transactions import Transactions
from server.services.trial_rows import new_trial
from server.store import schema, studies, tables, trials
from server.store.engine import Database
from sturgeon.messages import Desired, ReportRequest, StudyRequest
from sturgeon.space import Space
from tests.postgres import Postgres

PORTIONS: Final = (100, 10_000)
STUDIES: Final = (10, 1_000)
TRIALS: Final = 500
ALARM_EVERY, RETEST_EVERY = 200, 100
POLICIES: Final[list[dict[str, Any]]] = [
    {"policy": "guard", "metric": "dev_error", "worse_by": 0.5, "within_epochs": 2},
    {"policy": "plateau", "patience_epochs": 1e6},
    {
        "policy": "drift",
        "auto": True,
        "challengers": [{"window": 3}],
        "retest_after": 10**6,
        "retest_trials": 2,
    },
]
STREAM: Final[dict[str, Any]] = {
    "mode": "panda",
    "metric": "dev_error",
    "params": {"learning_rate": 0.01},
    "policies": POLICIES,
    "budget": {"max_trials": 20},
    "task": {"kind": "train", "dataset": "stream:incoming", "epochs": 100_000},
}
BOWL: Final[dict[str, Any]] = {
    "metric": "loss",
    "space": {"x": {"type": "float", "low": -1, "high": 1}, "y": {"type": "float", "low": -1, "high": 1}},
    "search": {"sampler": "random", "seed": 7},
    "budget": {"max_trials": 1_000},
}


@contextmanager
def databases() -> Iterator[dict[str, Database]]:
    postgres = Postgres()
    postgres.start()
    try:
        with tempfile.TemporaryDirectory() as folder:
            urls = {"sqlite": f"sqlite:///{folder}/cost.db", "postgres": postgres.create_database("cost")}
            for url in urls.values():
                schema.migrate(url)
            found = {kind: Database(url, connections=4) for kind, url in urls.items()}
            yield found
            for database in found.values():
                database.dispose()
    finally:
        postgres.remove()


def create(database: Database, name: str, study: dict[str, Any]) -> None:
    request = StudyRequest.model_validate(study | {"name": name})
    lifecycle.create(database, request, IdempotencyKey.of(None, "POST /studies", request))


def told(portion: int) -> dict[str, Any]:
    """The report of a portion: ten steps, an epoch."""
    error = 0.1 + 0.1 * random.Random(portion).random()
    alarm = float(portion % ALARM_EVERY == 0 and portion > 0)
    metrics = {"dev_error": error, "fresh_error": error, "portion": float(portion), "drift": alarm}
    return {"step": 10 * portion, "epoch": float(portion), "metrics": metrics}


def follow_stream(database: Database, name: str, portions: int, fence: int) -> int:
    """Write what so many portions leave behind; the version of the desired state that they came to."""
    with database.writing() as tx:
        study = studies.find(tx, name)
        assert study is not None
        trial = trials.find(tx, study.id, 0)
        assert trial is not None
        place = {"trial_id": trial.id, "fence": fence, "rollback_generation": 0, "at": 1}
        tx.execute(tables.reports.insert(), [place | told(portion) for portion in range(portions)])
        entries: list[dict[str, Any]] = []
        events: list[dict[str, Any]] = []
        for portion in range(ALARM_EVERY, portions, ALARM_EVERY):
            for later, params in ((0, {"learning_rate": 0.005}), (5, {"learning_rate": 0.01})):
                of = {"params": params, "reason": "a change", "at": 1}
                entries.append(of | {"step": 10 * (portion + later)})
            events += [
                {
                    "kind": "challenge",
                    "detail": {"challengers": [1], "step": 10 * portion, "portion": portion, "portions": 3},
                },
                {"kind": "drift", "detail": {"key": f"drift {portion}", "reason": "inputs"}},
            ]
        for portion in range(RETEST_EVERY, portions, RETEST_EVERY):
            retest = f"{name}-0-retest-{portion}"
            events += [
                {"kind": "retest", "detail": {"retest": retest, "portion": portion}},
                {"kind": "retest_decided", "detail": {"retest": retest, "moved": False}},
            ]
        for event in events:
            row = event | {"study_id": study.id, "number": 0, "at": 1}
            made = tx.execute(tables.events.insert().values(row).returning(tables.events.c.id)).scalar_one()
            if event["kind"] == "challenge":
                decided = {"kind": "challenge_decided", "detail": {"challenge": made, "best": 0}}
                tx.execute(tables.events.insert().values(row | decided))
        for version, entry in enumerate(entries, start=1):
            step, of = entry.pop("step"), entry | {"trial_id": trial.id}
            base = {"version": version, "verb": "params", "actor": "policy:drift", "watching": False}
            applied = {"state": "applied", "from_step": step, "applied_at": 1}
            tx.execute(tables.timeline.insert().values(of | base | applied))
            accepted = {"policy": "drift", "state": "accepted", "version": version, "step": step}
            tx.execute(tables.proposals.insert().values(of | accepted))
        if entries:
            desired = Desired(version=len(entries)).model_dump(mode="json")
            trials.update(tx, trial.id, desired=desired, applied_version=len(entries), applied_step=1)
    return len(entries)


def cost_of_a_report(database: Database, portions: int, repeats: int) -> dict[str, float]:
    """Milliseconds: of the first report after so many portions, which may have to read the curve, and of the next."""
    name, counters = f"river{portions}", Counters()
    create(database, name, STREAM)
    asks = AskContext(database, counters)
    wanted = DispatchRequest(1, "bench", 3_600_000_000)
    [lease] = dispatch(
        asks, name, wanted, IdempotencyKey.of(None, "ask", StudyRequest.model_validate(STREAM | {"name": name}))
    ).leases
    version = follow_stream(database, name, portions, lease.fence)
    transactions = Transactions(database, counters)
    first, *later = (
        milliseconds(lambda portion=portion: report(transactions, name, 0, next_report(portion, lease.fence, version)))  # type: ignore[misc]
        for portion in range(portions + 1, portions + 2 + repeats)
    )
    return {"first_ms": first, "ms": median(later)}


def next_report(portion: int, fence: int, version: int) -> ReportRequest:
    applied = {"applied_version": version, "applied_step": 1} if version else {}
    return ReportRequest.model_validate({"fence": fence, "reports": [told(portion)]} | applied)


def cost_of_a_list(database: Database, count: int, repeats: int) -> dict[str, float]:
    """Milliseconds of a page of all studies, each with ten complete trials."""
    known = len(lifecycle.listing(database, 1000, None).items)
    for number in range(known, count):
        create(database, f"bowl{number}", BOWL)
        complete(database, f"bowl{number}", 10)
    assert len(lifecycle.listing(database, count, None).items) == count
    return {"ms": median(milliseconds(lambda: lifecycle.listing(database, count, None)) for _ in range(repeats))}


def complete(database: Database, name: str, count: int) -> None:
    """Complete trials of chance."""
    chance = random.Random(count)
    with database.writing() as tx:
        study = studies.find(tx, name)
        assert study is not None
        space = Space.model_validate(study.space)
        rows = []
        for number in range(count):
            point = tuple(chance.random() for _ in space.searched)
            end = {"state": "complete", "value": sum((u - 0.3) ** 2 for u in point) + 0.05 * chance.random()}
            rows.append(
                new_trial(study, number, space.decode(point), point, 1)
                | end
                | {"left_seq": number + 1, "finished_at": 1}
            )
        trials.insert(tx, rows)
        studies.update(tx, study.id, next_number=count, seq=count)


def cost_of_the_best(database: Database, repeats: int) -> dict[str, float]:
    """Milliseconds of the best trials: for the first time, and of the unchanged study."""
    create(database, "best", BOWL)
    complete(database, "best", TRIALS)
    pool = SamplerPool()
    first = milliseconds(lambda: lifecycle.best(database, pool, "best", 10))
    return {
        "first_ms": first,
        "ms": median(milliseconds(lambda: lifecycle.best(database, pool, "best", 10)) for _ in range(repeats)),
    }


def milliseconds(call: Callable[[], Any]) -> float:
    start = time.perf_counter()
    call()
    return (time.perf_counter() - start) * 1e3


def measured(database: Database, repeats: int) -> dict[str, Any]:
    reports = {str(portions): cost_of_a_report(database, portions, repeats) for portions in PORTIONS}
    best = cost_of_the_best(database, repeats)
    lists = {str(count): cost_of_a_list(database, count, repeats) for count in STUDIES}
    long, short = (reports[str(portions)]["ms"] for portions in reversed(PORTIONS))
    many, few = (lists[str(count)]["ms"] / count for count in reversed(STUDIES))
    ratios = {
        "report, long to short": long / short,
        "list, a study of many to one of few": many / few,
        "best, unchanged to first": best["ms"] / best["first_ms"],
    }
    return {"report_by_portions": reports, "list_by_studies": lists, "best_of_500": best, "ratios": ratios}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=30, help="of each measurement; the median counts")
    add_write_option(parser, "report_cost")
    arguments = parser.parse_args()
    with databases() as found:
        results = {kind: measured(database, arguments.repeats) for kind, database in found.items()}
    print(json.dumps(results, indent=1))
    if arguments.write:
        write_results("report_cost", results)


if __name__ == "__main__":
    main()
