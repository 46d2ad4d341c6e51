"""Runs a service under all faults at random, and judges it: `python -m tests.soak --minutes 10`, or `make soak`.

On each kind of database, one after the other and each for so many minutes: two servers, four workers (networks, two of
them side by side, a user's program, a stream) and three clients, while the faults of a plan come and go. Ends with the
verdict of the checker, which is the exit status, and with figures. The plan follows from the seed alone, and is printed
first. Nothing is left behind: every process ends with this one, also if it is killed.
"""

from __future__ import annotations

import argparse
import faulthandler
import os
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any, Final

from benchmarks.results_file import stored_results, write_results
from tests import leftovers
from tests.processes import end_zygote
from tests.soak.case import LONGEST_MINUTES, Case
from tests.soak.checker import Violation, counts, longest_pause_s, violations
from tests.soak.faults import GENTLE, KINDS, RECOVERY_S, Fault, plan
from tests.soak.figures import growth, sample
from tests.soak.history import read_history
from tests.soak.injection import Injection
from tests.soak.logs import errors_in_logs
from tests.soak.record import read_record
from tests.soak.studies import PORTION_EVERY_S, run_by_workers
from tests.soak.system import System, now
from tests.soak.table import lines, write_table
from tests.soak.writes import WRITTEN

DATABASES: Final = ("sqlite", "postgres")
SAMPLE_EVERY_S: Final = 2.0
LOOK_EVERY_S: Final = 0.1
ALLOWANCE_S: Final = 420.0
"""What a run may take beside its minutes: to start, to go on after the last fault, to end and to be checked."""
NEEDS_POSTGRES: Final = "PostgreSQL killed"


class TookTooLong(Exception):
    """The hard limit of a run."""


def main() -> None:
    options = _options()
    leftovers.mark_this_run()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    results: dict[str, Any] = {}
    try:
        for kind in DATABASES if options.database == "both" else [options.database]:
            results[kind] = _limited(kind, options)
            print("\n".join(lines(results)), flush=True)
    except KeyboardInterrupt:
        print("Broken off.")
        sys.exit(128 + signal.SIGINT)
    finally:
        end_zygote()
        left = leftovers.left_behind(os.environ[leftovers.MARK])
        leftovers.end(left)
        print("Processes left behind, and ended:", len(left), *(one.command for one in left), sep="\n  ")
    if options.write:
        kept = stored_results("soak") | results
        write_results("soak", kept)
        write_table(kept)
    found = sum(len(result["violations"]) for result in results.values())
    bad = f"{found} violations, {len(left)} processes left behind"
    print("VERDICT:", bad if found or left else "every promise was kept")
    sys.exit(1 if found or left else 0)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make soak", description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--minutes", type=float, default=10.0, help="on each kind of database (%(default)s)")
    parser.add_argument("--database", choices=[*DATABASES, "both"], default="both")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="of the plan of faults; by default the time")
    parser.add_argument("--every", type=float, default=5.0, help="seconds between two faults, on average (%(default)s)")
    parser.add_argument("--gentle", action="store_true", help="only faults that restart no server and no worker")
    parser.add_argument("--keep", type=Path, help="a folder for histories, logs and the plan, which stay")
    parser.add_argument(
        "--write", action="store_true", help="keep the figures in benchmarks/results and docs/reliability.md"
    )
    options = parser.parse_args()
    if not 0 < options.minutes <= LONGEST_MINUTES:
        parser.error(f"--minutes is more than 0 and at most {LONGEST_MINUTES}: the clock is put forward by an hour")
    return options


def _limited(kind: str, options: argparse.Namespace) -> dict[str, Any]:
    """A run that ends in any case: first by an exception; if that does not help, with all processes."""
    limit_s = options.minutes * 60 + ALLOWANCE_S

    def too_long(*_: object) -> None:
        raise TookTooLong(f"The soak on {kind} took over {limit_s:.0f} s.")

    signal.signal(signal.SIGALRM, too_long)
    signal.setitimer(signal.ITIMER_REAL, limit_s)
    faulthandler.dump_traceback_later(limit_s + 180, exit=True)
    folder = Path(tempfile.mkdtemp(prefix="sturgeon-soak-"))
    folder.chmod(0o755)
    try:
        return run(kind, options, folder)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        faulthandler.cancel_dump_traceback_later()
        if options.keep is not None:
            _keep(folder, options.keep / kind)
        shutil.rmtree(folder, ignore_errors=True)


