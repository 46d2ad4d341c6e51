"""CSV files of the kinds that people have, as a train task reads them: as they are meant, or refused with the cell."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sturgeon.messages import DatasetSummary
from trainer.checkpoint import Checkpoint
from trainer.config import config_from
from trainer.data.encoding import Encoding
from trainer.data.preparation import prepare
from worker.child.protocol import DesiredRun, FindingsMessage, Finished, Job
from worker.tasks import train

ISLANDS = ("Biscoe", "Dream", "Torgersen")


def penguins(rows: int = 60) -> list[list[str]]:
    """Species, island, bill, mass and sex: mass is missing in each 10th row, sex in each 7th."""
    rng = np.random.default_rng(0)
    made = []
    for row in range(rows):
        species = "Gentoo" if row % 3 == 0 else "Adelie"
        bill = f"{(48 if species == 'Gentoo' else 38) + rng.normal():.1f}"
        mass = "" if row % 10 == 4 else str(int(3500 + 1500 * (species == "Gentoo") + 100 * rng.normal()))
        made.append([species, ISLANDS[row % 3], bill, mass, "NA" if row % 7 == 3 else ("male", "female")[row % 2]])
    return made


def text(rows: list[list[str]], header: str | None = "species,island,bill,mass,sex", delimiter: str = ",") -> str:
    lines = [] if header is None else [header.replace(",", delimiter)]
    return "\n".join([*lines, *(delimiter.join(row) for row in rows)]) + "\n"


def ran(folder: Path, content: str | bytes, **fields: Any) -> tuple[DatasetSummary | None, Finished, Checkpoint | None]:
    """What a trial of one epoch says of its data, its last word, and its model."""
    (folder / "t.csv").write_bytes(content if isinstance(content, bytes) else content.encode())
    checkpoints = {"best": 1, "last": 1}
    task = {"kind": "train", "dataset": "csv:t.csv", "epochs": 1, "hidden_units": 4, "checkpoints": checkpoints}
    said = [one for _, one in train.run([Job(task | fields, {}, seed=1, data_dirs=(folder,))], lambda _: DesiredRun())]
    findings = [one.findings for one in said if isinstance(one, FindingsMessage) and "dataset" in one.findings]
    last = said[-1]
    assert isinstance(last, Finished)
    summary = DatasetSummary.model_validate(findings[0]["dataset"]) if findings else None
    return summary, last, Checkpoint.from_bytes(last.checkpoints[-1].read()) if last.checkpoints else None


def refusal(folder: Path, content: str | bytes, **fields: Any) -> str:
    summary, last, _ = ran(folder, content, **fields)
    assert (summary, last.state) == (None, "failed")
    return last.error or ""


def kinds(summary: DatasetSummary | None) -> dict[str, tuple[str, int]]:
    """The kind and the number of inputs of each column."""
    assert summary is not None
    return {c.column.removeprefix("column ").strip("'"): (c.kind, c.inputs) for c in summary.encoded}


PENGUINS = {"island": ("category", 3), "bill": ("number", 1), "mass": ("number", 2), "sex": ("category", 3)}
"""What they become: mass and sex have an input for a missing value."""


def test_text_and_missing_values_are_encoded_as_the_training_part_says(tmp_path: Path) -> None:
    summary, last, model = ran(tmp_path, text(penguins()), target="species")
    assert (last.state, kinds(summary)) == ("complete", PENGUINS)
    data = prepare(config_from({"dataset": "csv:t.csv", "target": "species"}), [tmp_path])
    X = data.normalization.undo(data.train.X)
    rows = [penguins()[row] for row in data.train.rows]
    median = np.median([float(row[3]) for row in rows if row[3]])
    assert X[:, 4] == pytest.approx([float(row[3] or median) for row in rows], abs=0.01)
    assert X[:, 5] == pytest.approx([float(row[3] == "") for row in rows], abs=1e-6)
    for place, island in enumerate(ISLANDS):
        assert X[:, place] == pytest.approx([float(row[1] == island) for row in rows], abs=1e-6)
    assert model is not None
    assert model.encoding == data.encoding
    assert model.inputs == 9


def test_the_dev_part_says_nothing_about_what_is_filled_in(tmp_path: Path) -> None:
    config = config_from({"dataset": "csv:t.csv", "target": "species"})
    rows = penguins()
    (tmp_path / "t.csv").write_text(text(rows))
    data = prepare(config, [tmp_path])
    for row in (*data.dev.rows, *data.test.rows):
        rows[row][1:] = ["Elsewhere", rows[row][2], "9999", "male"]
    (tmp_path / "t.csv").write_text(text(rows))
    other = prepare(config, [tmp_path])
    assert other.encoding == data.encoding
    islands = other.normalization.undo(other.dev.X)[:, :3]
    assert islands == pytest.approx(0, abs=1e-6)  # an island that was not learnt is none of them


def with_commas(rows: list[list[str]]) -> list[list[str]]:
    return [[row[0], row[1], row[2].replace(".", ","), *row[3:]] for row in rows]


UMLAUT = text(penguins()).replace("Dream", "Überm")


@pytest.mark.parametrize(
    ("content", "fields", "written"),
    [
        (text(penguins(), delimiter=";"), {}, (";", ".", "utf-8", True)),
        (text(with_commas(penguins()), delimiter=";"), {}, (";", ",", "utf-8", True)),
        (text(with_commas(penguins()), delimiter="\t"), {}, ("tab", ",", "utf-8", True)),
        (text(penguins(), delimiter="|"), {"decimal": "."}, ("|", ".", "utf-8", True)),
        (text(penguins()).encode("utf-16"), {}, (",", ".", "utf-16", True)),
        (
            text(penguins()).replace("Dream", "Überm").encode("latin-1"),
            {"encoding": "latin-1"},
            (",", ".", "latin-1", True),
        ),
        (text(penguins()).replace("\n", "\r\n").encode("utf-8-sig"), {}, (",", ".", "utf-8", True)),
    ],
)
def test_delimiter_decimal_and_encoding_are_found_or_given(
    tmp_path: Path, content: str | bytes, fields: dict[str, Any], written: tuple[object, ...]
) -> None:
    summary, last, _ = ran(tmp_path, content, target="species", **fields)
    assert (last.error, kinds(summary)) == (None, PENGUINS)
    assert summary is not None
    assert summary.written is not None
    assert tuple(summary.written.model_dump().values()) == written


def test_a_file_without_a_header_names_its_columns_by_number(tmp_path: Path) -> None:
    summary, _, _ = ran(tmp_path, text(penguins(), header=None), target="1", drop=["3"])
    assert kinds(summary) == {"2": ("category", 3), "4": ("number", 2), "5": ("category", 3)}
    rows = [[island, sex, species] for species, island, _, _, sex in penguins() if sex != "NA"]
    summary, _, _ = ran(tmp_path, text(rows, header=None))  # no number anywhere: each cell stands in its column again
    assert summary is not None
    assert (summary.rows, len(summary.encoded)) == (len(rows), 2)


def test_an_id_is_a_warning_and_what_is_dropped_is_not_read(tmp_path: Path) -> None:
    rows = [[str(row + 7), *cells] for row, cells in enumerate(penguins())]
    content = text(rows, "PassengerId,species,island,bill,mass,sex")
    summary, _, _ = ran(tmp_path, content, target="species")
    assert summary is not None
    assert [note.partition(":")[0] for note in summary.notes] == [
        "column 'PassengerId' numbers the rows, as an id does"
    ]
    summary, _, _ = ran(tmp_path, content, target="species", drop="PassengerId")
    assert summary is not None
    assert (summary.notes, summary.dropped, kinds(summary)) == ([], ["column 'PassengerId'"], PENGUINS)


def test_numbers_with_leading_zeros_are_a_warning_until_they_are_categories(tmp_path: Path) -> None:
    content = text([[f"0{8000 + row % 5}", cells[2], cells[0]] for row, cells in enumerate(penguins())], "zip,bill,y")
    summary, _, _ = ran(tmp_path, content)
    assert summary is not None
    assert ["'08000' looks like a code" in note for note in summary.notes] == [True]
    summary, _, _ = ran(tmp_path, "sep=,\n" + content, categories="zip")
    assert summary is not None
    assert (summary.notes, kinds(summary)) == ([], {"zip": ("category", 5), "bill": ("number", 1)})


def test_iso_dates_are_days_and_others_are_refused(tmp_path: Path) -> None:
    rows = [[f"2007-11-{1 + row % 28:02}", *cells] for row, cells in enumerate(penguins())]
    header = "seen,species,island,bill,mass,sex"
    summary, last, _ = ran(tmp_path, text(rows, header), target="species")
    assert (last.error, kinds(summary)) == (None, {"seen": ("date", 1)} | PENGUINS)
    data = prepare(config_from({"dataset": "csv:t.csv", "target": "species"}), [tmp_path])
    days = data.normalization.undo(data.train.X)[:, 0]
    assert days == pytest.approx([13818 + row % 28 for row in data.train.rows], abs=0.01)  # 2007-11-01 is day 13818
    for written in ("1.11.2007", "11/1/2007", "1-11-07"):
        rows[3][0] = written
        error = refusal(tmp_path, text(rows, header), target="species")
        assert f"line 5, column 'seen': '{written}' looks like a date" in error
    rows[3][0] = "2007-11-31"
    assert "line 5, column 'seen': there is no date '2007-11-31'" in refusal(
        tmp_path, text(rows, header), target="species"
    )


def changed(row: int, place: int, cell: str) -> list[list[str]]:
    rows = penguins()
    rows[row][place] = cell
    return rows


def with_column(place: int, cells: Callable[[int, list[str]], str], delimiter: str = ",") -> str:
    """The penguins with other cells in a column."""
    rows = penguins()
    for number, row in enumerate(rows):
        row[place] = cells(number, row)
    return text(rows, delimiter=delimiter)


@pytest.mark.parametrize(
    ("content", "fields", "says"),
    [
        (text(changed(4, 2, "38,5"), delimiter=";"), {}, "line 6: '38,5' has a comma, '48.1' in line 2 a point"),
        (text([[*row[:3], "3,500", *row[4:]] for row in with_commas(penguins())], delimiter=";"), {}, None),
        (
            text([[*row[:2], "1,500", *row[3:]] for row in penguins()], delimiter=";"),
            {},
            "line 2: '1,500' may be a number",
        ),
        (UMLAUT.encode("latin-1"), {}, "line 3: 'Überm' is not text in UTF-8"),
        (text(changed(4, 3, "3.5 kg")), {}, "line 6, column 'mass': '3.5 kg' is not a number, and 54 of 55"),
        (with_column(3, lambda _, row: f"${row[3] or 0}"), {}, "line 2, column 'mass': '$4986' is not a plain number"),
        (
            with_column(4, lambda number, _: f"ring {number}"),
            {},
            "line 2, column 'sex': 'ring 0'",
        ),
        (text(changed(4, 4, "Male")), {}, "line 6, column 'sex': 'Male' differs from 'male'"),
        (with_column(4, lambda *_: "?"), {}, "column 'sex' has no value in any line"),
        (text(penguins()), {"drop": "age"}, "has no column 'age'"),
        (text(penguins()), {"drop": "species"}, "drop names column 'species', which another field names, too"),
        (text([row[:2] for row in changed(4, 1, "Skua")], "species,Dream"), {}, "line 1: 'species' may be a name or"),
        (text(penguins()), {"delimiter": ";"}, "has no column 'species'"),
        (with_column(1, lambda _, row: f"{row[1]};{row[1]}"), {"drop": "sex"}, None),
        ("1,5;2,5;x\n3,5;4,5;y\n" * 20, {"target": "3"}, None),
        ("1;5,2;x\n3;4,2 5;y\n" * 20, {"target": "3"}, "line 1: its cells may be separated by commas or semicolons"),
    ],
)
def test_what_can_be_read_in_two_ways_is_refused_with_its_cell(
    tmp_path: Path, content: str | bytes, fields: dict[str, Any], says: str | None
) -> None:
    fields = {"target": "species"} | fields
    if says is None:  # only one reading makes sense
        assert ran(tmp_path, content, **fields)[1].error is None
    else:
        assert says in refusal(tmp_path, content, **fields)


def test_rare_categories_share_an_input_and_numbers_may_be_categories(tmp_path: Path) -> None:
    rows = [[str(row % 3), str(10000 + row % 70), "yes" if row % 2 else "no"] for row in range(420)]
    summary, _, _ = ran(tmp_path, text(rows, "pclass,zip,y"), categories=["pclass", "zip"])
    assert kinds(summary) == {"pclass": ("category", 3), "zip": ("category", 51)}
    data = prepare(config_from({"dataset": "csv:t.csv", "categories": ["pclass", "zip"]}), [tmp_path])
    X = data.normalization.undo(data.dev.X)
    assert X.sum(axis=1) == pytest.approx(2, abs=1e-4)  # one category of each column, or "other"
    assert 0 < X[:, -1].sum() < len(X)


def test_an_encoding_comes_back_from_a_checkpoint(tmp_path: Path) -> None:
    _, _, model = ran(tmp_path, text(with_commas(penguins()), delimiter=";"), target="species")
    assert model is not None
    assert model.encoding is not None
    assert Encoding.from_json(model.encoding.as_json()) == model.encoding
    assert model.encoding.dialect.decimal == ","
