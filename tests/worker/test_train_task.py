"""The task `train`, called as the child process calls it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sturgeon.messages import DatasetSummary, Report
from trainer import memory
from trainer.checkpoint import Checkpoint
from trainer.config import ConfigError
from trainer.data.preparation import prepare
from trainer.predict import predict
from worker.child.protocol import Applied, DesiredRun, FindingsMessage, Finished, Job, Progress
from worker.tasks import train

TASK: dict[str, Any] = {
    "kind": "train",
    "dataset": "iris",
    "epochs": 12,
    "batch_size": 32,
    "checkpoints": {"best": 1, "last": 1},
}


def ran(job: Job, *later: DesiredRun) -> tuple[list[Progress], Finished]:
    """All that the task says; after the n-th epoch the n-th of `later` is desired, and the last from there on."""
    desired_runs: Iterator[DesiredRun] = iter((DesiredRun(), *later))  # it asks once before the first epoch
    now = DesiredRun()

    def desired() -> DesiredRun:
        nonlocal now
        now = next(desired_runs, now)
        return now

    everything = (said for _, said in train.run([job], lambda _place: desired()))
    *progress, end = (said for said in everything if not isinstance(said, FindingsMessage))
    assert all(isinstance(one, Progress | Applied) for one in progress)
    assert isinstance(end, Finished)
    return [one for one in progress if isinstance(one, Progress)], end


def test_each_epoch_is_told_with_its_metrics() -> None:
    progress, end = ran(Job(TASK, {"learning_rate": 0.01}, seed=1))

    assert [one.epoch for one in progress] == list(range(1, 13))
    assert [one.step for one in progress] == [3 * epoch for epoch in range(1, 13)]  # 90 examples, 32 in a batch
    assert progress[0].metrics.keys() >= {"train_loss", "train_error", "dev_loss", "dev_error", "seconds"}
    assert (end.state, end.error) == ("complete", None)


def test_the_same_seed_gives_the_same_run_and_another_seed_another() -> None:
    first, again, other = (ran(Job(TASK, {}, seed=seed))[0][-1].metrics["dev_loss"] for seed in (1, 1, 2))

    assert first == again != other


def test_the_told_metrics_are_those_of_the_best_checkpoint_its_test_error_too() -> None:
    job = Job(TASK, {"learning_rate": 0.05}, seed=3)
    progress, end = ran(job)

    best = min(end.checkpoints, key=lambda c: (c.value, c.step))
    data = prepare(train.config_of(job))
    checkpoint = Checkpoint.from_bytes(best.content)
    labels, _ = predict(checkpoint, data.normalization.mean + data.test.X * data.normalization.deviation)
    wrong = np.array(labels) != np.array(data.class_names)[data.test.Y.argmax(axis=1)]

    assert (end.step, end.metrics["epoch"]) == (best.step, best.epoch)
    assert best.value == end.metrics["dev_error"] == min(one.metrics["dev_error"] for one in progress)
    assert end.metrics["test_error"] == pytest.approx(wrong.mean())


def test_of_equally_good_epochs_the_latest_is_the_best() -> None:
    progress, end = ran(Job(TASK, {"learning_rate": 1e-6}, seed=0))

    assert len({one.metrics["dev_error"] for one in progress}) == 1  # it learns too little for a difference
    assert [c.epoch for c in end.checkpoints] == [12]
    assert end.metrics["epoch"] == 12


def test_as_many_checkpoints_are_kept_as_the_rule_says() -> None:
    progress, end = ran(Job(TASK | {"checkpoints": {"best": 2, "last": 3}}, {"learning_rate": 0.05}, seed=3))

    ranked = sorted(progress, key=lambda one: (one.metrics["dev_error"], -one.step))
    assert {c.epoch for c in end.checkpoints} == {ranked[0].epoch, ranked[1].epoch, 10, 11, 12}


RULES: list[dict[str, int] | None] = [None, {"best": 0, "last": 0}, {"best": 0, "last": 1}, {"best": 2, "last": 0}]


def told(task: dict[str, Any]) -> tuple[Any, ...]:
    """What a run tells, but for the time that it took."""
    _, end = ran(Job(TASK | task, {"learning_rate": 0.05}, seed=3))
    return end.state, end.step, end.metrics | {"seconds": None}, end.findings


@pytest.mark.fault("W10")
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("reduce", ["best", "last"])
def test_what_is_told_does_not_depend_on_which_checkpoints_are_kept(rule: dict[str, int] | None, reduce: str) -> None:
    with_both = told({"reduce": reduce})

    assert with_both[0] == "complete"
    assert told({"checkpoints": rule, "reduce": reduce}) == with_both


@pytest.mark.fault("W10")
@pytest.mark.parametrize(
    ("metric", "direction", "choose"), [("dev_error", "minimize", min), ("dev_loss", "maximize", max)]
)
@pytest.mark.parametrize("rule", [None, {"best": 1, "last": 1}])
def test_the_best_epoch_is_told_or_the_last_as_the_study_says(
    metric: str, direction: str, choose: Callable[[Iterable[float]], float], rule: dict[str, int] | None
) -> None:
    task = TASK | {"metric": metric, "direction": direction, "checkpoints": rule}
    progress, best = ran(Job(task | {"reduce": "best"}, {"learning_rate": 0.05}, seed=3))
    _, last = ran(Job(task | {"reduce": "last"}, {"learning_rate": 0.05}, seed=3))

    assert best.metrics[metric] == choose(one.metrics[metric] for one in progress)
    assert best.metrics[metric] != progress[-1].metrics[metric]
    assert (last.step, last.metrics["epoch"]) == (progress[-1].step, 12)
    assert last.metrics[metric] == progress[-1].metrics[metric]
    assert "test_error" in best.metrics
    assert "test_error" in last.metrics


def test_without_a_dev_part_the_last_epoch_is_the_best() -> None:
    _, end = ran(Job(TASK | {"dev_share": 0.0}, {}, seed=3))

    assert [(c.epoch, c.value) for c in end.checkpoints] == [(12, None)]
    assert "dev_error" not in end.metrics


@pytest.mark.parametrize(("pruned", "state"), [(True, "pruned"), (False, "complete")])
def test_a_stop_ends_the_run_with_that_epoch(pruned: bool, state: str) -> None:
    progress, end = ran(Job(TASK, {}, seed=3), DesiredRun(), DesiredRun(version=1, stop=True, pruned=pruned))

    assert [one.epoch for one in progress] == [1, 2]
    assert end.state == state
    assert {c.epoch for c in end.checkpoints} <= {1, 2}


def test_a_live_parameter_changes_from_the_next_step_on_and_is_acknowledged() -> None:
    frozen = DesiredRun(params={"learning_rate": 1e-30, "hidden_units": 7}, version=4)

    progress, _ = ran(
        Job(TASK | {"optimizer": "gradient_descent"}, {"learning_rate": 0.1}, seed=3), DesiredRun(), frozen
    )

    assert [(one.version, one.since_step) for one in progress[:4]] == [(0, 0), (0, 0), (4, 6), (4, 6)]
    losses = [one.metrics["dev_loss"] for one in progress]
    assert losses[0] != losses[1]
    assert losses[1:] == [losses[1]] * 11


def test_a_run_that_diverges_is_told_so_with_the_place() -> None:
    _, end = ran(Job(TASK | {"optimizer": "gradient_descent"}, {"learning_rate": 100.0, "l2": 100.0}, seed=3))

    assert end.state == "diverged"
    assert end.where
    assert end.step is not None
    assert [one.step for one in end.checkpoints] == [3], "where it was still well, to go back to"


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"dataset": "moons"}, "moons"),
        ({"optimizer": "magic"}, "optimizer must be one of"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_what_cannot_be_trained_fails_with_one_sentence(fields: dict[str, str], sentence: str) -> None:
    _, end = ran(Job(TASK | fields, {}, seed=3))

    assert end.state == "failed"
    assert not end.retry
    assert sentence in (end.error or "")
    assert "\n" not in (end.error or "")


@pytest.mark.fault("W5")
def test_a_run_says_first_what_its_data_were_read_as(tmp_path: Path) -> None:
    rows = [f"{row},{(row * 7) % 11},5,{'cat' if row % 3 else 'dog'}" for row in range(60)]
    (tmp_path / "t.csv").write_text("\n".join([",a,flat,kind", *rows]))
    jobs = [Job(TASK | {"dataset": "csv:t.csv", "epochs": 1}, {}, seed=seed, data_dirs=(tmp_path,)) for seed in (3, 4)]
    (place, first), (other, second), *_ = train.run(jobs, lambda _place: DesiredRun())
    assert isinstance(first, FindingsMessage)
    assert (place, other, first) == (0, 1, second)
    assert first.findings["dataset"] == {
        "dataset": "csv:t.csv",
        "kind": "classes",
        "rows": 60,
        "columns": 2,
        "parts": {"dev": 12, "test": 12, "train": 36},
        "targets": ["cat", "dog"],
        "target_count": 2,
        "examples": [40, 20],
        "missing": 0,
        "dropped": ["column 1"],
        "constant": ["column 'flat'"],
        "constant_count": 1,
        "inputs": 2,
        "encoded": [
            {"column": "column 'a'", "kind": "number", "inputs": 1, "missing": 0, "categories": [], "other": False}
            | {"fill": 6.0},
            {"column": "column 'flat'", "kind": "number", "inputs": 1, "missing": 0, "categories": [], "other": False}
            | {"fill": 5.0},
        ],
        "written": {"delimiter": ",", "decimal": ".", "encoding": "utf-8", "header": True},
        "notes": [],
    }
    DatasetSummary.model_validate(first.findings["dataset"])


REGRESSION = np.random.default_rng(0).normal(size=(60, 4))


@pytest.mark.fault("W6")
@pytest.mark.parametrize(
    ("fields", "arrays", "sentence"),
    [
        ({"metric": "dev_error"}, {"y_dev": np.ones(20)}, "The targets of the dev part (20 examples) do not differ"),
        ({"metric": "dev_error"}, {"y_dev": 7 + 1e-9 * np.arange(20)}, "The targets of the dev part (20 examples)"),
        ({"metric": "dev_error"}, {"y": np.append(np.arange(59) / 7, 1e12)}, "The targets of the dev part"),
        ({"metric": "dev_loss"}, {"y": np.ones(60), "y_dev": np.arange(20) / 7}, "targets of the training part"),
        ({"metric": "train_dev_error"}, {}, "The train_dev part has no examples, so train_dev_error is not defined."),
        ({"metric": "dev_error"}, {"y": np.append(np.arange(59) / 7, 1e307)}, "row 59 is not, or larger than 3.4e+38"),
        ({"metric": "dev_error"}, {"X": REGRESSION * 1e307}, "X must be finite; row 0, feature 0 is"),
        ({"metric": "dev_error"}, {"X_dev": REGRESSION[:20] * 1e30}, "feature 0 of row 60 is"),
        ({"metric": "dev_error", "normalize_inputs": False}, {"X": REGRESSION * 1e30}, "normalise the inputs"),
    ],
)
def test_a_metric_that_the_data_leave_undefined_fails_at_once(
    tmp_path: Path, fields: dict[str, Any], arrays: dict[str, Any], sentence: str
) -> None:
    whole = {"X": REGRESSION, "y": np.arange(60) / 7, "X_dev": REGRESSION[:20], "y_dev": np.arange(20) / 7}
    np.savez(tmp_path / "t.npz", **(whole | arrays))
    progress, end = ran(Job(TASK | {"dataset": "npz:t.npz"} | fields, {}, seed=3, data_dirs=(tmp_path,)))
    assert (progress, end.state, end.retry) == ([], "failed", False)
    assert sentence in (end.error or "")


@pytest.mark.fault("W5")
@pytest.mark.parametrize("fields", [{"dataset": "npz:torn.npz"}, {"dataset": "csv:t.csv"}])
def test_what_is_wrong_with_the_data_is_wrong_for_every_worker(tmp_path: Path, fields: dict[str, str]) -> None:
    (tmp_path / "torn.npz").write_bytes(b"PK")
    (tmp_path / "t.csv").write_text("a,b\n1,x,2\n")

    _, end = ran(Job(TASK | fields, {}, seed=3, data_dirs=(tmp_path,)))

    assert (end.state, end.retry) == ("failed", False)


@pytest.mark.fault("L10")
def test_what_is_too_large_for_this_machine_may_fit_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "memory_bytes", lambda: 100_000)

    _, end = ran(Job(TASK | {"hidden_units": 4096}, {}, seed=3))

    assert (end.state, end.retry) == ("failed", True)
    assert "of memory" in (end.error or "")


@pytest.mark.fault("W6")
def test_an_error_that_is_not_defined_is_left_out_of_the_metrics(tmp_path: Path) -> None:
    np.savez(tmp_path / "t.npz", X=REGRESSION, y=np.arange(60) / 7, X_test=REGRESSION[:20], y_test=np.ones(20))
    _, end = ran(Job(TASK | {"dataset": "npz:t.npz"}, {}, seed=3, data_dirs=(tmp_path,)))
    assert (end.state, "test_error" in end.metrics, "dev_error" in end.metrics) == ("complete", False, True)


def test_npz_data_come_from_the_data_folders(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "cats.npz", X=rng.normal(size=(60, 4)), y=np.arange(60) % 2)

    _, end = ran(Job(TASK | {"dataset": "npz:cats.npz"}, {}, seed=3, data_dirs=(tmp_path,)))

    assert end.state == "complete"


# --- stacks ---


def stacked(jobs: list[Job], desired: dict[int, DesiredRun] | None = None) -> dict[int, list[Progress | Finished]]:
    """All that the task says of each of its places."""
    desired_runs = desired or {}
    said: dict[int, list[Progress | Finished]] = {place: [] for place in range(len(jobs))}
    for place, message in train.run(jobs, lambda place: desired_runs.get(place, DesiredRun())):
        if not isinstance(message, FindingsMessage):
            said[place].append(message)
    return said


def plain(end: Finished) -> tuple[Any, ...]:
    """All of a Finished but times."""
    metrics = {name: value for name, value in end.metrics.items() if name != "seconds"}
    checkpoints = [(c.step, c.value, timeless(c.content)) for c in end.checkpoints]
    return end.state, end.step, metrics, end.where, end.error, checkpoints, end.findings


def timeless(content: bytes) -> bytes:
    checkpoint = Checkpoint.from_bytes(content)
    metrics = {name: value for name, value in checkpoint.metrics.items() if name != "seconds"}
    return replace(checkpoint, seconds=0.0, metrics=metrics).to_bytes()


def jobs_of(count: int, **fields: Any) -> list[Job]:
    return [Job(TASK | fields, {"learning_rate": 0.01 * (1 + n)}, seed=n) for n in range(count)]


@pytest.mark.parametrize("fields", [{}, {"keep_prob": 0.7, "batch_norm": True, "averaged_weights": True}])
def test_every_trial_of_a_stack_ends_as_it_does_alone(fields: dict[str, Any]) -> None:
    jobs = jobs_of(4, **fields)

    together = stacked(jobs)

    for place, job in enumerate(jobs):
        progress, end = ran(job)
        *epochs, last = together[place]
        assert [one.metrics["dev_loss"] for one in epochs if isinstance(one, Progress)] == [
            one.metrics["dev_loss"] for one in progress
        ]
        assert isinstance(last, Finished)
        assert plain(last) == plain(end)


def test_more_trials_than_the_cache_holds_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train, "useful_models", lambda _config, _data: 2)
    jobs = jobs_of(5)

    order = [place for place, said in train.run(jobs, lambda _place: DesiredRun()) if isinstance(said, Finished)]

    assert order == [0, 1, 2, 3, 4]
    assert [len(said) for said in stacked(jobs).values()] == [13] * 5


def test_a_stopped_trial_leaves_the_stack_and_the_others_go_on() -> None:
    jobs = jobs_of(3)

    said = stacked(jobs, {1: DesiredRun(version=1, stop=True, pruned=True)})

    assert [len(one) for one in said.values()] == [13, 3, 13]
    ends = [one[-1] for one in said.values()]
    assert [end.state for end in ends if isinstance(end, Finished)] == ["complete", "pruned", "complete"]
    for place in (0, 2):
        end = ends[place]
        assert isinstance(end, Finished)
        assert plain(end) == plain(ran(jobs[place])[1])


def test_a_trial_that_nobody_waits_for_is_not_begun() -> None:
    said = stacked(jobs_of(2), {1: DesiredRun(stop=True, leave=True)})

    assert said[1] == [train.LEFT]
    assert len(said[0]) == 13


def test_a_live_parameter_of_one_trial_leaves_its_peers_as_they_were() -> None:
    jobs = jobs_of(2)

    said = stacked(jobs, {1: DesiredRun(params={"learning_rate": 1e-9}, version=1)})

    first, other = (one[-1] for one in said.values())
    assert isinstance(first, Finished)
    assert isinstance(other, Finished)
    assert plain(first) == plain(ran(jobs[0])[1])
    assert plain(other) != plain(ran(jobs[1])[1])


def test_a_stack_that_cannot_be_trained_says_so_for_nobody() -> None:
    with pytest.raises(ConfigError):
        stacked([*jobs_of(1), Job(TASK, {"optimizer": "magic"}, seed=1)])


# --- findings ---


def test_a_run_finds_out_why_its_model_errs() -> None:
    _, end = ran(Job(TASK | {"known_error": 0.01, "train_dev_share": 0.2}, {"learning_rate": 0.001}, seed=3))

    diagnosis, errors = end.findings["diagnosis"], end.findings["errors"]
    json.dumps(end.findings, allow_nan=False)
    assert diagnosis["errors"] == {part: end.metrics[f"{part}_error"] for part in ("train", "train_dev", "dev", "test")}
    assert diagnosis["sizes"]["dev"] == errors["examples"] == 30
    assert diagnosis["known_error"] == 0.01
    assert [gap["name"] for gap in diagnosis["gaps"]] == [
        "avoidable bias",
        "variance",
        "data mismatch",
        "fit to the dev set",
    ]
    assert (diagnosis["widest"], bool(diagnosis["advice"])) == ("avoidable bias", True)
    assert errors["wrong"] == len(errors["mistakes"]) == round(30 * end.metrics["dev_error"]) > 0


def test_the_findings_are_those_of_the_model_that_is_told() -> None:
    _, end = ran(Job(TASK | {"epochs": 30}, {"learning_rate": 0.05}, seed=3))
    *_, last = ran(Job(TASK | {"epochs": 30, "reduce": "last"}, {"learning_rate": 0.05}, seed=3))

    assert end.step != last.step
    for one in (end, last):
        assert one.findings["diagnosis"]["errors"]["dev"] == one.metrics["dev_error"]
        assert one.findings["errors"]["wrong"] == round(30 * one.metrics["dev_error"])


@pytest.mark.parametrize(
    ("fields", "part"),
    [({}, "dev"), ({"dev_share": 0.0}, "test"), ({"dev_share": 0.0, "test_share": 0.0}, "train")],
)
def test_the_errors_are_those_of_a_part_that_has_examples(fields: dict[str, Any], part: str) -> None:
    _, end = ran(Job(TASK | fields, {}, seed=3))

    assert end.findings["errors"]["part"] == part


def test_data_whose_parts_differ_are_warned_about(tmp_path: Path) -> None:
    X = np.random.default_rng(0).normal(size=(600, 4))
    given = {"X_dev": X[:200] + 3, "y_dev": np.arange(200) % 2}
    np.savez(tmp_path / "cats.npz", X=X, y=np.arange(600) % 2, **given)

    _, end = ran(Job(TASK | {"dataset": "npz:cats.npz"}, {}, seed=3, data_dirs=(tmp_path,)))

    [warning] = end.findings["diagnosis"]["warnings"]
    assert "dev part is not distributed as the training part" in warning


def test_regression_has_a_diagnosis_and_no_list_of_errors() -> None:
    _, end = ran(Job(TASK | {"dataset": "diabetes"}, {}, seed=3))

    assert set(end.findings) == {"diagnosis"}
    json.dumps(end.findings, allow_nan=False)


def test_a_run_that_diverged_finds_out_nothing() -> None:
    _, end = ran(Job(TASK | {"optimizer": "gradient_descent"}, {"learning_rate": 100.0, "l2": 100.0}, seed=3))

    assert end.findings == {}


# --- transfer, curves, metrics ---


def test_transfer_begins_with_the_weights_of_the_source() -> None:
    _, source = ran(Job(TASK, {"learning_rate": 0.01}, seed=1))
    best = source.checkpoints[0].content
    fields = {"start_from": "flowers/0", "frozen_layers": 1, "epochs": 2}

    _, end = ran(Job(TASK | fields, {"learning_rate": 0.01}, seed=9, source=best))

    first, second = (Checkpoint.from_bytes(one) for one in (best, end.checkpoints[-1].content))
    shape = first.parameters().values
    assert all(np.array_equal(shape[name], second.parameters().values[name]) for name in ("W1", "b1"))
    assert not np.array_equal(shape["W2"], second.parameters().values["W2"])


@pytest.mark.parametrize(
    ("source", "fields", "sentence"),
    [(b"no npz", {}, "no checkpoint"), (None, {"hidden_units": 32}, "start_from has layers")],
)
def test_a_source_that_does_not_fit_fails_with_one_sentence(
    source: bytes | None, fields: dict[str, Any], sentence: str
) -> None:
    source = source or ran(Job(TASK, {}, seed=1))[1].checkpoints[0].content

    _, end = ran(Job(TASK | {"start_from": "flowers/0"} | fields, {}, seed=9, source=source))

    assert (end.state, sentence in (end.error or "")) == ("failed", True)


def test_the_curve_of_a_long_run_is_thinned_and_its_ends_stay() -> None:
    progress, _ = ran(Job(TASK | {"epochs": 1200, "batch_size": "full", "checkpoints": None}, {}, seed=3))

    epochs = [one.epoch for one in progress]
    assert 400 <= len(epochs) <= 500
    assert (epochs[0], epochs[-1]) == (1, 1200)
    assert max(np.diff(epochs)) <= 3


def test_a_thinned_curve_shows_where_the_run_stopped_and_parameters_changed() -> None:
    later = (
        [DesiredRun()] * 100
        + [DesiredRun(params={"l2": 0.1}, version=1)] * 50
        + [DesiredRun(version=2, stop=True, params={"l2": 0.1})]
    )

    progress, _ = ran(Job(TASK | {"epochs": 100_000, "batch_size": "full", "checkpoints": None}, {}, seed=3), *later)

    assert [(one.epoch, one.version, one.since_step) for one in progress] == [(1, 0, 0), (102, 1, 101), (151, 1, 101)]


def test_reports_have_the_norms_of_the_gradients() -> None:
    progress, _ = ran(Job(TASK | {"hidden_layers": 2}, {}, seed=3))

    assert {"gradient_norm_1", "gradient_norm_2", "gradient_norm_3"} <= set(progress[0].metrics)


def test_the_deepest_network_reports_no_more_metrics_than_a_report_may_have() -> None:
    progress, _ = ran(Job(TASK | {"hidden_layers": 100, "hidden_units": 2, "epochs": 1}, {}, seed=3))

    Report(step=progress[0].step, metrics=progress[0].metrics)
