"""The task `train` on a folder of portions: told portion by portion, gone on with to the same bits."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sturgeon.messages import Change, Resume
from trainer.checkpoint import Checkpoint
from trainer.streams.stream import END
from worker.child.protocol import (
    Applied,
    ChildMessage,
    DesiredRun,
    FindingsMessage,
    Finished,
    Job,
    Paused,
    Progress,
    RunEventMessage,
    SavedCheckpoint,
)
from worker.tasks import answers, recent_findings, stream, train

TASK: dict[str, Any] = {
    "kind": "train",
    "dataset": "stream:s",
    "epochs": 100,
    "batch_size": 16,
    "checkpoints": {"best": 1, "last": 1, "every_epochs": 1},
}
ANSWERED = DesiredRun(answered=10**9)
Desired = Callable[[int], DesiredRun]


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "PULSE_S", 1e-9)  # after every step


@pytest.fixture
def job(tmp_path: Path) -> Job:
    """Six portions and the end; the third is torn, the fourth is the second again, the fifth is drawn otherwise."""
    rng = np.random.default_rng(1)
    folder = tmp_path / "s"
    folder.mkdir()
    for number in range(6):
        y = rng.integers(0, 3, 60)
        X = rng.standard_normal((60, 4)) + y[:, None] + (8 if number >= 4 else 0)
        np.savez(folder / f"{number}.npz", X=X, y=y)
    (folder / "2.npz").write_bytes((folder / "2.npz").read_bytes()[:500])
    (folder / "3.npz").write_bytes((folder / "1.npz").read_bytes())
    (folder / END).touch()
    return Job(TASK, {"learning_rate": 0.01}, seed=3, data_dirs=(tmp_path,))


def ran(job: Job, desired: Callable[[int], DesiredRun] = lambda _told: ANSWERED) -> list[ChildMessage]:
    """All that the task says; `desired` is given how many portions have been told."""
    said: list[ChildMessage] = []
    for _, one in train.run([job], lambda _place: desired(sum(isinstance(x, Progress) for x in said))):
        said.append(one)
    return said


def of(kind: type[Any], said: list[ChildMessage]) -> list[Any]:
    return [one for one in said if isinstance(one, kind)]


def untimed(progress: Progress) -> dict[str, float]:
    return {name: value for name, value in progress.metrics.items() if name != "seconds"}


def test_a_run_tells_its_portions_what_it_refused_and_where_the_data_changed(job: Job) -> None:
    said = ran(job)

    assert [one.metrics["portion"] for one in of(Progress, said)] == [0, 1, 2, 3]
    reasons = [(one.kind, one.detail["reason"]) for one in of(RunEventMessage, said)]
    assert [kind for kind, _ in reasons] == ["portion_refused", "portion_refused", "drift"]
    assert "2.npz is torn" in reasons[0][1]
    assert "same examples as 1.npz" in reasons[1][1]
    assert "feature" in reasons[2][1]
    assert [one.metrics["drift"] for one in of(Progress, said)] == [0, 0, 1, 0]
    [end] = of(Finished, said)
    assert (end.state, end.metrics["dev_error"]) == ("complete", of(Progress, said)[-1].metrics["fresh_error"])
    assert Checkpoint.from_bytes(end.checkpoints[-1].content).epoch == 4
    assert all(saved.value is None for saved in of(SavedCheckpoint, said)), (
        "errors on different portions do not compare"
    )


def test_a_run_that_was_killed_goes_on_amid_a_portion_to_the_same_bits(
    job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.tasks.keeping.CheckpointKeeper._is_due", lambda *_: True)
    change = DesiredRun({"learning_rate": 0.05, "window": 2}, version=1, answered=10**9)
    undisturbed = ran(job, lambda told: change if told >= 2 else ANSWERED)
    [applied] = of(Applied, undisturbed)
    [end] = of(Finished, undisturbed)
    saves = of(SavedCheckpoint, undisturbed)
    assert any(Checkpoint.from_bytes(saved.content).position for saved in saves)
    told = {one.step: untimed(one) for one in of(Progress, undisturbed)}

    for saved in saves[::4]:
        timeline = [Change(step=applied.step, params=change.params)] if applied.step >= saved.step else []
        resume = Resume(number=0, step=saved.step, sha256="0" * 64, version=1, leg=0, timeline=timeline)
        again = ran(replace(job, resume=resume, start=saved.content, stored=(saved.content,)))

        [last] = of(Finished, again)
        portions = [one.metrics["portion"] for one in of(Progress, again)]
        assert portions == list(range(4))[4 - len(portions) :], "none is skipped, none comes twice"
        for one in of(Progress, again):
            assert untimed(one) == told[one.step]
        newest = [Checkpoint.from_bytes(x.content) for x in (*of(SavedCheckpoint, again), *last.checkpoints)]
        theta = newest[-1].theta if newest else Checkpoint.from_bytes(saved.content).theta
        assert np.array_equal(theta, Checkpoint.from_bytes(([*saves, *end.checkpoints])[-1].content).theta)


def test_what_the_server_says_of_a_portion_counts_before_it_is_trained_on(job: Job) -> None:
    asked: list[int] = []

    def desired(told: int) -> DesiredRun:
        """The answer to the third portion comes at the tenth look."""
        asked.append(told)
        if told < 3:
            return DesiredRun(answered=told)
        late = sum(n >= 3 for n in asked) < 10
        return DesiredRun(answered=2) if late else DesiredRun({"learning_rate": 0.1}, version=1, answered=10**9)

    said = ran(job, desired)

    third = of(Progress, said)[2]
    assert of(Applied, said) == [Applied(1, third.step)]


def test_a_run_goes_on_without_a_server_that_does_not_answer(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "ANSWER_S", 0.01)
    assert of(Finished, ran(job, lambda _: DesiredRun(answered=0)))[0].state == "complete"


def test_a_run_that_waits_may_be_paused_and_stopped(job: Job) -> None:
    (job.data_dirs[0] / "s" / END).unlink()

    paused = ran(job, lambda told: DesiredRun(version=1, pause=told == 4, answered=10**9) if told == 4 else ANSWERED)
    assert isinstance(paused[-1], Paused)
    stopped = ran(job, lambda told: DesiredRun(version=1, stop=True, answered=10**9) if told == 4 else ANSWERED)
    assert of(Finished, stopped)[0].state == "complete"


def test_a_run_that_goes_back_trains_on_the_portions_again(job: Job) -> None:
    first = ran(job)
    start = next(one for one in of(SavedCheckpoint, first) if one.epoch == 1)
    back = DesiredRun(version=1, rollback_generation=1, restore=start.step, content=start.content, answered=10**9)

    said = ran(job, lambda told: back if told >= 3 else ANSWERED)

    assert [one.metrics["portion"] for one in of(Progress, said)] == [0, 1, 2, 2, 3]


def test_what_a_run_finds_out_about_fresh_examples_is_told_while_it_goes_on(
    job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recent_findings, "EVERY_S", 0.0)
    said = ran(job)
    curve, [end] = of(Progress, said), of(Finished, said)
    summary, *found = [one.findings for one in of(FindingsMessage, said)]
    assert (summary["dataset"]["kind"], summary["dataset"]["columns"]) == ("classes", 4)
    json.dumps(found, allow_nan=False)
    spans = [(one["errors"]["portions"]["first"], one["errors"]["portions"]["last"]) for one in found]
    assert spans == [(1, 1), (2, 2), (2, 3)], "not of the untrained model, and since the alarm at portion 2 of it alone"
    assert end.findings == {}, "all was told"

    diagnosis, errors = found[-1]["diagnosis"], found[-1]["errors"]
    wrong = [one.metrics["fresh_error"] * 60 for one in curve]
    assert errors["wrong"] == round(wrong[2] + wrong[3]) > 0
    assert (errors["part"], errors["examples"], np.trace(errors["confusion"])) == ("dev", 120, 120 - errors["wrong"])
    assert diagnosis["errors"]["dev"] == pytest.approx(errors["wrong"] / 120)
    assert diagnosis["errors"]["train"] == pytest.approx(np.mean([one.metrics["train_error"] for one in curve[2:]]))
    assert diagnosis["sizes"] == {"train": 120, "dev": 120}
    assert [gap["name"] for gap in diagnosis["gaps"]] == ["avoidable bias", "variance"]
    assert "Portion 2 raised an alarm" in diagnosis["warnings"][0]
    mistake = errors["mistakes"][0]
    assert mistake["portion"] in ("4.npz", "5.npz")
    with np.load(job.data_dirs[0] / "s" / mistake["portion"]) as portion:
        assert str(portion["y"][mistake["portion_row"]]) == mistake["label"]
    assert mistake["row"] == mistake["portion_row"] + {"4.npz": 120, "5.npz": 180}[mistake["portion"]]


def test_mistakes_on_pictures_of_a_stream_come_with_their_pixels(tmp_path: Path) -> None:
    rng, folder = np.random.default_rng(1), tmp_path / "s"
    folder.mkdir()
    for number in range(3):
        np.savez(folder / f"{number}.npz", X=rng.integers(0, 256, (30, 64)), y=np.arange(30) % 3)
    (folder / END).touch()
    [end] = of(Finished, ran(Job(TASK, {}, seed=3, data_dirs=(tmp_path,))))
    errors = end.findings["errors"]
    assert set(errors["pictures"]["pixels"]) == {str(mistake["row"]) for mistake in errors["mistakes"]}
    mistake = errors["mistakes"][0]
    drawn = np.frombuffer(base64.b64decode(errors["pictures"]["pixels"][str(mistake["row"])]), np.uint8)
    with np.load(folder / mistake["portion"]) as portion:
        shares = (portion["X"][mistake["portion_row"]] - portion["X"].min()) / np.ptp(portion["X"])
    np.testing.assert_allclose(drawn, shares * 255, atol=0.51)


def test_unreported_findings_come_with_the_end_without_abandoned_portions(job: Job) -> None:
    first = ran(job)
    assert [one.findings["errors"]["portions"]["last"] for one in of(FindingsMessage, first)[1:]] == [1]
    assert of(Finished, first)[0].findings["errors"]["portions"] == {"first": 2, "last": 3}
    start = next(one for one in of(SavedCheckpoint, first) if one.epoch == 1)
    back = DesiredRun(version=1, rollback_generation=1, restore=start.step, content=start.content, answered=10**9)
    again = ran(job, lambda told: back if told >= 2 else ANSWERED)
    assert of(Finished, again)[0].findings["errors"]["portions"] == {"first": 2, "last": 3}


def test_of_numbers_there_is_a_diagnosis_alone(tmp_path: Path) -> None:
    (tmp_path / "s").mkdir()
    rng = np.random.default_rng(0)
    for number in range(3):
        X = rng.standard_normal((60, 4))
        np.savez(tmp_path / "s" / f"{number}.npz", X=X, y=X.sum(axis=1))
    (tmp_path / "s" / END).touch()
    [end] = of(Finished, ran(Job(TASK, {}, seed=3, data_dirs=(tmp_path,))))
    assert set(end.findings) == {"diagnosis"}


class Producer:
    """Puts things into the folder of a run that waits for portions: the n-th when it waits for the n-th time. Then the
    stream ends."""

    def __init__(self, job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = job.data_dirs[0] / "s"
        (self.folder / END).unlink()
        self.deeds: list[Callable[[], Any]] = []
        monkeypatch.setattr(stream, "_rest", self._next)

    def _next(self) -> None:
        if self.deeds:
            self.deeds.pop(0)()
        else:
            (self.folder / END).touch()

    def write(self, name: str, number: int = 7, far: float = 0.0) -> None:
        rng = np.random.default_rng(number)
        y = rng.integers(0, 3, 60)
        X = rng.standard_normal((60, 4)) + y[:, None]
        X[0] += far
        np.savez(self.folder / f"{number}.part", X=X, y=y)
        (self.folder / f"{number}.part.npz").rename(self.folder / name)


@pytest.fixture
def producer(job: Job, monkeypatch: pytest.MonkeyPatch) -> Producer:
    return Producer(job, monkeypatch)


def refused(said: list[ChildMessage]) -> list[str]:
    """The reasons, without those of the files that are there from the start."""
    return [one.detail["reason"] for one in of(RunEventMessage, said) if one.kind == "portion_refused"][2:]


def portions(said: list[ChildMessage]) -> list[str]:
    [end] = of(Finished, said)
    assert end.state == "complete"
    taken = Checkpoint.from_bytes(end.checkpoints[-1].content).stream.portions  # type: ignore[union-attr]
    assert [one.metrics["portion"] for one in of(Progress, said)] == list(range(len(taken)))
    return [one.name for one in taken]


BEGUN = ["0.npz", "1.npz", "4.npz", "5.npz"]


def test_a_file_that_grows_is_told_once_and_taken_when_it_is_whole(job: Job, producer: Producer) -> None:
    producer.write("whole", 7)
    content = (producer.folder / "whole").read_bytes()
    for size in (0, 300, 600, 900, len(content)):
        producer.deeds.append(lambda size=size: (producer.folder / "6.npz").write_bytes(content[:size]))
    said = ran(job)
    assert portions(said) == [*BEGUN, "6.npz"]
    assert [reason[:14] for reason in refused(said)] == ["6.npz is empty", "6.npz is torn,"]


def test_a_portion_that_was_replaced_under_its_name_is_told_and_not_trained_on(job: Job, producer: Producer) -> None:
    producer.deeds = [lambda: producer.write("0.npz", 8), lambda: producer.write("0.npz", 9)]
    said = ran(job)
    assert portions(said) == BEGUN
    assert refused(said) == ["0.npz has changed since it was trained on; give new examples a new name."] * 2


def test_what_cannot_be_opened_is_told_and_taken_when_it_can(job: Job, producer: Producer) -> None:
    loop = producer.folder / "6.npz"
    producer.deeds = [lambda: loop.symlink_to(loop), lambda: None, loop.unlink, lambda: producer.write("6.npz")]
    said = ran(job)
    assert portions(said) == [*BEGUN, "6.npz"]
    assert refused(said) == ["6.npz cannot be read: Too many levels of symbolic links."]


def test_a_folder_that_is_away_for_a_while_is_told_and_waited_for(job: Job, producer: Producer) -> None:
    away = producer.folder.with_name("away")
    producer.deeds = [
        lambda: producer.folder.rename(away),
        lambda: None,
        lambda: away.rename(producer.folder),
        lambda: producer.write("6.npz"),
    ]
    said = ran(job)
    assert portions(said) == [*BEGUN, "6.npz"]
    assert refused(said) == ["The folder s cannot be read: No such file or directory. The run waits for it."]


def test_a_portion_whose_values_no_model_could_bear_is_refused_and_the_run_goes_on(
    job: Job, producer: Producer
) -> None:
    producer.deeds = [lambda: producer.write("6.npz", 8, far=3.4e38), lambda: producer.write("7.npz", 9)]
    said = ran(replace(job, task={**job.task, "normalize_inputs": False}))
    assert portions(said) == [*BEGUN, "7.npz"]
    [reason] = refused(said)
    assert "6.npz has values so far from those before that the model's outputs on it are not finite" in reason


def test_what_has_a_hidden_name_is_on_its_way(job: Job, producer: Producer) -> None:
    producer.deeds = [lambda: producer.write(".6.npz", 8)]
    said = ran(job)
    assert portions(said) == BEGUN
    assert refused(said) == []


def test_a_folder_full_of_other_files_is_told_whole_and_each_once(job: Job, producer: Producer) -> None:
    for number in range(50):
        (producer.folder / f"{'0a' if number % 2 else '-'}{number}.npz").write_bytes(b"no portion")
    said = ran(job)
    assert portions(said) == BEGUN
    torn = [one.detail["portion"] for one in of(RunEventMessage, said) if "is torn" in one.detail["reason"]]
    assert len(torn) == len(set(torn)) == 51


def test_a_stream_without_a_portion_is_waited_for_and_its_end_is_told(job: Job, tmp_path: Path) -> None:
    folder = tmp_path / "empty"
    folder.mkdir()
    waiting = replace(job, task=TASK | {"dataset": "stream:empty"})
    looks = 0

    def desired(_told: int) -> DesiredRun:
        nonlocal looks
        looks += 1
        if looks == 3:
            (folder / END).touch()
        return ANSWERED

    [end] = ran(waiting, desired)
    assert (end.state, looks) == ("failed", 4)
    assert "No portion" in end.error
    [end] = ran(replace(job, task=TASK | {"dataset": "stream:none"}))
    assert "no folder below" in end.reason
