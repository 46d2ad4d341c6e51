"""A checkpoint whose file is gone or damaged: runs go on from the newest whole one, and everybody is told."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from server.store.blobs import BlobFolder
from sturgeon.errors import NotFound, Unavailable
from tests.server.panda.manual_worker import ManualWorker
from worker.child import sources
from worker.child.protocol import Job

if TYPE_CHECKING:
    from tests.running import RunningServer

pytestmark = pytest.mark.fault("L3")


def flip(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(bytes(content))


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:3])


DAMAGES = pytest.mark.parametrize("damage", [flip, cut, Path.unlink], ids=["flipped", "cut", "gone"])
Damage = Callable[[Path], None]


def harm(server: RunningServer, step: int, damage: Damage = flip, number: int = 0) -> None:
    [row] = [one for one in server.client.checkpoints("bear", number).items if one.step == step]
    damage(Path(server.settings.checkpoints) / row.sha256[:2] / row.sha256)


def read_in_vain(server: RunningServer, step: int, number: int = 0) -> None:
    with pytest.raises(NotFound, match=f"step {step} is gone or damaged"):
        server.client.checkpoint("bear", number, step)


def given_back(worker: ManualWorker) -> Any:
    """The worker could not read what it should begin with; what it gets next."""
    worker.client.release(*worker._where())
    return worker.take().resume


@DAMAGES
def test_a_run_goes_on_from_the_newest_whole_checkpoint(
    server: RunningServer, trained: ManualWorker, damage: Damage
) -> None:
    harm(server, 40, damage)
    resumed = given_back(trained)
    assert resumed.step == 40
    read_in_vain(server, 40)

    resumed = given_back(trained)

    assert (resumed.step, resumed.version) == (20, 2)
    changes = [(change.step, change.params) for change in resumed.timeline]
    assert changes == [(30, {"l2": 0.1}), (50, {"learning_rate": 0.5})]
    assert server.client.trial("bear", 0).attempt == 0


def test_without_any_whole_checkpoint_a_run_begins_at_the_start(server: RunningServer, trained: ManualWorker) -> None:
    for step in (20, 40):
        harm(server, step)
        read_in_vain(server, step)

    resumed = given_back(trained)

    assert (resumed.step, resumed.sha256, len(resumed.timeline)) == (0, None, 2)


@pytest.mark.usefixtures("trained")
def test_the_timeline_and_the_list_say_what_is_lost_once(server: RunningServer) -> None:
    harm(server, 40)
    for _ in range(3):
        read_in_vain(server, 40)

    told = server.client.timeline("bear", 0).lost
    assert [(one.step, one.before) for one in told] == [(40, 20)]
    assert [(one.step, one.lost) for one in server.client.checkpoints("bear", 0).items] == [(20, False), (40, True)]


@DAMAGES
def test_an_upload_of_the_same_bytes_makes_a_lost_checkpoint_whole(
    server: RunningServer, trained: ManualWorker, damage: Damage
) -> None:
    content = server.client.checkpoint("bear", 0, 40)
    harm(server, 40, damage)
    read_in_vain(server, 40)

    trained.client.put_checkpoint("bear", 0, 40, content, trained.lease.fence, 4, 0.2, version=1)

    assert server.client.checkpoint("bear", 0, 40) == content
    assert given_back(trained).step == 40


def test_damage_that_nobody_has_noticed_is_mended_by_an_upload(server: RunningServer, trained: ManualWorker) -> None:
    content = server.client.checkpoint("bear", 0, 40)
    harm(server, 40)

    trained.client.put_checkpoint("bear", 0, 40, content, trained.lease.fence, 4, 0.2, version=1)

    assert server.client.checkpoint("bear", 0, 40) == content


def test_a_file_that_comes_back_counts_again(server: RunningServer, trained: ManualWorker, tmp_path: Path) -> None:
    away = tmp_path / "away"
    harm(server, 40, lambda file: file.replace(away))
    read_in_vain(server, 40)
    harm(server, 40, lambda file: away.replace(file))

    server.client.checkpoint("bear", 0, 40)

    assert given_back(trained).step == 40


def test_a_lost_checkpoint_takes_no_other_ones_place(server: RunningServer, trained: ManualWorker) -> None:
    """The rule keeps the best two and the last two."""
    trained.report(7, 0.19)
    trained.upload(60, 0.1)
    harm(server, 60)
    read_in_vain(server, 60)

    for step, value in ((70, 0.3), (80, 0.9), (90, 0.9)):
        trained.upload(step, value)

    rows = server.client.checkpoints("bear", 0).items
    assert [one.step for one in rows if not one.lost] == [40, 70, 80, 90]


@pytest.mark.usefixtures("trained")
def test_another_than_the_best_is_never_handed_out_as_the_best(server: RunningServer) -> None:
    harm(server, 40)
    for _ in range(2):
        with pytest.raises(NotFound, match=r"step 40 is gone or damaged, and it is the best; .* is that of step 20"):
            server.client.checkpoint("bear", 0, "best")


@pytest.mark.usefixtures("trained")
def test_nobody_goes_back_to_or_branches_from_a_lost_checkpoint(server: RunningServer) -> None:
    harm(server, 40)
    read_in_vain(server, 40)

    with pytest.raises(NotFound, match="it has: 20"):
        server.client.rollback("bear", 0, step=40)
    with pytest.raises(NotFound, match="no checkpoint at step 40"):
        server.client.fork("bear", 0, [{"l2": 0.5}], step=40)
    assert server.client.rollback("bear", 0).desired.restore == 20


def test_a_rollback_whose_checkpoint_is_lost_goes_to_the_one_before(
    server: RunningServer, trained: ManualWorker
) -> None:
    server.client.rollback("bear", 0, step=40, params={"keep_prob": 0.5})
    harm(server, 40)
    read_in_vain(server, 40)

    resumed = given_back(trained)

    assert (resumed.step, resumed.leg, resumed.timeline) == (20, 4, [])
    assert trained.lease.desired.params == {"keep_prob": 0.5}  # the l2 of step 30 is undone, too
    last = server.client.timeline("bear", 0).items[-1]
    assert (last.verb, last.restore, last.actor) == ("rollback", 20, "server")
    assert last.reason == "The checkpoint of step 40 is gone or damaged."
    trained.apply(4, 20)
    states = [(one.version, one.state) for one in server.client.timeline("bear", 0).items]
    assert states == [(1, "reverted"), (2, "reverted"), (3, "superseded"), (4, "applied")]


def test_a_branch_without_its_first_checkpoint_fails_and_says_why(server: RunningServer, trained: ManualWorker) -> None:
    [child] = server.client.fork("bear", 0, [{"l2": 0.5}], step=40, control=False)
    trained.take(child.number)
    harm(server, 40, number=child.number)
    read_in_vain(server, 40, child.number)

    trained.client.release(*trained._where())

    ended = server.client.trial("bear", child.number)
    assert (ended.state, ended.attempt) == ("failed", 0)
    assert ended.error == "The checkpoint of step 40, with which this branch begins, is gone or damaged."


def test_a_branch_that_has_trained_on_goes_on_from_its_own_checkpoint(
    server: RunningServer, trained: ManualWorker
) -> None:
    [child] = server.client.fork("bear", 0, [{"l2": 0.5}], step=40, control=False)
    trained.take(child.number)
    trained.upload(50, 0.2)
    harm(server, 40, number=child.number)
    read_in_vain(server, 40, child.number)

    trained.client.release(*trained._where())

    assert trained.take(child.number).resume.step == 50


@pytest.mark.parametrize(("number", "is_lost"), [(errno.EIO, True), (errno.EMFILE, False), (errno.EACCES, False)])
def test_only_what_no_later_read_can_mend_counts_as_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, is_lost: bool
) -> None:
    blobs = BlobFolder(tmp_path)
    sha256 = blobs.write(b"state")

    def refuse(_path: Path, _mode: str) -> object:
        raise OSError(number, "no luck")

    with monkeypatch.context() as patched:  # only here: fixtures read files when they end
        patched.setattr(Path, "open", refuse)
        if is_lost:
            assert blobs.open(sha256) is None
        else:
            with pytest.raises(Unavailable, match="no luck"):
                blobs.open(sha256)


# --- what the worker makes of it


def job_of(worker: ManualWorker, resume: Any) -> Job:
    return Job({}, {}, 1, study="bear", number=worker.lease.number, resume=resume)


def prepared_job(worker: ManualWorker, resume: Any) -> Job:
    [job] = sources.prepared(worker.client, [job_of(worker, resume)], lambda _seconds: None)
    return job


def test_a_worker_says_that_the_beginning_is_lost(server: RunningServer, trained: ManualWorker) -> None:
    resumed = given_back(trained)
    harm(server, 40)

    with pytest.raises(sources.CheckpointLost, match=r"trial 0 at step 40 is lost: .* gone or damaged"):
        prepared_job(trained, resumed)

    again = prepared_job(trained, given_back(trained))
    assert (again.start, again.stored) == (b"0 at 20, 0", (b"0 at 20, 0",))


@pytest.mark.parametrize("noticed", [False, True])
def test_a_run_begins_although_an_earlier_checkpoint_than_its_own_is_lost(
    server: RunningServer, trained: ManualWorker, noticed: bool
) -> None:
    harm(server, 20)
    if noticed:
        read_in_vain(server, 20)

    job = prepared_job(trained, given_back(trained))

    assert (job.start, job.stored) == (b"0 at 40, 1", (b"0 at 40, 1",))
