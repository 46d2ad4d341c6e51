"""The checkpoint folder of a trial in a loop: uploaded when it is whole, and there again where the trial goes on."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path

import pytest

import sturgeon
from sturgeon import errors
from sturgeon.tuning.trial import StudyTrial
from tests.running import RunningServer

OpenStudy = Callable[..., sturgeon.Study]


def folder_of(trial: StudyTrial) -> Path:
    assert trial.checkpoint is not None
    return trial.checkpoint


def written(trial: StudyTrial, text: str) -> None:
    (folder_of(trial) / "state").write_text(text)


def stored(study: sturgeon.Study, number: int = 0) -> list[int]:
    return [one.step for one in study.client.checkpoints(study.name, number).items]


def steps(study: sturgeon.Study) -> list[int]:
    return [one.step for one in study.client.trial_metrics(study.name, 0).items]


def interrupted(study: sturgeon.Study, *, says_so: bool) -> Path:
    """A first run that reports 3, 2, 2.5 at the steps 1 to 3, writes its folder at each, and is interrupted."""
    trial = study.trial()
    for step, loss in enumerate([3, 2, 2.5], 1):
        trial.report(step, loss=loss)
        written(trial, f"after {step}")
        if says_so:
            trial.saved(step)
    place = folder_of(trial)
    trial.leave(KeyboardInterrupt())
    return place


def test_a_trial_goes_on_from_what_an_interrupted_loop_has_saved(open_study: OpenStudy) -> None:
    place = interrupted(open_study(trials=1), says_so=True)
    other = open_study(trials=1)
    assert not place.exists()

    [trial] = [again(trial) for trial in other]

    assert trial == "after 3"
    assert steps(other) == [1, 2, 3, 4]
    assert [(one.state, one.value) for one in other.trials] == [("complete", 1)]


def again(trial: StudyTrial) -> str:
    text = (folder_of(trial) / "state").read_text()
    trial.report(loss=1)
    return text


def test_the_best_is_uploaded_at_once_and_the_last_when_the_trial_is_given_back(open_study: OpenStudy) -> None:
    study = open_study()
    for trial in study:
        seen = []
        for step, loss in enumerate([3, 2, 2.5], 1):
            trial.report(step, loss=loss)
            written(trial, f"after {step}")
            trial.saved(step)
            seen.append(stored(study))
        break

    assert seen == [[1], [2], [2]]  # one of the best and one of the last are kept
    assert stored(study) == [2, 3]


def test_a_folder_that_was_being_written_when_the_loop_was_interrupted_is_not_kept(open_study: OpenStudy) -> None:
    study = open_study()
    interrupted(study, says_so=False)
    assert stored(study) == []

    with study.trial() as trial:
        assert (trial.number, list(folder_of(trial).iterdir())) == (0, [])
        trial.report(1, loss=5)
        assert steps(study) == [1]


def test_a_program_that_never_says_saved_keeps_its_folder_at_a_clean_end(open_study: OpenStudy) -> None:
    study = open_study()
    for trial in study:
        trial.report(7, loss=1)
        written(trial, "whole")
        break

    assert stored(study) == [7]


def test_a_paused_trial_is_resumed_with_its_folder(server: RunningServer, open_study: OpenStudy) -> None:
    study = open_study(trials=1)
    for trial in study:
        trial.report(1, loss=3)
        written(trial, "at the pause")
        server.client.pause("bowl", trial.number)
        trial.report(2, loss=2)
        assert trial.should_pause
        assert trial.should_stop
        break
    assert [one.state for one in study.trials] == ["paused"]
    assert stored(study) == [2]
    server.client.resume("bowl", 0)

    [text] = [again(trial) for trial in open_study(trials=1)]

    assert text == "at the pause"
    assert steps(study) == [1, 2, 3]


def test_a_rollback_brings_back_the_folder_of_its_step(server: RunningServer, open_study: OpenStudy) -> None:
    study = open_study(trials=1)
    with study.trial() as trial:
        for step, loss in enumerate([1, 2, 3], 1):
            trial.report(step, loss=loss)
            written(trial, f"after {step}")
            trial.saved(step)
        server.client.rollback("bowl", 0, 1)
        trial.report(4, loss=4)
        assert trial.should_stop

    [text] = [again(trial) for trial in study]

    assert text == "after 1"
    assert steps(study) == [1, 2]


def test_a_checkpoint_that_a_person_asks_for_is_kept_at_the_next_save(
    server: RunningServer, open_study: OpenStudy
) -> None:
    study = open_study(trials=1)
    with study.trial() as trial:
        for step, loss in enumerate([1, 2, 0.5, 0.4], 1):
            trial.report(step, loss=loss)
            assert not trial.should_stop
            assert trial.params
            written(trial, f"after {step}")
            trial.saved(step)
            if step == 1:
                server.client.keep_checkpoint("bowl", 0)
                trial.report(step, loss=loss)

    assert stored(study) == [2, 4]


def test_a_guarded_change_names_the_checkpoint_before_it(server: RunningServer, open_study: OpenStudy) -> None:
    study = open_study(trials=1)
    with study.trial() as trial:
        trial.report(1, loss=1)
        written(trial, "before")
        trial.saved(1)
        guard = {"metric": "loss", "worse_by": 0.5, "within_epochs": 5}
        server.client.set_params("bowl", 0, {"x": 0.5}, guard=guard)
        trial.report(2, loss=1)
        assert trial.params.x == 0.5
        trial.report(3, loss=1)

        assert [one.checkpoint for one in server.client.timeline("bowl", 0).items] == [1]


def test_a_run_that_ends_where_its_checkpoint_was_has_its_values(open_study: OpenStudy) -> None:
    interrupted(open_study(trials=1), says_so=True)

    study = open_study(trials=1)
    for trial in study:
        folder_of(trial)

    assert [(one.state, one.value) for one in study.trials] == [("complete", 2.5)]


def test_a_checkpoint_that_the_server_refuses_ends_no_trial(
    open_study: OpenStudy, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    study = open_study(trials=1)

    def refuse(*_: object) -> None:
        raise errors.QuotaExceeded("No room.")

    monkeypatch.setattr(study.client, "put_checkpoint", refuse)
    for trial in study:
        trial.report(1, loss=1)
        written(trial, "x")
        trial.saved(1)

    assert [one.state for one in study.trials] == ["complete"]
    assert "trial 0 of bowl: the checkpoint of step 1 was not stored: No room." in caplog.text


def test_a_task_without_checkpoints_gives_its_trials_no_folder(open_study: OpenStudy) -> None:
    with open_study(task="train:run").trial() as trial:
        trial.saved(1)
        trial.report(loss=1)
        assert trial.checkpoint is None


def test_processes_of_optimize_go_on_with_the_folder(open_study: OpenStudy) -> None:
    interrupted(open_study(trials=1), says_so=True)

    study = open_study(trials=1).optimize(lambda trial: float(again(trial) == "after 3"), workers=2)

    assert [(one.state, one.value) for one in study.trials] == [("complete", 1)]


def harm(server: RunningServer, step: int, *, is_gone: bool) -> None:
    [row] = [one for one in server.client.checkpoints("bowl", 0).items if one.step == step]
    file = Path(server.settings.checkpoints) / row.sha256[:2] / row.sha256
    if is_gone:
        file.unlink()
    else:
        file.write_bytes(file.read_bytes()[:-1] + b"x")


@pytest.mark.parametrize("is_gone", [True, False])
def test_a_loop_goes_on_from_an_older_checkpoint_where_the_newest_is_lost(
    server: RunningServer, open_study: OpenStudy, caplog: pytest.LogCaptureFixture, is_gone: bool
) -> None:
    interrupted(open_study(trials=1), says_so=True)
    harm(server, 3, is_gone=is_gone)

    study = open_study(trials=1)
    [text] = [again(trial) for trial in study]

    assert text == "after 2"
    assert steps(study) == [1, 2, 3]
    assert [(one.state, one.value, one.attempt) for one in study.trials] == [("complete", 1, 0)]
    assert "trial 0 of bowl is given back: The file of the checkpoint at step 3 is gone or damaged." in caplog.text


def test_a_loop_begins_anew_where_all_checkpoints_are_lost(server: RunningServer, open_study: OpenStudy) -> None:
    interrupted(open_study(trials=1), says_so=True)
    harm(server, 2, is_gone=True)
    harm(server, 3, is_gone=False)

    def objective(trial: StudyTrial) -> float:
        assert list(folder_of(trial).iterdir()) == []
        trial.report(0, loss=1)
        return 1.0

    study = open_study(trials=1).optimize(objective)

    assert steps(study) == [0]
    assert [(one.state, one.value) for one in study.trials] == [("complete", 1)]


def test_a_checkpoint_that_is_no_folder_ends_its_trial_alone(server: RunningServer, open_study: OpenStudy) -> None:
    study = open_study(trials=2)
    by_hand = server.client.ask("bowl").leases[0]
    server.client.report("bowl", 0, by_hand.fence, [{"step": 1, "metrics": {"loss": 1}}])
    server.client.put_checkpoint("bowl", 0, 1, b"no folder", by_hand.fence)
    server.client.release("bowl", 0, by_hand.fence)

    for trial in study:
        again_from_nothing(trial)

    first, second = study.trials
    assert (first.state, second.state) == ("failed", "complete")
    assert first.error is not None
    assert first.error.startswith("The checkpoint of step 1 cannot be unpacked: the checkpoint is no whole folder")


def again_from_nothing(trial: StudyTrial) -> None:
    assert list(folder_of(trial).iterdir()) == []
    trial.report(loss=1)


def test_a_trial_whose_checkpoint_finds_no_room_here_is_given_back(
    open_study: OpenStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = open_study(trials=1)
    interrupted(study, says_so=True)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("sturgeon.folder_keeping.unpack", full)
    with pytest.raises(OSError, match="No space left"):
        study.ask()

    assert [one.state for one in study.trials] == ["queued"]
