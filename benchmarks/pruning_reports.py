"""What a report costs under each rule, in a study of many trials: milliseconds, the service without HTTP.

    python -m benchmarks.pruning_reports [--database postgresql://..]

Without --database it makes a SQLite file. The study has 1000 complete trials of 30 reports when 20 further trials
report their 30 epochs, one a call; a tell as pruned, which reads what the complete ones had, is measured last.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any, Final, get_args

from server.services.idempotency import IdempotencyKey
from server.services.leases import ask
from server.services.leases.ask import AskContext
from server.services.metrics import Counters
from server.services.reporting import report, tell
from server.services.studies import lifecycle
from server.services.transactions import Transactions
from server.store import reports, rung_scores, schema, trials
from server.store.engine import Database
from sturgeon import messages
from sturgeon.search.pruning import Rule, Settings, look

EPOCHS: Final = 30
BEFORE: Final = 1000
MEASURED: Final = 20
NEVER: Final = IdempotencyKey.of(None, "", messages.AskRequest())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--database", default=f"sqlite:///{Path(tempfile.mkdtemp()) / 'bench.db'}")
    url = parser.parse_args().database
    schema.migrate(url)
    database, counters = Database(url), Counters()
    asks = AskContext(database, counters)
    print("| rule | report, median | 95 % | where it looks, median | pruned tell, median |\n|---|---|---|---|---|")
    for rule in get_args(Rule):
        print(f"| {rule} | {' | '.join(f'{1e3 * one:.1f} ms' for one in _measured(asks, rule))} |")
    database.dispose()


def _measured(asks: AskContext, rule: Rule) -> list[float]:
    """Seconds of a report: the median, 95 %, the median where the rule looks; and of a tell as pruned."""
    name = f"{rule}-{time.time_ns()}"
    _create(asks, name, rule)
    every, at_looks = [], []
    for number in range(BEFORE, BEFORE + MEASURED):
        for epoch in range(1, EPOCHS + 1):
            request = messages.ReportRequest(fence=1, reports=[messages.Report(step=epoch, metrics={"loss": 0.5})])
            began = time.perf_counter()
            report.report(Transactions(asks.database, asks.counters), name, number, request)
            every.append(time.perf_counter() - began)
            if epoch in _looks(rule):
                at_looks.append(every[-1])
    tells = []
    for number in range(BEFORE, BEFORE + MEASURED):
        told = messages.TellRequest(fence=1, state="pruned", metrics={"loss": 0.5})
        began = time.perf_counter()
        tell.tell(Transactions(asks.database, asks.counters), 3, name, number, told)
        tells.append(time.perf_counter() - began)
    return [median(every), sorted(every)[int(0.95 * len(every))], median(at_looks or every), median(tells)]


def _looks(rule: Rule) -> list[int]:
    settings = Settings(rule, EPOCHS + 1)
    return [epoch for epoch in range(1, EPOCHS + 1) if look(settings, epoch - 1, epoch) is not None]


def _create(asks: AskContext, name: str, rule: Rule) -> None:
    """A study with complete trials, and further ones that are leased."""
    body: dict[str, Any] = {
        "name": name,
        "metric": "loss",
        "space": {"x": {"type": "float", "low": 0, "high": 1}},
        "search": {"sampler": "random", "seed": 1},
        "pruning": {"rule": rule, "epochs": EPOCHS + 1},
        "budget": {"max_trials": BEFORE + MEASURED},
    }
    lifecycle.create(asks.database, messages.StudyRequest.model_validate(body), NEVER)
    ask.ask(asks, name, messages.AskRequest(count=BEFORE), NEVER)
    with asks.database.writing() as tx:
        study = lifecycle.required(tx, name, lock=True)
        one = {"fence": 1, "epoch": None, "metrics": {"loss": 1.0}, "at": 0}
        for row in trials.unfinished(tx, study.id):
            reports.insert(tx, [one | {"trial_id": row.id, "step": epoch} for epoch in range(1, EPOCHS + 1)])
            for epoch in _looks(rule) if rule != "curve" else ():
                rung_scores.insert(tx, study.id, epoch, row.id, 1.0)
            told = {"state": "complete", "value": 1.0, "metrics": {"loss": 1.0}, "best_score": 1.0}
            trials.update(tx, row.id, **told, left_seq=row.number + 1)
    ask.ask(asks, name, messages.AskRequest(count=MEASURED), NEVER)


if __name__ == "__main__":
    main()
