"""A trial of a loop is held no longer than its code runs, whatever breaks while it ends."""

from __future__ import annotations

import _thread
import errno
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

import sturgeon
from sturgeon import errors
from tests.tuning.test_loop_checkpoints import folder_of, written

OpenStudy = Callable[..., sturgeon.Study]


@pytest.mark.parametrize("end", [None, KeyboardInterrupt(), ValueError("the code's own")])
@pytest.mark.parametrize(
    "broken", [KeyboardInterrupt(), OSError(errno.EIO, "I/O error"), errors.ServerUnreachable("?")]
)
def test_a_trial_whose_last_upload_breaks_is_held_no_longer(
    open_study: OpenStudy, monkeypatch: pytest.MonkeyPatch, end: BaseException | None, broken: BaseException
) -> None:
    study = open_study(trials=1)
    trial = study.trial()
    trial.report(1, loss=1)
    written(trial, "whole")
    place = folder_of(trial)

    def breaks(*_: object, **__: object) -> None:
        raise broken

    monkeypatch.setattr("sturgeon.folder_keeping.FolderKeeper.at_end", breaks)
    with pytest.raises(type(broken)):
        trial.leave(end)

    held = trial in study._connection.heartbeat._trials
    state = "running" if isinstance(broken, errors.ServerUnreachable) else "queued"  # until its lease runs out
    assert (held, place.exists(), [one.state for one in study.trials]) == (False, False, [state])


def test_an_interrupted_loop_gives_back_all_its_trials_where_one_breaks(
    open_study: OpenStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = open_study(trials=3)
    trials = [study.trial() for _ in range(3)]

    def breaks(_: object) -> None:
        raise OSError(errno.EIO, "I/O error")

    monkeypatch.setattr(trials[0], "leave", breaks)
    with pytest.raises(OSError, match="I/O error"):
        study.release_all()

    assert [one.state for one in study.trials] == ["running", "queued", "queued"]


def test_a_file_that_vanishes_from_the_folder_keeps_no_interrupted_trial(
    open_study: OpenStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = open_study(trials=1)
    trial = study.trial()
    written(trial, "being deleted")
    lstat = Path.lstat

    def vanished(path: Path) -> object:
        if path.name == "state":
            raise FileNotFoundError(errno.ENOENT, "No such file", str(path))
        return lstat(path)

    monkeypatch.setattr(Path, "lstat", vanished)
    trial.leave(KeyboardInterrupt())

    assert [one.state for one in study.trials] == ["queued"]


def test_a_loop_that_cannot_reach_the_server_gives_its_trial_back(
    open_study: OpenStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = open_study(trials=1)

    def away(*_: object) -> None:
        raise errors.ServerUnreachable("The server did not answer.")

    trial = study.trial()
    with monkeypatch.context() as patched:
        patched.setattr(study.client, "report", away)
        with pytest.raises(errors.ServerUnreachable), trial:
            trial.report(1, loss=1)

    assert [(one.state, one.attempt) for one in study.trials] == [("queued", 0)]


def test_a_loop_that_no_frame_of_python_leaves_gives_its_trial_back(open_study: OpenStudy) -> None:
    study = open_study(trials=1)
    loop = iter(study)
    trial, released = next(loop), threading.Event()
    give_back = trial.release

    def release() -> None:
        give_back()
        released.set()

    trial.release = release  # type: ignore[method-assign]
    _thread.start_new_thread(loop.close, ())  # type: ignore[attr-defined] # as the interpreter does at its end

    assert released.wait(10)
    assert [one.state for one in study.trials] == ["queued"]
