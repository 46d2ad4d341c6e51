"""What waits for a server that is away is on disk: little is in memory, and a restarted worker delivers it."""

from __future__ import annotations

import gc
import os
import resource
import shutil
import threading
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import structlog
from structlog.testing import CapturingLogger

from sturgeon.errors import LeaseLost
from tests.processes import wait_until
from tests.worker.scripted import Running, ScriptedServer, epoch, lease
from worker.child.protocol import Applied, Finished, Paused, SavedCheckpoint
from worker.trial import left_behind, spool
from worker.trial.mailbox import Mailbox
from worker.trial.running import RunningTrial
from worker.trial.spool import Spool, TrialSpool
from worker.trial.thinning import ThinningRule, thinned

pytestmark = pytest.mark.fault("L5")
AWAY = httpx.ConnectError("refused")
TASK = {"checkpoints": {"best": 2, "last": 1}}
SERVER = "http://server.test"
MEGABYTE = 1_000_000


@pytest.fixture
def log() -> Any:
    return structlog.wrap_logger(CapturingLogger(), processors=[])


@pytest.fixture
def own(tmp_path: Path, log: Any) -> Iterator[Spool]:
    """The spool of a worker."""
    own = Spool(tmp_path, SERVER, log)
    own.open()
    yield own
    own.close()


def saved(step: int, value: float | None = None, size: int = 10, wanted: int = 0) -> SavedCheckpoint:
    return SavedCheckpoint(step, step, value, step.to_bytes(4, "big") + bytes(size - 4), wanted=wanted)


def steps_of(contents: list[bytes]) -> list[int]:
    return [int.from_bytes(content[:4], "big") for content in contents]


class Worker:
    """A worker with one trial, whose server is away until `server.faults` is cleared."""

    def __init__(self, own: Spool, log: Any, **task: Any) -> None:
        self.server = ScriptedServer(faults=dict.fromkeys(("report", "checkpoints", "tell", "release"), [AWAY] * 10**6))
        child: Any = left_behind.NoChild()
        leased = lease(task=TASK | task)
        self.trial = RunningTrial(leased, child, 0, self.server.client(), log, self._on_end, own.of_trial(leased))
        self.ended = threading.Event()
        self.trial.start()

    def _on_end(self, *_: object) -> None:
        self.ended.set()

    def die(self) -> None:
        """As a process that is killed: nothing is given back, and what is in memory is gone."""
        self.trial.leave_to_the_next()
        assert self.ended.wait(60)


def restarted(tmp_path: Path, log: Any, server: ScriptedServer) -> None:
    """A new worker delivers what others left behind."""
    new = Spool(tmp_path, SERVER, log)
    new.open()
    left_behind.deliver(new, server.client(), log, threading.Event())
    new.close()


def files(tmp_path: Path) -> list[str]:
    return sorted(path.name for path in tmp_path.rglob("*.npz"))


def test_checkpoints_that_wait_take_no_memory(own: Spool, log: Any) -> None:
    worker = Worker(own, log, checkpoints={"best": 5, "last": 5})
    worker.trial.hear(epoch(1))
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for step in range(1, 21):
        worker.trial.hear(saved(step, 0.5, 2 * MEGABYTE))
    gc.collect()
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    worker.die()

    assert grown < MEGABYTE


def test_the_memory_of_the_process_does_not_grow_with_what_waits(own: Spool, log: Any) -> None:
    worker = Worker(own, log, checkpoints={"best": 100, "last": 100})

    def resident_after(steps: range) -> int:
        for step in steps:
            worker.trial.hear(saved(step, 1 / step, 4 * MEGABYTE))
        gc.collect()
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()

    few = resident_after(range(1, 11))
    many = resident_after(range(11, 51))
    worker.die()

    assert many - few < 20 * MEGABYTE, "40 checkpoints have 160 MB"


