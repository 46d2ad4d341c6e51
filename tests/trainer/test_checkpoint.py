from __future__ import annotations

import os
import pickle
import time
from dataclasses import replace

import numpy as np
import pytest

from trainer.checkpoint import TORN_AFTER_S, Checkpoint, CheckpointError, load_checkpoint
from trainer.config import TrainConfig
from trainer.data.loading import load
from trainer.data.preparation import prepare
from trainer.layers.network import ShapeError
from trainer.numerics import numerics
from trainer.predict import predict
from trainer.training import train


@pytest.fixture(scope="module")
def trained():
    """A checkpoint of iris after 30 epochs, with its final metrics and its data."""
    config = TrainConfig("iris", epochs=30, hidden_units=(6, 5), learning_rate=0.02, batch_size=16)
    data = prepare(config)
    *_, last = train(config, data, 1)
    return last.checkpoint(), data


def test_a_checkpoint_survives_the_way_through_a_file(trained, tmp_path):
    checkpoint, _ = trained
    checkpoint.save(tmp_path / "model.npz")
    again = load_checkpoint(tmp_path / "model.npz")
    assert again.to_bytes() == checkpoint.to_bytes()
    assert again.config == checkpoint.config
    assert np.array_equal(again.theta, checkpoint.theta)
    assert [path.name for path in tmp_path.iterdir()] == ["model.npz"]


def test_a_save_that_fails_leaves_the_old_file_and_nothing_else(trained, tmp_path):
    checkpoint, _ = trained
    checkpoint.save(tmp_path / "model.npz")
    before = (tmp_path / "model.npz").read_bytes()
    with pytest.raises(TypeError):
        replace(checkpoint, metrics={"odd": object()}).save(tmp_path / "model.npz")
    assert (tmp_path / "model.npz").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["model.npz"]


def test_a_save_deletes_what_a_killed_one_has_left_of_the_same_file(trained, tmp_path):
    names = [".model.npz.abcdefgh.torn", ".model.npz.stillnew.torn", ".other.npz.abcdefgh.torn"]
    for name, age in zip(names, (TORN_AFTER_S + 60, 0, TORN_AFTER_S + 60), strict=True):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (time.time() - age, time.time() - age))
    trained[0].save(tmp_path / "model.npz")
    assert sorted(path.name for path in tmp_path.iterdir()) == [*names[1:], "model.npz"]


def test_predictions_from_the_file_alone_repeat_the_reported_test_error(trained):
    checkpoint, data = trained
    iris = load("iris")
    labels, probabilities = predict(Checkpoint.from_bytes(checkpoint.to_bytes()), iris.X[data.test.rows])
    right = [iris.names[label] for label in iris.y[data.test.rows]]
    wrong = np.mean([label != name for label, name in zip(labels, right, strict=True)])
    assert wrong == pytest.approx(checkpoint.metrics["test_error"])
    assert probabilities.sum(axis=1) == pytest.approx(np.ones(30))


def test_one_example_is_predicted_as_it_is_among_many(trained):
    checkpoint, _ = trained
    X = load("iris").X[::10]
    _, many = predict(checkpoint, X)
    for row in range(len(X)):
        assert predict(checkpoint, X[row : row + 1])[1][0] == pytest.approx(many[row], rel=1e-5)


def test_examples_that_do_not_fit_the_model_are_refused(trained):
    with pytest.raises(ShapeError, match="takes 4 features; X has 3"):
        predict(trained[0], np.zeros((2, 3)))
    with pytest.raises(ValueError, match="finite"):
        predict(trained[0], np.full((2, 4), np.nan))


@pytest.mark.parametrize("content", [b"", b"rubbish", pickle.dumps({"theta": 1})])
def test_other_bytes_are_no_checkpoint(content):
    with pytest.raises(CheckpointError):
        Checkpoint.from_bytes(content)


def test_a_checkpoint_of_another_format_is_refused(trained, monkeypatch):
    monkeypatch.setattr("trainer.checkpoint.FORMAT", 99)
    newer = trained[0].to_bytes()
    monkeypatch.undo()
    with pytest.raises(CheckpointError, match="another version"):
        Checkpoint.from_bytes(newer)


def test_a_checkpoint_whose_parameters_are_laid_out_otherwise_is_refused(trained):
    longer = replace(trained[0], theta=np.append(trained[0].theta, np.float32(0)))
    with pytest.raises(CheckpointError, match="laid out as by another version"):
        Checkpoint.from_bytes(longer.to_bytes())


def test_a_checkpoint_names_the_numerics_it_was_made_with(trained):
    assert trained[0].numerics == numerics()
    assert set(numerics()) == {"numpy", "scipy", "blas", "kernel", "threads"}
    assert numerics()["kernel"] != "unknown"
