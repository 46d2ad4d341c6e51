"""A run that follows a folder of portions."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from trainer.checkpoint import Checkpoint
from trainer.config import TrainConfig
from trainer.data import normalization
from trainer.data.errors import DataError
from trainer.following import begin_stream, follow
from trainer.streams import stream as streams
from trainer.streams.mixing import mixed_data
from trainer.streams.records import PortionRecord, short_digest
from trainer.streams.state import Mix
from trainer.streams.stream import END, Stream, find_stream
from trainer.training import Command, Progress

CONFIG = TrainConfig("stream:s", epochs=100, hidden_units=8, batch_size=16, learning_rate=0.01, keep_prob=0.8)
SIZE = 40


def examples(number: int, m: int = SIZE) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(number)
    y = rng.permutation(np.arange(m) % 3)
    return rng.standard_normal((m, 5)) + y[:, None] * np.array([1, -1, 0.5, 0, 2.0]), y


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Six portions, and the end."""
    for number in range(6):
        X, y = examples(number)
        np.savez(tmp_path / f"p{number:02}.npz", X=X, y=y)
    (tmp_path / END).touch()
    return tmp_path


def run_of(folder: Path, config: TrainConfig = CONFIG, start: Checkpoint | None = None, **options: object):
    stream = Stream(folder)
    start = start or begin_stream(config, stream, 0)[0]
    assert start is not None
    return follow(start, stream, **options)


def measured(seen: list[Progress]) -> list[Progress]:
    return [one for one in seen if one.metrics and not one.ended]


def timeless(one: Progress) -> dict[str, float]:
    return {name: value for name, value in one.metrics.items() if name != "seconds"}


def reasons(seen: list[Progress]) -> list[str]:
    return [str(notice.detail["reason"]) for one in seen for notice in one.notices]


def test_each_portion_is_measured_before_it_is_trained_on_and_the_end_ends_the_run(folder):
    seen = list(run_of(folder))
    portions = measured(seen)
    assert [(one.epoch, one.metrics["portion"]) for one in portions] == [(k, k) for k in range(6)]
    assert (seen[-1].ended, seen[-1].epoch) == ("complete", 6)
    assert seen[-1].step == 3 + 5 * 5  # 40 examples in batches of 16, and from the second on as many replayed ones
    assert portions[0].metrics["fresh_error"] > 0.4 > portions[-1].metrics["fresh_error"]
    assert portions[1].metrics["label_share_0"] == pytest.approx(14 / 40)
    assert portions[1].metrics["missing_share"] == 0 < portions[1].metrics["unseen_share"] < 0.1


def test_the_budget_of_epochs_counts_portions(folder):
    seen = list(run_of(folder, TrainConfig("stream:s", epochs=2)))
    assert [one.epoch for one in measured(seen)] == [0, 1]
    assert (seen[-1].ended, seen[-1].epoch) == ("complete", 2)


def test_normalisation_and_fresh_errors_know_nothing_of_portions_to_come(folder):
    whole = list(run_of(folder))
    X, y = examples(5)
    np.savez(folder / "p05.npz", X=X * 1000, y=y)
    other = list(run_of(folder))
    assert [timeless(one) for one in measured(whole)[:5]] == [timeless(one) for one in measured(other)[:5]]


@pytest.mark.parametrize("every", [1, 3])
def test_a_run_that_goes_on_from_any_checkpoint_is_the_undisturbed_one_bit_for_bit(folder, every):
    """Amid a portion, between two of them, and between a portion's measurement and its training."""
    changes = {9: {"learning_rate": 0.03, "window": 2}, 20: {"forget_before": 3, "portion_epochs": 2}}
    changes |= {14: {"match_labels": True, "clip_inputs": 1.5}}
    points: list[bytes] = []
    ticks = itertools.count()
    whole = []
    for one in run_of(folder, changes=changes, pulse=every, clock=lambda: float(next(ticks))):
        points.append(one.checkpoint().to_bytes())
        whole.append(one)
    assert len({Checkpoint.from_bytes(point).position for point in points}) > 3 // every
    last = Checkpoint.from_bytes(points[-1])
    for place, point in enumerate(points[::3]):
        start = Checkpoint.from_bytes(point)
        left = {step: params for step, params in changes.items() if step > start.step}
        seen = list(run_of(folder, start=start, changes=left))
        after = [timeless(one) for one in measured(whole[3 * place + 1 :])]
        assert [timeless(one) for one in measured(seen)] == after
        end = seen[-1].checkpoint()
        assert np.array_equal(end.theta, last.theta)
        assert (end.step, end.config, end.stream.portions) == (last.step, last.config, last.stream.portions)