def run(kind: str, options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """One soak: the load with its faults, what comes after them, and the verdict with its figures."""
    seconds = options.minutes * 60
    with System(kind, options.seed, folder) as system:
        faults = plan(options.seed, seconds, _kinds(kind, system, gentle=options.gentle), options.every)
        print(
            f"Soak on {kind}, seed {options.seed}, {options.minutes:g} minutes. The plan:",
            *faults,
            sep="\n",
            flush=True,
        )
        system.start()
        injection = Injection(system)
        began = now()
        samples = _load(system, injection, faults, began + seconds)
        injection.end_due(all_of_them=True)
        over = now()
        samples += _load(system, injection, [], over + RECOVERY_S + 1)  # all has to go on
        ended = now()
        system.stop_clients()
        system.stop()
        case = Case(
            read_history(system.histories),
            read_record(system.database_url, system.checkpoints),
            injection.happened,
            began=began,
            ended=ended,
            damaged=injection.damaged,
            worker_studies=frozenset(study["name"] for study in run_by_workers()),
        )
        found = violations(case)
        found += [Violation("no process ends by itself", said) for said in _strange_ends(system, case)]
        found += [Violation("no error is logged", said) for said in errors_in_logs([*system.servers, *system.workers])]
        return _result(options, case, injection, samples, found)


def _kinds(kind: str, system: System, *, gentle: bool) -> list[str]:
    kinds = [*GENTLE] if gentle else [*KINDS]
    if kind != "postgres" and NEEDS_POSTGRES in kinds:
        kinds.remove(NEEDS_POSTGRES)
    if system.disk is None and "disk full" in kinds:
        print("No file system can be mounted here, so no disk is full.")
        kinds.remove("disk full")
    return kinds


def _load(system: System, injection: Injection, faults: list[Fault], until: float) -> list[dict[str, Any]]:
    """Let everything run until a time, with the faults of the plan. Processes are started from here alone: they follow
    the thread that started them."""
    began, samples = now(), []
    waiting = sorted(faults, key=lambda fault: fault.at_s)
    next_sample = next_portion = began
    while (time_now := now()) < until:
        injection.end_due()
        due = [fault for fault in waiting if began + fault.at_s <= time_now]
        waiting = [fault for fault in waiting if fault not in due or not injection.begin(fault)]
        system.look()
        if time_now >= next_sample:
            samples.append(sample(system))
            next_sample = time_now + SAMPLE_EVERY_S
        if time_now >= next_portion:
            system.add_portion()
            next_portion = time_now + PORTION_EVERY_S
        time.sleep(LOOK_EVERY_S)
    return samples


def _strange_ends(system: System, case: Case) -> list[str]:
    """A server that finds no database when it starts ends, and is started again; nothing else ends by itself."""
    without_database = any(fault.kind in (NEEDS_POSTGRES, "disk full") for fault in case.faults)
    ended = [
        f"{one.process} ended {count} times with status {status}: {one.process.output[-500:]}"
        for one in system.members
        for status, count in one.ends.items()
        if not (one in system.servers and without_database and status in (1, 3))
    ]
    stuck = [f"{one.process} went on after SIGTERM, {one.stuck} times" for one in system.members if one.stuck]
    return [*ended, *stuck]


def _result(
    options: argparse.Namespace, case: Case, injection: Injection, samples: list[dict[str, Any]], found: list[Violation]
) -> dict[str, Any]:
    statuses = Counter(f"{one.status}" for one in case.tries if one.status is not None and one.status >= 500)
    return {
        "minutes": options.minutes,
        "seed": options.seed,
        "violations": [list(one) for one in found],
        "requests": len(case.requests),
        "tries": len(case.tries),
        "answers_lost": sum(one.status is None for one in case.tries),
        "sent_again": sum(len(tries) - 1 for tries in case.requests.values()),
        "acknowledged_writes": sum(one.op in WRITTEN for one in case.acknowledged),
        "refused_late_writes": sum((one.answer or {}).get("code") == "lease_lost" for one in case.tries),
        "statuses_5xx": dict(statuses),
        "answers": counts(case.tries),
        "faults": dict(Counter(one.kind for one in injection.happened)),
        "trials": dict(Counter(row["state"] for row in case.record.trials)),
        "reports": len(case.record.reports),
        "reports_of": dict(Counter(case.keys[row["trial_id"]][0] for row in case.record.reports)),
        "checkpoints": len(case.record.checkpoints),
        "longest_pause_s": round(longest_pause_s(case), 1),
        "growth": growth(samples),
    }


def _keep(folder: Path, kept: Path) -> None:
    kept.mkdir(parents=True, exist_ok=True)
    for file in (*folder.glob("*.history"), *folder.glob("*.log")):
        shutil.copy(file, kept)


if __name__ == "__main__":
    main()