def test_what_cannot_be_done_again_is_synced_before_it_counts(
    own: Spool, log: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []

    def fsync(descriptor: int) -> None:
        synced.append(Path(f"/proc/self/fd/{descriptor}").readlink().name.partition("-")[0])

    worker = Worker(own, log)
    monkeypatch.setattr(os, "fsync", fsync)
    said: dict[str, Any] = {
        "report": epoch(1),
        "checkpoint": saved(1, 0.5),
        "applied": Applied(1, 1),
        "last word": Finished("complete", 1, {"dev_error": 0.5}, checkpoints=(saved(2),)),
    }
    found = {}
    for what, message in said.items():
        worker.trial.hear(message)
        found[what], synced[:] = list(synced), []
    worker.die()

    assert found["report"] == []
    assert found["checkpoint"] == ["1.npz", "s", "journal"], "the file and its name, and then the line that names it"
    assert found["applied"] == ["journal"]
    assert found["last word"] == ["2.npz", "s", "journal"]


def test_a_checkpoint_that_a_power_cut_has_torn_is_not_delivered(own: Spool, log: Any, tmp_path: Path) -> None:
    worker = Worker(own, log)
    worker.trial.hear(saved(1, 0.2))
    worker.trial.hear(saved(2, 0.1))
    worker.die()
    own.close()
    [torn] = tmp_path.rglob("2.npz")
    torn.write_bytes(bytes(3))

    server = ScriptedServer()
    restarted(tmp_path, log, server)

    assert steps_of(server.named("checkpoints")) == [1]


def test_the_files_of_checkpoints_that_are_of_no_use_any_more_are_deleted(own: Spool, log: Any, tmp_path: Path) -> None:
    worker = Worker(own, log)
    for step in range(1, 21):
        worker.trial.hear(saved(step, 0.1 if step in (3, 7) else 0.5))
    # The newest, the best two, and one on its way, when all have come from the mailbox to the uploads.
    wait_until(lambda: len(files(tmp_path)) <= 4, "the others were deleted")

    worker.server.faults.clear()
    worker.trial.hear(Finished("complete", 20, {"dev_error": 0.5}))
    assert worker.ended.wait(60)
    assert steps_of(worker.server.named("checkpoints"))[-3:] == [3, 7, 20]
    assert not list(tmp_path.rglob("journal"))


def test_a_restarted_worker_delivers_reports_checkpoints_and_the_result(own: Spool, log: Any, tmp_path: Path) -> None:
    worker = Worker(own, log)
    for message in (epoch(1), Applied(1, 10), saved(10, 0.3), epoch(2), saved(20, 0.2)):
        worker.trial.hear(message)
    last = (saved(30, 0.1),)
    worker.trial.hear(Finished("complete", 30, {"dev_error": 0.1}, checkpoints=last, findings={"diagnosis": {"n": 1}}))
    worker.die()
    own.close()
    server = ScriptedServer()

    restarted(tmp_path, log, server)

    names = [name for name, _ in server.calls]
    assert names.index("report") < names.index("checkpoints") < names.index("diagnosis") < names.index("tell")
    assert [row["step"] for body in server.named("report") for row in body["reports"]] == [10, 20]
    assert [body["applied_version"] for body in server.named("report") if not body["reports"]] == [1]
    assert steps_of(server.named("checkpoints")) == [10, 20, 30]
    [told] = server.named("tell")
    assert (told["state"], told["metrics"]) == ("complete", {"dev_error": 0.1})
    assert not list(tmp_path.rglob("journal"))


def test_a_trial_without_a_result_is_left_to_its_lease(own: Spool, log: Any, tmp_path: Path) -> None:
    """To release it would spend no attempt, also where it is the trial that kills its workers."""
    worker = Worker(own, log)
    for message in (epoch(1), saved(10, 0.3)):
        worker.trial.hear(message)
    worker.die()
    own.close()
    server = ScriptedServer()

    restarted(tmp_path, log, server)

    assert steps_of(server.named("checkpoints")) == [10]
    assert server.named("release", "tell") == []


def test_a_paused_trial_is_given_back_by_the_restarted_worker(own: Spool, log: Any, tmp_path: Path) -> None:
    worker = Worker(own, log)
    for message in (saved(10, 0.3), Paused(10)):
        worker.trial.hear(message)
    worker.die()
    own.close()
    server = ScriptedServer()

    restarted(tmp_path, log, server)

    assert [name for name, _ in server.calls] == ["checkpoints", "release"]


def test_what_is_left_of_a_lost_lease_is_thrown_away(own: Spool, log: Any, tmp_path: Path) -> None:
    worker = Worker(own, log)
    worker.trial.hear(saved(10, 0.3))
    worker.die()
    own.close()
    server = ScriptedServer(faults={"checkpoints": [LeaseLost()]})

    restarted(tmp_path, log, server)
    restarted(tmp_path, log, server)

    assert server.calls == []
    assert not list(tmp_path.rglob("journal"))


def test_a_worker_that_lives_keeps_its_own(own: Spool, log: Any, tmp_path: Path) -> None:
    worker = Worker(own, log)
    worker.trial.hear(saved(10, 0.3))
    server = ScriptedServer()

    restarted(tmp_path, log, server)

    assert server.calls == []
    assert len(files(tmp_path)) == 1
    worker.die()


def test_a_torn_line_and_a_torn_lease_cost_only_themselves(own: Spool, log: Any, tmp_path: Path) -> None:
    torn, whole = Worker(own, log), Worker(own, log)
    for worker in (torn, whole):
        worker.trial.hear(saved(10, 0.3))
        worker.die()
    own.close()
    first, second = sorted(tmp_path.rglob("journal"))
    (first.parent / "lease.json").write_text("{")
    with second.open("a") as journal:
        journal.write('{"kind": "Prog')
    server = ScriptedServer()

    restarted(tmp_path, log, server)

    assert steps_of(server.named("checkpoints")) == [10]
    assert not list(tmp_path.rglob("journal"))


def test_a_long_journal_keeps_what_still_waits(
    own: Spool, log: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool, "MOST_LINES", 50)
    worker = Worker(own, log)
    for number in range(1, 500):
        worker.trial.hear(epoch(number))
    worker.trial.hear(saved(10, 0.3))
    worker.die()
    own.close()
    [journal] = tmp_path.rglob("journal")
    assert len(journal.read_text().splitlines()) >= 500  # none of them was delivered
    server = ScriptedServer()

    restarted(tmp_path, log, server)

    assert len([row for body in server.named("report") for row in body["reports"]]) == 499
    assert steps_of(server.named("checkpoints")) == [10]


def test_a_disk_that_takes_nothing_leaves_the_checkpoint_in_memory(own: Spool, log: Any, tmp_path: Path) -> None:
    worker = Worker(own, log)
    [folder] = tmp_path.glob("*/*/*/")
    shutil.rmtree(folder)
    worker.trial.hear(saved(10, 0.3))

    worker.server.faults.clear()
    worker.trial.hear(Finished("complete", 10, {}))

    assert worker.ended.wait(60)
    assert steps_of(worker.server.named("checkpoints")) == [10]


def test_a_folder_that_cannot_be_made_is_no_failure(log: Any, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    own = Spool(tmp_path / "file", SERVER, log)
    own.open()

    worker = Worker(own, log)
    worker.server.faults.clear()
    worker.trial.hear(saved(10, 0.3))
    worker.trial.hear(Finished("complete", 10, {}))

    assert worker.ended.wait(60)
    assert steps_of(worker.server.named("checkpoints")) == [10]
    assert list(own.left_behind()) == []


# --- the limit


def test_beyond_the_limit_the_oldest_are_dropped_and_the_newest_stays() -> None:
    waiting = [saved(1, 0.1), saved(2, wanted=4), saved(3, 0.2), saved(4, 0.9)]
    rule = ThinningRule(best=3, last=1)

    kept = [[one.step for one in thinned(waiting, rule._replace(most_bytes=most))] for most in (40, 35, 25, 15, 5)]

    assert kept == [[1, 2, 3, 4], [2, 3, 4], [2, 4], [4], [4]]


def test_a_trial_takes_no_more_of_the_disk_than_its_share(log: Any, tmp_path: Path) -> None:
    own = Spool(tmp_path, SERVER, log, most_bytes=3 * MEGABYTE)
    own.open()
    worker = Worker(own, log, checkpoints={"best": 50, "last": 50})
    worker.trial.hear(epoch(1))
    for step in range(1, 21):
        worker.trial.hear(saved(step, 1 / step, MEGABYTE))
    gc.collect()
    sizes = [path.stat().st_size for path in tmp_path.rglob("*.npz")]
    worker.die()
    own.close()

    assert sizes in ([MEGABYTE] * 3, [MEGABYTE] * 4)  # one may be on its way


def test_without_a_spool_nothing_is_written() -> None:
    with Running(TASK) as running:
        running.trial.start()
        running.say(saved(10, 0.3), Finished("complete", 10, {}))
        assert running.until_ended() is None
        assert steps_of(running.server.named("checkpoints")) == [10]
    assert TrialSpool(None, running.log).most_bytes > 1e300


def test_a_journal_written_anew_keeps_what_was_taken_but_not_delivered() -> None:
    mailbox = Mailbox(ThinningRule())
    said = [epoch(number) for number in range(1, 5)]
    for message in said:
        mailbox.put(message)

    assert [mailbox.get(), mailbox.get()] == said[:2]
    assert mailbox.waiting() == said
    mailbox.delivered()

    assert mailbox.waiting() == said[2:]