def test_what_is_asked_for_at_a_portions_report_counts_for_that_portion(folder):
    run = run_of(folder)
    command: Command | None = None
    masks = []
    while True:
        try:
            one = run.send(command)
        except StopIteration:
            break
        command = Command({"forget_before": 4, "replay_share": 0.9}) if one.metrics.get("portion") == 4 else None
        masks.append(one.step)
    assert masks[-2] - masks[-3] == 3, "a forgotten portion is not replayed"


def torn(folder: Path, X: np.ndarray, y: np.ndarray) -> None:
    np.savez(folder / "p03x.npz", X=X, y=y)
    content = (folder / "p03x.npz").read_bytes()
    (folder / "p03x.npz").write_bytes(content[: len(content) // 2])


def of_another_shape(folder: Path, X: np.ndarray, y: np.ndarray) -> None:
    np.savez(folder / "p03x.npz", X=X[:, :4], y=y)


def without_a_byte(folder: Path, *_examples: np.ndarray) -> None:
    (folder / "p03x.npz").touch()


def without_examples(folder: Path, X: np.ndarray, y: np.ndarray) -> None:
    np.savez(folder / "p03x.npz", X=X[:0], y=y[:0])


def the_second_again(folder: Path, *_examples: np.ndarray) -> None:
    X, y = examples(1)
    np.savez_compressed(folder / "p03x.npz", y=y, X=X)


def of_an_unknown_class(folder: Path, X: np.ndarray, y: np.ndarray) -> None:
    np.savez(folder / "p03x.npz", X=X, y=y + 1)


def infinite(folder: Path, X: np.ndarray, y: np.ndarray) -> None:
    np.savez(folder / "p03x.npz", X=X / np.array([0, 1, 1, 1, 1]), y=y)


@pytest.mark.filterwarnings("ignore:divide by zero")
@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (torn, "torn"),
        (of_another_shape, "has 4 features, the portions before it 5"),
        (without_a_byte, "is empty"),
        (without_examples, "no examples"),
        (the_second_again, "the same examples as p01.npz"),
        (of_an_unknown_class, "no class '3'"),
        (infinite, "infinite"),
    ],
)
def test_a_portion_that_cannot_be_trained_on_is_told_once_and_changes_nothing(
    folder: Path, spoil: Callable[..., None], says: str
):
    whole = list(run_of(folder))
    spoil(folder, *examples(77))
    seen = list(run_of(folder))
    [reason] = reasons(seen)
    assert says in reason
    assert "p03x.npz" in reason
    assert [timeless(one) for one in measured(seen)] == [timeless(one) for one in measured(whole)]
    assert np.array_equal(seen[-1].checkpoint().theta, whole[-1].checkpoint().theta)


def test_a_refused_portion_is_not_told_again_by_a_run_that_goes_on(folder):
    torn(folder, *examples(77))
    seen = list(run_of(folder))
    start = next(one.checkpoint for one in seen if one.notices)()
    assert reasons(list(run_of(folder, start=start))) == []


def test_a_torn_portion_is_taken_when_it_is_whole(folder):
    (folder / END).unlink()
    torn(folder, *examples(77))

    def mend() -> None:
        np.savez(folder / "p03x.npz", X=examples(77)[0], y=examples(77)[1])
        (folder / END).touch()

    seen = list(run_of(folder, rest=mend))
    assert [one.name for one in seen[-1].checkpoint().stream.portions][-2:] == ["p05.npz", "p03x.npz"]
    assert len(reasons(seen)) == 1


def test_a_run_waits_for_portions_and_may_be_stopped_while_it_does(folder):
    (folder / END).unlink()
    run = run_of(folder, rest=lambda: None)
    waiting = next(one for one in run if one.waiting)
    assert waiting.epoch == 6
    assert run.send(Command(stop=True)).ended == "stopped"


def test_a_portion_that_changes_after_it_was_trained_on_is_refused(folder):
    run = run_of(folder)
    start = next(itertools.islice(measured_of(run), 3, None)).checkpoint()
    X, y = examples(1, SIZE + 1)
    np.savez(folder / "p01.npz", X=X, y=y)
    assert reasons(list(run)) == ["p01.npz has changed since it was trained on; give new examples a new name."]
    with pytest.raises(DataError, match=r"p01\.npz.*is gone"):
        list(run_of(folder, start=start))


def measured_of(run: Iterator[Progress]) -> Iterator[Progress]:
    return (one for one in run if one.metrics)


def test_missing_values_are_told_and_count_as_the_mean(tmp_path):
    for number in range(3):
        X, y = examples(number)
        X[0, :] = np.nan
        np.savez(tmp_path / f"{number}.npz", X=X, y=y)
    (tmp_path / END).touch()
    seen = list(run_of(tmp_path))
    assert [one.metrics["missing_share"] for one in measured(seen)] == [1 / SIZE] * 3
    assert np.isfinite(seen[-1].checkpoint().theta).all()


