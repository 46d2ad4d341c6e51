"""Temporary folders and files that killed processes have left are deleted by the next of their kind, and no others."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from server.dashboard import assets
from sturgeon import messages as m
from sturgeon import temporary
from sturgeon.cli import export
from sturgeon.client import Client
from sturgeon.temporary import LOCK, TORN_AFTER_S, TemporaryFolder, make_removable, sweep, written_beside
from sturgeon.tuning import trial_folder
from worker.child import process

KIND = "sturgeon-test-"
HOLDS = f"""
import os, signal
from sturgeon.temporary import TemporaryFolder
folder = TemporaryFolder({KIND!r})
(folder.path / "packed.tar").write_bytes(b"0" * 1000)
print(folder.path.name, flush=True)
signal.pause()
"""

WORKS = """
import os, tempfile
from worker.child import process
with process._short_socket_path():
    assert tempfile.gettempdir() == os.environ["TMPDIR"]
print(*os.listdir(tempfile.gettempdir()))
"""


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder for temporary files."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    temporary._sweep_once.cache_clear()
    return tmp_path


def of_the_dead(place: Path, name: str = f"{KIND}00000000") -> Path:
    folder = place / name
    folder.mkdir()
    (folder / LOCK).write_bytes(temporary.machine())
    return folder


def test_the_folder_of_a_process_that_was_killed_is_swept_and_no_earlier(place: Path) -> None:
    env = os.environ | {"TMPDIR": str(place)}
    with subprocess.Popen([sys.executable, "-c", HOLDS], env=env, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        name = holder.stdout.readline().strip()
        with TemporaryFolder(KIND) as own:
            sweep(KIND)
            assert sorted(place.iterdir()) == sorted([own.path, place / name])
        holder.kill()
    assert list(place.iterdir()) == [place / name]

    sweep(KIND)

    assert list(place.iterdir()) == []


def test_a_sweep_leaves_what_is_not_its_own(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = of_the_dead(place, "elsewhere")
    (place / f"{KIND}link0000").symlink_to(elsewhere)
    (place / f"{KIND}no_lock0").mkdir()
    (place / f"{KIND}file0000").touch()
    (of_the_dead(place, f"{KIND}far00000") / LOCK).write_bytes(b"another machine, whose locks are not seen here")
    (of_the_dead(place, f"{KIND}results0") / LOCK).write_bytes(b"")  # a user's own
    (place / f"{KIND}a_pipe00").mkdir()
    os.mkfifo(place / f"{KIND}a_pipe00" / LOCK)
    of_the_dead(place, f"{KIND}longer-than-ours")
    of_the_dead(place, "sturgeon-else-00000000")
    spared = of_the_dead(place)
    before = sorted(place.iterdir())

    sweep(KIND, spared={str(spared)})
    assert sorted(place.iterdir()) == before
    monkeypatch.setattr("os.getuid", lambda: os.geteuid() + 1)
    sweep(KIND)  # all are another user's
    assert sorted(place.iterdir()) == before


def test_a_sweep_of_a_folder_that_is_gone_raises_nothing(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(place / "gone"))

    sweep(KIND)

    assert list(place.iterdir()) == []


def test_folders_that_a_program_has_forbidden_can_be_removed_again(place: Path) -> None:
    inner = place / "checkpoint" / "inner" / "most"
    inner.mkdir(parents=True)
    for folder in (inner, inner.parent, inner.parent.parent):
        folder.chmod(0)

    make_removable(place / "checkpoint")

    assert [path.stat().st_mode & 0o777 for path in (inner, inner.parent, inner.parent.parent)] == [0o700] * 3


def test_a_forked_process_deletes_no_folder_of_its_parent() -> None:
    folder = TemporaryFolder(KIND)
    if (pid := os.fork()) == 0:
        folder.delete()
        os._exit(0)
    os.waitpid(pid, 0)

    assert folder.path.is_dir()
    folder.delete()
    assert not folder.path.exists()


@pytest.mark.parametrize("kind", [trial_folder.KIND, assets.KIND, process.KIND])
def test_each_kind_is_swept_once_by_its_next_start(place: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    starts: dict[str, Callable[[], object]] = {
        trial_folder.KIND: begin_a_trial,
        assets.KIND: keep_the_script,
        process.KIND: process._worker_folder.__wrapped__,
    }
    monkeypatch.setattr(assets, "_of_this_process", [])
    monkeypatch.setattr(assets, "_made", lambda: b"window.vega = {};")
    monkeypatch.setattr(assets, "BESIDE", Path("/proc/none"))
    monkeypatch.setattr(assets, "_user_cache", list)
    left = of_the_dead(place, f"{kind}00000000")

    made = starts[kind]()

    [folder] = place.iterdir()
    assert folder != left
    assert folder.name.startswith(kind)
    assert made is not None


def begin_a_trial() -> trial_folder.TrialFolder:
    lease = m.Lease.model_construct(resume=None, desired=m.Desired(version=0, params={}))
    client = Client("http://127.0.0.1:9")
    return trial_folder.TrialFolder(client, lease, m.CheckpointRule(), "minimize", trial_folder.Reached("loss"))


def keep_the_script() -> Path:
    assert assets.vega_script() == assets.vega_script()  # it is made once
    return assets.vega_script()


def torn(file: Path, *, hours_ago: float) -> Path:
    file.write_bytes(b"half")
    then = file.stat().st_mtime - hours_ago * TORN_AFTER_S
    os.utime(file, (then, then))
    return file


def test_a_file_that_a_killed_process_left_is_deleted_by_the_next_of_its_name(place: Path) -> None:
    old = torn(place / ".m[1].csv.00000123.torn", hours_ago=1.1)
    new = torn(place / ".m[1].csv.00000456.torn", hours_ago=0.9)
    others = [
        torn(place / name, hours_ago=9) for name in (".m1.csv.00000000.torn", ".m[1].csv.20240101", ".m[1].csv.v1")
    ]
    (place / ".m[1].csv.folder00.torn").mkdir()
    os.utime(place / ".m[1].csv.folder00.torn", (0, 0))

    export._write_whole(place / "m[1].csv", lambda file: file.write(b"whole"))

    assert not old.exists()
    left = [new, *others, place / ".m[1].csv.folder00.torn", place / "m[1].csv"]
    assert sorted(place.iterdir()) == sorted(left)


def test_a_file_whose_writer_is_slow_is_not_deleted_and_two_writers_disturb_nobody(place: Path) -> None:
    with written_beside(place / "copy") as slow:
        slow.write_bytes(b"slow")
        os.utime(slow, (0, 0))
        with written_beside(place / "copy") as quick:
            quick.write_bytes(b"quick")
        assert (place / "copy").read_bytes() == b"quick"
        assert slow.exists()

    assert (place / "copy").read_bytes() == b"slow"
    assert list(place.iterdir()) == [place / "copy"]


def test_the_page_deletes_a_script_that_was_half_written(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(assets, "_made", lambda: b"window.vega = {};")
    torn(place / f".{assets.NAME}.00000077.torn", hours_ago=2)

    assert assets.vega_script([place]) == place / assets.NAME

    assert list(place.iterdir()) == [place / assets.NAME]


def test_a_worker_and_its_fork_server_leave_nothing_for_temporary_files() -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as short:  # a socket's path is
        env = os.environ | {"TMPDIR": short}
        seen = subprocess.run([sys.executable, "-c", WORKS], env=env, capture_output=True, text=True, check=True)

        assert seen.stdout.strip().startswith(process.KIND)
        assert (seen.stderr, list(Path(short).iterdir())) == ("", [])
