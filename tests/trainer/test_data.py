"""Data sets, splits, normalisation and batches."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import sklearn.datasets

from trainer.config import TrainConfig
from trainer.data.batches import Batches, example_order
from trainer.data.bundled import load_bundled
from trainer.data.datasets import checked
from trainer.data.errors import DataError
from trainer.data.loading import BUNDLED, load
from trainer.data.normalization import fit
from trainer.data.preparation import prepare, split_up
from trainer.data.splits import stratified
from trainer.streams.statistics import InputStatistics

ROOT = Path(__file__).parents[2]
X4 = np.arange(8.0).reshape(4, 2)
Y4 = np.array([0, 1, 0, 1])


@pytest.fixture
def folder(tmp_path):
    """A data folder with good.npz in it, beside a file that is outside of it."""
    folder = tmp_path / "data"
    folder.mkdir()
    np.savez(folder / "good.npz", X=X4, y=np.array(["cat", "dog", "cat", "dog"]))
    np.savez(tmp_path / "outside.npz", X=X4, y=Y4)
    return folder


@pytest.mark.parametrize(
    ("name", "m", "n", "classes"),
    [("digits", 1797, 64, 10), ("breast_cancer", 569, 30, 2), ("wine", 178, 13, 3), ("iris", 150, 4, 3)],
)
def test_the_bundled_data_sets_load(name, m, n, classes):
    dataset = load(name)
    assert (dataset.kind, dataset.X.shape, len(dataset.names)) == ("classes", (m, n), classes)


def test_an_npz_file_is_read_with_its_labels_as_class_names(folder):
    dataset = load("npz:good.npz", [folder])
    assert dataset.names == ("cat", "dog")
    assert dataset.y.tolist() == [0, 1, 0, 1]


def test_no_path_leads_out_of_the_data_folders(folder):
    (folder / "link.npz").symlink_to(folder.parent / "outside.npz")
    for escape in ("../outside.npz", "link.npz", str(folder.parent / "outside.npz"), "missing.npz"):
        with pytest.raises(DataError, match="no file below the --data folders"):
            load(f"npz:{escape}", [folder])
    with pytest.raises(DataError, match="--data"):
        load("npz:good.npz")


def test_a_file_with_objects_or_rubbish_is_refused(folder):
    np.savez(folder / "objects.npz", X=np.array([[1, None]], dtype=object), y=Y4)
    (folder / "rubbish.npz").write_bytes(b"PK\x03\x04 not a zip")
    (folder / "text.npz").write_text("hello")
    np.save(folder / "lone.npy", X4)
    np.savez(folder / "short.npz", X=X4)
    good = (folder / "good.npz").read_bytes()
    (folder / "broken.npz").write_bytes(good.replace(b"NUMPY", b"RUMPY"))
    for file, says in {
        "objects.npz": "Python objects",
        "rubbish.npz": "not an npz file",
        "broken.npz": "cannot be read",
        "text.npz": "not an npz file",
        "lone.npy": "not an npz",
        "short.npz": "no array y",
    }.items():
        with pytest.raises(DataError, match=says):
            load(f"npz:{file}", [folder])


@pytest.mark.parametrize(
    ("X", "y", "names", "says"),
    [
        (np.array([[1.0, np.nan]]), np.array([0]), None, "row 0, feature 1 is nan"),
        (X4, np.zeros(4, int), None, "only the class '0'"),
        (X4, np.array([0, 1, 0, 2]), np.array(["a", "b"]), "numbers 0 to 1"),
        (X4, np.array([0, 1, 0]), None, "a target for each of the 4 rows"),
        (X4, np.array([None, 1, 0, 1], dtype=object), None, "numbers or strings; they have dtype object"),
        (X4, np.array([2.5, 2.5, 2.5, 2.5]), None, "all targets are the same"),
        (X4, np.array([2.5, 1, np.nan, 2.5]), None, "row 2 is not"),
        (X4, np.array([[0, np.nan], [1, np.nan], [1, np.nan], [0, np.nan]]), None, "label 1 is missing"),
        (np.empty((0, 3)), np.empty(0, int), None, "examples and features"),
        (np.array([["a"]]), np.array([0]), None, "must hold numbers"),
    ],
)
def test_bad_data_are_refused_in_a_sentence(X, y, names, says):
    with pytest.raises(DataError, match=says):
        checked("bad", X, y, names)


def test_a_split_is_stratified_seeded_and_complete():
    y = np.repeat([0, 1, 2], [100, 50, 10])
    wanted = {"dev": 0.2, "test": 0.1}
    split = stratified(y, wanted, seed=3)
    assert {name: len(rows) for name, rows in split.items()} == {"dev": 32, "test": 16, "train": 112}
    assert sorted(np.concatenate(list(split.values()))) == list(range(160))
    assert np.bincount(y[split["dev"]]).tolist() == [20, 10, 2]
    assert np.bincount(y[split["test"]]).tolist() == [10, 5, 1]
    assert np.array_equal(stratified(y, wanted, seed=3)["dev"], split["dev"])
    assert not np.array_equal(stratified(y, wanted, seed=4)["dev"], split["dev"])


def test_an_empty_part_is_refused():
    with pytest.raises(DataError, match="dev part would be empty"):
        stratified(Y4, {"dev": 0.01, "test": 0.25}, seed=0)
    with pytest.raises(DataError, match="No examples are left"):
        stratified(Y4, {"dev": 0.5, "test": 0.5}, seed=0)


def test_normalisation_uses_the_training_part_alone_and_zeroes_constant_features():
    X = np.column_stack([np.arange(100.0), np.full(100, 0.1), np.arange(100.0) ** 2])
    data = split_up(checked("made", X, np.arange(100) % 2), TrainConfig("made"))
    assert data.train.X[:, [0, 2]].mean(axis=0) == pytest.approx([0, 0], abs=1e-6)
    assert data.train.X[:, [0, 2]].std(axis=0) == pytest.approx([1, 1], abs=1e-6)
    assert np.all(np.abs(data.train.X[:, 1]) < 1e-6)
    train = X[data.train.rows]
    expected = (X[data.dev.rows, 0] - train[:, 0].mean()) / train[:, 0].std()
    assert data.dev.X[:, 0] == pytest.approx(expected, rel=1e-6)


def test_normalisation_is_safe_for_features_that_are_constant_but_for_rounding():
    assert fit(np.full((3, 1), 0.1 + 1e9)).deviation.tolist() == [1.0]


@pytest.mark.fault("W6")
@pytest.mark.parametrize("unit", [1e-300, 1e-150, 1e-30, 1e-15, 1e-12, 1e-6, 1e9, 1e30])
def test_the_unit_of_a_feature_or_target_makes_no_difference(unit):
    rng = np.random.default_rng(0)
    X, y = rng.normal(3, 1, (60, 2)), rng.normal(3, 1, 60)
    usual, other = (split_up(checked("made", X * u, y * u), TrainConfig("made")) for u in (1, unit))
    for part in ("train", "dev", "test"):
        np.testing.assert_allclose(other.parts[part].X, usual.parts[part].X, rtol=1e-5)
        np.testing.assert_allclose(other.parts[part].Y, usual.parts[part].Y, rtol=1e-5)
    streamed = InputStatistics.empty(2).including(X * unit).normalization() if unit > 1e-150 else fit(X * unit)
    np.testing.assert_allclose(streamed.apply(X * unit), fit(X).apply(X), rtol=1e-5)


@pytest.mark.fault("W6")
@pytest.mark.parametrize("constant", [0.0, 0.1, 1e9 + 0.1, 1e-30, -7e20])
def test_a_constant_feature_is_one_whatever_its_mean_is_rounded_to(constant):
    X = np.full((100_000, 1), constant)
    assert np.abs(fit(X).apply(X)).max() < 1e-3
    assert fit(X).deviation.tolist() == InputStatistics.empty(1).including(X).normalization().deviation.tolist() == [1]


def test_inputs_stay_as_they_are_when_normalisation_is_off():
    data = prepare(TrainConfig("iris", normalize_inputs=False))
    assert np.array_equal(data.dev.X, load("iris").X[data.dev.rows].astype(np.float32))


def test_an_epoch_sees_every_example_once_in_an_order_of_its_own():
    batches = Batches(m=10, batch_size=4, seeds=[1, 2], epoch=0)
    assert [batches[i].shape for i in range(len(batches))] == [(2, 4), (2, 4), (2, 2)]
    rows = np.concatenate([batches[i] for i in range(3)], axis=1)
    assert [sorted(row) for row in rows.tolist()] == [list(range(10))] * 2
    assert not np.array_equal(rows[0], rows[1])
    assert not np.array_equal(example_order(1, 0, 10), example_order(1, 1, 10))


@pytest.mark.parametrize("name", [name for name in BUNDLED if name != "mnist_5k"])
def test_the_bundled_data_are_those_that_scikit_learn_gives(name):
    given = getattr(sklearn.datasets, f"load_{name}")()
    X, y, names = load_bundled(name)
    assert X.tobytes() == given.data.tobytes()
    assert (X.dtype, y.dtype, y.tolist()) == (given.data.dtype, given.target.dtype, given.target.tolist())
    assert list(names or []) == [str(label) for label in given.get("target_names", [])]


def test_the_process_that_forks_a_workers_children_does_not_import_scikit_learn():
    told = "import sys, worker.child.preloaded; print(*{'sklearn', 'scipy.stats'} & set(sys.modules))"
    ran = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True, cwd=ROOT)
    assert ran.stdout == "\n"
