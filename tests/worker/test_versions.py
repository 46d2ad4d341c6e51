"""The version of code and data: the same for the same files wherever they lie, another as soon as one differs."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from sturgeon.checkout import code_version
from tests.worker.own_programs import OwnProgram
from worker.child import versions
from worker.child.protocol import DesiredRun, FindingsMessage, Job, Unable
from worker.child.versions import data_version
from worker.tasks import train


def git(folder: Path, *arguments: str) -> None:
    who = ["-c", "user.name=ada", "-c", "user.email=ada@example.org", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", "-C", str(folder), *who, *arguments], check=True, capture_output=True)


def test_a_checkout_says_its_commit_and_whether_files_differ_from_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    assert code_version(tmp_path / "nowhere") is None
    git(tmp_path, "init", "-q")
    assert code_version(tmp_path) is None  # no commit yet
    (tmp_path / "train.py").write_text("lr = 1\n")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-q", "-m", "first")

    clean = code_version(tmp_path)
    assert clean is not None
    assert (len(clean["commit"]), clean["dirty"]) == (40, False)
    found: list[Any] = [clean]
    for content in ("lr = 2\n", "lr = 3\n"):
        (tmp_path / "train.py").write_text(content)
        found.append(code_version(tmp_path))
    assert [one["dirty"] for one in found] == [False, True, True]
    assert len({one.get("diff") for one in found}) == 3


def test_without_git_there_is_no_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    assert code_version(tmp_path) is None


def test_the_same_files_elsewhere_have_the_same_fingerprint(tmp_path: Path) -> None:
    for place in ("here", "there"):
        (tmp_path / place / "sub").mkdir(parents=True)
        (tmp_path / place / "a.csv").write_text("1,2\n")
        (tmp_path / place / "sub" / "b.csv").write_text("3\n")
    here, there = tmp_path / "here", tmp_path / "there"

    assert data_version([here]) == data_version([there])
    assert data_version([]) is None
    whole = data_version([here])
    assert whole is not None
    assert (whole["files"], whole["size"], whole["partial"]) == (2, 6, False)
    (there / "sub" / "b.csv").write_text("4\n")
    moved = data_version([there])
    (there / "sub" / "b.csv").rename(there / "sub" / "c.csv")
    assert len({str(one) for one in (whole, moved, data_version([there]))}) == 3
    assert data_version([here / "a.csv"]) != data_version([here / "sub" / "b.csv"])


def test_of_a_large_file_both_ends_and_the_size_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(versions, "WHOLE", 8)
    found = []
    for content in ("12345678", "123456789", "1234x6789", "1234567890", "123456789x", "x234567890"):
        (tmp_path / "data").write_text(content)
        found.append(data_version([tmp_path / "data"]))

    assert [one and one["partial"] for one in found] == [False, True, True, True, True, True]
    assert found[1] == found[2]  # what is between the ends is not read
    assert len({str(one) for one in found}) == 5


def test_a_train_task_tells_the_fingerprint_of_its_file(tmp_path: Path) -> None:
    (tmp_path / "points.csv").write_text("x,y\n" + "".join(f"{i},{i % 2}\n" for i in range(40)))
    task = {"kind": "train", "dataset": "csv:points.csv", "epochs": 1, "checkpoints": None, "metric": "dev_error"}
    messages = train.run([Job(task, {}, seed=1, data_dirs=(tmp_path,))], lambda _place: DesiredRun())

    _, found = next(messages)
    messages.close()
    assert isinstance(found, FindingsMessage)
    assert found.findings["versions"] == {"data": data_version([tmp_path / "points.csv"])}


def test_a_program_tells_its_commit_and_the_fingerprint_of_its_data(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "x.csv").write_text("1\n")
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-q", "-m", "first")
    program = OwnProgram(tmp_path)

    program.last("print('STURGEON {\"loss\": 1}')", data=["data"])

    [found] = [one.findings["versions"] for one in program.said if isinstance(one, FindingsMessage)]
    assert found["data"] == data_version([tmp_path / "data"])
    assert (len(str(found["code"]["commit"])), found["code"]["dirty"]) == (40, True)  # the script is not in it


def test_a_worker_without_the_data_of_a_program_gives_its_trial_back(tmp_path: Path) -> None:
    last = OwnProgram(tmp_path).last("raise SystemExit(1)", data=["data/x.csv"])

    assert isinstance(last, Unable)
    assert "There is no file or folder" in last.reason
