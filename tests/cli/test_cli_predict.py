"""`sturgeon predict` with models that the trainer wrote."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.cli.command import Command
from trainer.config import TrainConfig
from trainer.data.loading import load
from trainer.data.preparation import prepare
from trainer.training import train


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network that was trained on iris."""
    config = TrainConfig(dataset="iris", epochs=30, learning_rate=0.01)
    *_, last = train(config, prepare(config), seeds=0)
    file = tmp_path_factory.mktemp("model") / "iris.npz"
    file.write_bytes(last.checkpoint().to_bytes())
    return file


@pytest.fixture
def flowers(tmp_path: Path) -> Path:
    """Three flowers in the data set's own units, one of each species, with a header."""
    file = tmp_path / "flowers.csv"
    file.write_text("sepal,width,petal,width\n5.1,3.5,1.4,0.2\n5.7,2.8,4.1,1.3\n6.3,3.3,6.0,2.5\n")
    return file


SPECIES = ["setosa", "versicolor", "virginica"]


def test_rows_of_a_csv_get_their_labels(sturgeon: Command, model: Path, flowers: Path) -> None:
    ran = sturgeon("predict", model, flowers)
    assert (ran.code, ran.out.split(), ran.err) == (0, SPECIES, "")


def test_a_dash_reads_csv_from_standard_input(sturgeon: Command, model: Path, flowers: Path) -> None:
    assert sturgeon("predict", model, "-", stdin=flowers.read_text()).out.split() == SPECIES


def test_json_has_the_probabilities_which_sum_to_one(sturgeon: Command, model: Path, flowers: Path) -> None:
    rows = sturgeon("predict", model, flowers, "-o", "json").json["predictions"]
    assert [row["label"] for row in rows] == SPECIES
    for row in rows:
        assert max(row["probabilities"], key=row["probabilities"].get) == row["label"]
        assert sum(row["probabilities"].values()) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("as_names", [False, True])
def test_labels_y_of_an_npz_give_the_error_as_numbers_or_names(
    sturgeon: Command, model: Path, tmp_path: Path, as_names: bool
) -> None:
    iris = load("iris")
    wrongly = iris.y.copy()
    wrongly[:3] = 2  # three setosa that are said to be virginica: three errors more than the model makes
    names = np.array(SPECIES)
    errors = []
    for y in (iris.y, wrongly):
        np.savez(tmp_path / "iris.npz", X=iris.X, y=names[y] if as_names else y)
        ran = sturgeon("predict", model, tmp_path / "iris.npz", "-o", "json")
        errors.append(round(150 * ran.json["error"]))
    assert errors[0] <= 10
    assert errors[1] == errors[0] + 3


def test_the_error_goes_to_standard_error_so_that_the_output_is_labels_only(
    sturgeon: Command, model: Path, tmp_path: Path
) -> None:
    np.savez(tmp_path / "two.npz", X=[[5.1, 3.5, 1.4, 0.2], [6.3, 3.3, 6.0, 2.5]], y=[0, 0])
    ran = sturgeon("predict", model, tmp_path / "two.npz")
    assert ran.out.split() == ["setosa", "virginica"]
    assert ran.err == "error: 50.00 % of 2 examples\n"


def test_a_model_of_values_predicts_numbers_and_its_error_is_that_of_the_trainer(
    sturgeon: Command, tmp_path: Path
) -> None:
    config = TrainConfig(dataset="diabetes", epochs=5)
    data = prepare(config)
    *_, last = train(config, data, seeds=0)
    last.checkpoint().save(tmp_path / "model.npz")
    patients, rows = load("diabetes"), data.dev.rows
    np.savez(tmp_path / "dev.npz", X=patients.X[rows], y=patients.y[rows])
    ran = sturgeon("predict", tmp_path / "model.npz", tmp_path / "dev.npz", "-o", "json")
    assert ran.json["error"] == pytest.approx(last.metrics["dev_error"], rel=1e-4)
    first = ran.json["predictions"][0]
    assert float(first["label"]) == pytest.approx(*first["values"].values(), rel=1e-4)


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        ("1,2,3\n", "standard input does not fit the model: The model takes 4 features; X has 3."),
        ("1,2,3,4\n1,2,x,4\n", "standard input, line 2, column 3: 'x' is not a number."),
        ("1,2,3,4\n1,2,3\n", "standard input: line 2 has 3 cells, line 1 has 4."),
        ("1,2,3,nan\n", "standard input, line 1, column 4: 'nan' stands for a missing value."),
        ("a,b,c,d\n", "standard input has no rows below its header."),
    ],
)
def test_rows_that_do_not_fit_are_refused_in_a_sentence_that_says_where(
    sturgeon: Command, model: Path, rows: str, sentence: str
) -> None:
    ran = sturgeon("predict", model, "-", stdin=rows)
    assert (ran.code, ran.out, ran.err) == (2, "", f"sturgeon: {sentence}\n")


def test_a_file_that_is_no_model_is_refused(sturgeon: Command, flowers: Path) -> None:
    ran = sturgeon("predict", flowers, flowers)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err == f"sturgeon: {flowers} is no model that `sturgeon study export --model` wrote.\n"


def test_labels_that_the_model_does_not_know_are_refused(sturgeon: Command, model: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "rose.npz", X=[[5.1, 3.5, 1.4, 0.2]], y=["rose"])
    ran = sturgeon("predict", model, tmp_path / "rose.npz")
    assert ran.code == 2
    assert "y has the label 'rose'; the model's labels are setosa, versicolor, virginica." in ran.err


def test_an_npz_with_pickled_objects_is_refused_unread(sturgeon: Command, model: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "objects.npz", X=np.array([[{"a": 1}]], dtype=object))
    ran = sturgeon("predict", model, tmp_path / "objects.npz", "-o", "json")
    assert ran.code == 2
    assert "X holds Python objects, which are not read" in ran.err
    with pytest.raises(json.JSONDecodeError):
        json.loads(ran.out)


@pytest.mark.fault("W5")
@pytest.mark.parametrize("shape", ["column", "bytes", "one hot"])
def test_labels_may_be_a_column_bytes_or_one_hot_rows(
    sturgeon: Command, model: Path, tmp_path: Path, shape: str
) -> None:
    iris = load("iris")
    y = {"column": iris.y[:, None], "bytes": np.array(SPECIES)[iris.y].astype("S"), "one hot": np.eye(3)[iris.y]}
    errors = []
    for written in (iris.y, y[shape]):
        np.savez(tmp_path / "iris.npz", X=iris.X, y=written)
        errors.append(sturgeon("predict", model, tmp_path / "iris.npz", "-o", "json").json["error"])
    assert errors[0] == errors[1] < 0.1


@pytest.mark.fault("W5")
def test_data_that_would_be_read_in_part_are_refused(sturgeon: Command, model: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "more.npz", X=np.ones((2, 4)), labels=[0, 1])
    ran = sturgeon("predict", model, tmp_path / "more.npz")
    assert (ran.code, ran.out) == (2, "")
    assert "more.npz has an array 'labels', which is not read" in ran.err
    for text, says in {"1;2;3\n": "takes 4 features; X has 3", "1,2,3,1_0\n": "line 1, column 4: '1_0'"}.items():
        ran = sturgeon("predict", model, "-", stdin=text)
        assert (ran.code, ran.out) == (2, "")
        assert says in ran.err
