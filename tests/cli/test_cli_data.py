"""`sturgeon data` and `sturgeon predict` with csv files of numbers, dates and text."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.command import Command
from trainer.config import config_from
from trainer.data.preparation import prepare
from trainer.training import train

SHOPS = "\n".join(
    ["id;town;opened;area;sold"]
    + [
        f"{row};{('Bern', 'Genf', 'Chur')[row % 3]};2026-01-{1 + row % 28:02};"
        f"{'' if row % 10 == 4 else f'{row % 9},5'};{('few', 'many')[row % 3 == 0]}"
        for row in range(60)
    ]
)
"""Shops that sell much in Bern and little elsewhere; the area of some is missing."""


@pytest.fixture
def shops(tmp_path: Path) -> Path:
    file = tmp_path / "shops.csv"
    file.write_text(SHOPS)
    return file


@pytest.fixture
def model(shops: Path) -> Path:
    """A network that was trained on the shops."""
    fields = {"dataset": "csv:shops.csv", "drop": "id", "epochs": 60, "learning_rate": 0.01}
    config = config_from(fields)
    *_, last = train(config, prepare(config, [shops.parent]), seeds=0)
    file = shops.parent / "model.npz"
    file.write_bytes(last.checkpoint().to_bytes())
    return file


def test_data_shows_what_would_be_learnt_from_a_file(sturgeon: Command, shops: Path) -> None:
    ran = sturgeon("data", shops)
    lines = [line.split() for line in ran.out.splitlines()]
    assert ran.code == 0, ran.err
    assert ran.out.startswith("csv:shops.csv: 60 rows, 4 columns that become 7 inputs, 2 classes.")
    assert ["'town'", "category:", "Bern,", "Chur,", "Genf", "3", "-", "-"] in lines
    assert ["'area'", "number", "2", "6", "4.5"] in lines
    assert "written with: delimiter ;  decimal ,  utf-8  a header" in ran.out
    assert "Warning: column 'id' numbers the rows" in ran.out
    dropped = sturgeon("data", shops, "--drop", "id", "--drop", "opened", "-o", "json").json
    assert [column["column"] for column in dropped["encoded"]] == ["column 'town'", "column 'area'"]
    assert (dropped["notes"], dropped["dropped"]) == ([], ["column 'id'", "column 'opened'"])


def test_data_says_which_cell_cannot_be_meant(sturgeon: Command, shops: Path) -> None:
    shops.write_text(SHOPS.replace(";3,5;", ";3.5 m;", 1))
    ran = sturgeon("data", shops)
    assert (ran.code, ran.out) == (2, "")
    assert "shops.csv, line 5, column 'area': '3.5 m' is not a number" in ran.err
    assert "has no column 'country'" in sturgeon("data", shops, "--target", "country").err


def test_predict_encodes_new_rows_as_the_training_file(sturgeon: Command, shops: Path, model: Path) -> None:
    new = shops.parent / "new.csv"
    new.write_text("area;owner;town;opened\n3,5;A;Bern;2026-02-01\n;B;Chur;2026-02-02\n1,5;C;Basel;2026-02-03\n")
    ran = sturgeon("predict", model, new)
    assert (ran.code, ran.out.split()[:2]) == (0, ["many", "few"])
    assert ran.err.strip() == "column 'town': 1 of 3 rows hold a category that the model has not learnt."
    without_names = "Bern;2026-02-01;3,5\nChur;2026-02-02;\n"  # the columns that were learnt from, in their order
    assert sturgeon("predict", model, "-", stdin=without_names).out.split() == ["many", "few"]
    assert sturgeon("predict", model, new, "-o", "json").json["unseen"] == {"column 'town'": 1}


def test_a_row_of_empty_cells_has_its_prediction_but_for_those_at_the_end(sturgeon: Command, model: Path) -> None:
    rows = "Bern;2026-02-01;3,5\n;;\n\nChur;2026-02-02;\n;;\n;;\n"

    predicted = sturgeon("predict", model, "-", stdin=rows).out.split()

    assert (len(predicted), predicted[0], predicted[2]) == (3, "many", "few")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("area;town\n3,5;Bern\n", "has no column 'opened'; the model takes"),
        ("town;opened;area\nBern;2026-02-01;3.5\n", "line 2, column 'area': '3.5' has a point"),
        ("town;opened;area\nBern;1.2.2026;3,5\n", "line 2, column 'opened': there is no date '1.2.2026'"),
        ("Bern;2026-02-01;3,5;few\n", "has no column 'town'"),
        ("town;opened;area\n", "has no rows below its header"),
    ],
)
def test_rows_that_are_not_like_the_training_file_are_refused(
    sturgeon: Command, model: Path, content: str, says: str
) -> None:
    ran = sturgeon("predict", model, "-", stdin=content)
    assert (ran.code, ran.out) == (2, "")
    assert says in ran.err