def test_older_portions_that_memory_does_not_hold_are_read_again(folder, monkeypatch):
    whole = list(run_of(folder))
    monkeypatch.setattr(streams, "MOST_CACHED_BYTES", 1)
    (folder / "p01.npz").rename(folder / "p01b.npz")
    again = list(run_of(folder))
    assert np.array_equal(again[-1].checkpoint().theta, whole[-1].checkpoint().theta)


def test_of_many_portions_some_are_looked_at_again_at_each_look(folder, monkeypatch):
    monkeypatch.setattr(streams, "CHECKED_AGAIN", 2)
    stream = Stream(folder)
    seen: list[PortionRecord] = []
    while (portion := stream.next_portion(seen, ())[0]) is not None:
        seen.append(PortionRecord(portion.name, short_digest(portion.sha256), len(portion)))
    np.savez(folder / "p05.npz", X=examples(88)[0], y=examples(88)[1])
    sentences = [one.why for _ in range(4) for one in stream.next_portion(seen, ())[1]]
    assert sentences == ["p05.npz has changed since it was trained on; give new examples a new name."]


def test_a_stream_is_a_folder_below_the_given_ones_only(folder):
    assert find_stream(f"stream:{folder.name}", [folder.parent]).folder == folder.resolve()
    for name, dirs, says in (
        ("stream:../s", [folder], "no folder below"),
        ("stream:s", [], "no --data folder"),
        ("stream:none", [folder], "no folder below"),
    ):
        with pytest.raises(DataError, match=says):
            find_stream(name, dirs)


def test_replayed_examples_have_the_label_shares_of_now(tmp_path):
    """The first portions have few of class 2, the last has hardly any other; none of the few is left out."""
    rng = np.random.default_rng(0)
    for number, shares in enumerate([(0.5, 0.4, 0.1)] * 4 + [(0.1, 0.1, 0.8)]):
        y = np.repeat(np.arange(3), [round(SIZE * share) for share in shares])
        np.savez(tmp_path / f"p{number}.npz", X=rng.standard_normal((SIZE, 5)) + y[:, None], y=y)
    (tmp_path / END).touch()
    stream = Stream(tmp_path)
    config = replace(CONFIG, match_labels=True, replay_share=0.75)
    first, _ = begin_stream(config, stream, 0)
    states = [one.checkpoint().stream for one in follow(first, stream) if one.metrics and not one.ended]
    assert states[-1].drift.since == 4, "the change of shares is an alarm"
    data = mixed_data(stream, states[-1], Mix.from_config(config), normalization.identity(5), 0)
    assert data.train.Y[SIZE:].sum(axis=0).tolist() == [12, 12, 16]
    plain = mixed_data(
        stream, states[-1], Mix.from_config(replace(config, match_labels=False)), normalization.identity(5), 0
    )
    assert plain.train.Y[SIZE:, 2].sum() < 16


def test_clipped_inputs_are_so_in_training_in_evaluation_and_in_the_checkpoint(folder):
    *_, last = run_of(folder, replace(CONFIG, clip_inputs=0.5))
    found = Checkpoint.from_bytes(last.checkpoint().to_bytes()).normalization
    assert found.limit == 0.5
    assert np.abs(found.apply(examples(0)[0])).max() == 0.5
    assert np.isnan(found.apply(np.full((1, 5), np.nan))).all()


def test_an_alarm_tells_whether_the_model_knows_anything_of_the_new_data(tmp_path):
    """Inputs in other units: with their own statistics the model knows them."""
    for number in range(10):
        X, y = examples(number)
        np.savez(tmp_path / f"p{number}.npz", X=X * (50 if number == 9 else 1) + (number == 9), y=y)
    (tmp_path / END).touch()
    *quiet, alarm = measured(list(run_of(tmp_path)))
    assert alarm.metrics["drift_inputs"] == 1
    assert alarm.metrics["adapted_error"] < min(0.6 * alarm.metrics["guess_error"], alarm.metrics["fresh_error"])
    assert not any("adapted_error" in one.metrics for one in quiet)


@pytest.mark.fault("W6")
def test_a_portion_whose_targets_do_not_differ_has_an_error_in_the_streams_units(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for number, m in enumerate((40, 1, 40)):
        X = rng.normal(size=(m, 3))
        y = X[:, 0] + 0.5 if number < 2 else np.full(m, 1.25)
        np.savez(tmp_path / f"p{number}.npz", X=X, y=y)
    (tmp_path / END).touch()
    seen = measured(list(run_of(tmp_path)))
    assert [one.metrics["portion_examples"] for one in seen] == [40, 1, 40]
    for one in seen[1:]:  # the mean square in units of the first portion's variance
        assert one.metrics["fresh_error"] == pytest.approx(2 * one.metrics["fresh_loss"], rel=1e-5)
        assert one.metrics["fresh_error"] < 20
