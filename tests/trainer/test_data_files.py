"""Data files as strangers write them: each is read as it was meant, or refused with the place of what is wrong."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trainer.config import TrainConfig
from trainer.data.datasets import Dataset, checked
from trainer.data.errors import DataError
from trainer.data.loading import load
from trainer.data.preparation import prepare
from trainer.streams.files import UnreadableFile
from trainer.streams.portions import read_portion

RNG = np.random.default_rng(0)
INPUTS = RNG.normal(size=(60, 2)).round(3)
PRICES = [f"{price:.4f}" for price in 14 + RNG.normal(size=60)]
SPECIES = ["setosa", "versicolor", "virginica"] * 20
NUMBERED = np.arange(60) % 3
NAMES = np.array(["setosa", "versicolor", "virginica"])

LoadCsv = Callable[..., Dataset]


@pytest.fixture
def load_csv(tmp_path: Path) -> LoadCsv:
    """Loads a csv file with two inputs a and b and these target cells; quoted if a comma is in them."""

    def load_it(cells: Sequence[str], header: str | None = "a,b,y", **options: Any) -> Dataset:
        quoted = [f'"{cell}"' if "," in cell else cell for cell in cells]
        lines = [f"{a},{b},{cell}" for (a, b), cell in zip(INPUTS.tolist(), quoted, strict=False)]
        (tmp_path / "t.csv").write_text("\n".join(([] if header is None else [header]) + lines) + "\n")
        return load("csv:t.csv", [tmp_path], **options)

    return load_it


def load_text(folder: Path, text: str | bytes, **options: Any) -> Dataset:
    (folder / "t.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
    return load("csv:t.csv", [folder], **options)


def load_npz(folder: Path, **arrays: Any) -> Dataset:
    np.savez(folder / "t.npz", **arrays)
    return load("npz:t.npz", [folder])


def with_one(cells: Sequence[str], cell: str) -> list[str]:
    """The cells with another one in line 12 of the file."""
    return [*cells[:10], cell, *cells[11:]]


@pytest.mark.fault("W5")
@pytest.mark.parametrize(
    "cell",
    [
        "?",
        "NA",
        "",
        "nan",
        "null",
        "#N/A",
        "#DIV/0!",
        "1,234.5",
        "$14.2",
        "<1.0",
        "-",
        "inf",
        "1_000",
        "1e400",
        "14.2 kg",
    ],
)
def test_one_target_that_is_no_number_is_refused_with_its_line(load_csv: LoadCsv, cell: str) -> None:
    with pytest.raises(DataError, match=r"t\.csv, line 12, column 'y': ") as refused:
        load_csv(with_one(PRICES, cell))
    assert (repr(cell) if cell else "empty") in str(refused.value)


@pytest.mark.fault("W5")
@pytest.mark.parametrize("written", [lambda price: f"${price}", lambda price: f"1,{price}", lambda price: f"{price} %"])
def test_numbers_that_are_all_decorated_are_no_classes(load_csv: LoadCsv, written: Callable[[str], str]) -> None:
    with pytest.raises(DataError, match=r"line 2, column 'y': .* is not a plain number"):
        load_csv([written(price) for price in PRICES])


@pytest.mark.fault("W5")
def test_a_text_of_its_own_in_each_row_is_no_class(load_csv: LoadCsv) -> None:
    with pytest.raises(DataError, match="line 2, column 'y': 'name 0' is one of 60 labels that only one example has"):
        load_csv([f"name {row}" for row in range(60)])


@pytest.mark.fault("W5")
@pytest.mark.parametrize(
    "cell",
    ["", "?", "NA", "NaN", "None", "null", "#N/A", "-", "--", "..", "\\N", "NaT", "n.a", "(none)", "''", "\u200b"],
)
def test_a_missing_label_is_no_class_of_its_own(load_csv: LoadCsv, tmp_path: Path, cell: str) -> None:
    labels = with_one(SPECIES, cell)
    with pytest.raises(DataError, match=r"t\.csv, line 12, column 'y': "):
        load_csv(labels)
    for y in (np.array(labels), np.char.encode(labels, "utf-8"), np.array(labels)[:, None]):
        with pytest.raises(DataError, match=r"y\[10\]: "):
            load_npz(tmp_path, X=INPUTS, y=y)


@pytest.mark.fault("W5")
def test_labels_that_differ_only_in_capitals_or_spaces_are_refused(load_csv: LoadCsv) -> None:
    with pytest.raises(DataError, match=r"line 12, column 'y': 'Virginica' differs from 'virginica' \(line 4"):
        load_csv(with_one(SPECIES, "Virginica"))
    assert load_csv(["a", "A", "b"] * 20).names == ("A", "a", "b")
    assert load_csv(["+", "-"] * 30).names == ("+", "-")


@pytest.mark.fault("W5")
@pytest.mark.parametrize("twin", ["cafe\u0301", "caf\u00e9\u200b", "\ufeffcaf\u00e9"])
def test_texts_that_look_the_same_are_not_two_classes(load_csv: LoadCsv, tmp_path: Path, twin: str) -> None:
    two = ["caf\u00e9", twin, "tea"]
    with pytest.raises(DataError, match=r"line 3, column 'y': .* differs from 'café' \(line 2"):
        load_csv(two * 20)
    with pytest.raises(DataError, match=r"y\[1\]: .* differs from 'café'"):
        load_npz(tmp_path, X=INPUTS, y=np.array(two * 20))
    with pytest.raises(DataError, match=r"class_names has .*, which differs from 'café'"):
        load_npz(tmp_path, X=INPUTS, y=NUMBERED, class_names=np.array(two))
    with pytest.raises(DataError, match="columns 1 and 2 are both called 'café'"):
        load_csv(SPECIES, header=f"caf\u00e9,{twin},y")


@pytest.mark.fault("W5")
def test_a_file_without_a_header_keeps_its_first_row(load_csv: LoadCsv) -> None:
    dataset = load_csv(SPECIES, header=None)
    assert (dataset.X.tolist(), dataset.y.tolist()) == (INPUTS.tolist(), NUMBERED.tolist())
    assert load_csv(PRICES, header=None).y.ravel().tolist() == [float(price) for price in PRICES]
    with pytest.raises(DataError, match="its first line has numbers, so it is no header"):
        load_csv(PRICES, header=None, target="y")


@pytest.mark.fault("W5")
def test_names_that_are_numbers_are_no_example(load_csv: LoadCsv) -> None:
    assert len(load_csv(SPECIES, header="0,1,2").X) == 60  # as pandas writes columns without names
    for header in ("2019,2020,species", "2019,2020,2021"):
        with pytest.raises(DataError, match=r"line 1: '(species|2021)' stands in no other line"):
            load_csv([str(label) for label in NUMBERED], header=header)


@pytest.mark.fault("W5")
@pytest.mark.parametrize(
    ("header", "options", "says"),
    [
        ("y,x,y", {}, "columns 1 and 3 are both called 'y'"),
        ("x,x,y", {}, "columns 1 and 2 are both called 'x'"),
        ("y, y ,x", {"target": "x"}, "columns 1 and 2 are both called 'y'"),
        ("a,b,", {}, "line 1: column 3 has no name; the line ends with a comma"),
        (",b,y", {}, "line 1: column 1 has no name"),
        ("a,b,y", {"target": ["y", "y"]}, "target names a column twice"),
        ("a,b,y", {"target": ["y", "a", "b"]}, "no columns are left as inputs"),
    ],
)
def test_columns_that_cannot_be_told_apart_are_refused(
    load_csv: LoadCsv, header: str, options: dict[str, Any], says: str
) -> None:
    with pytest.raises(DataError, match=says):
        load_csv([str(label) for label in NUMBERED], header=header, **options)


@pytest.mark.fault("W5")
def test_names_and_cells_are_read_without_the_spaces_around_them(load_csv: LoadCsv) -> None:
    dataset = load_csv([f" {label} " for label in SPECIES], header="a, b, species", target="species")
    assert dataset.names == ("setosa", "versicolor", "virginica")


@pytest.mark.fault("W5")
def test_an_index_that_was_written_beside_the_data_is_dropped(tmp_path: Path) -> None:
    lines = [f"{row},{a},{label}" for row, ((a, _), label) in enumerate(zip(INPUTS.tolist(), SPECIES, strict=True))]
    dataset = load_text(tmp_path, ",a,y\n" + "\n".join(lines))
    assert (dataset.X.ravel().tolist(), dataset.dropped) == (INPUTS[:, 0].tolist(), ("column 1",))


@pytest.mark.fault("W5")
@pytest.mark.parametrize(
    ("codes", "names"),
    [
        (["007", "07", "7"], ("007", "07", "7")),
        (["1e5", "100000", "2"], ("100000", "1e5", "2")),
        (["12e4", "ab34", "120000"], ("120000", "12e4", "ab34")),
        (["01234", "1234", "00"], ("00", "01234", "1234")),
        (["1.0", "2.0", "3.0"], ("1", "2", "3")),
        (["<=50K", ">50K", ">50K"], ("<=50K", ">50K")),
    ],
)
def test_labels_that_look_like_numbers_stay_apart(load_csv: LoadCsv, codes: list[str], names: tuple[str, ...]) -> None:
    assert load_csv(codes * 20).names == names


@pytest.mark.fault("W5")
@pytest.mark.parametrize("codes", [["1", "1.0", "2"], ["+1", "1", "2"], ["1", "2", "2."]])
def test_one_class_that_is_written_in_two_ways_is_refused(load_csv: LoadCsv, codes: list[str]) -> None:
    with pytest.raises(DataError, match=r"line \d, column 'y': .* write a class in one way"):
        load_csv(codes * 20)


@pytest.mark.fault("W5")
def test_the_loss_says_that_all_targets_are_labels(load_csv: LoadCsv) -> None:
    codes = ["A1", "1", "2"] * 20
    with pytest.raises(DataError, match="line 2, column 'y': 'A1' is not a plain number, and 40 of the 60"):
        load_csv(codes)
    assert load_csv(codes, loss="softmax").names == ("1", "2", "A1")


@pytest.mark.fault("W5")
@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a;b;c\n1;2;3\n4;5\n", "line 3 has 2 cells, line 1 has 3"),
        ("a\tb\tc\n1\t2u\t3\n4\t5\t6\n", "line 2, column 'b': '2u' is not a number"),
        ("1 2 3\n4 5 6\n", "line 1: its cells are separated by spaces"),
        ("a,b\n1,größe\n".encode("latin-1"), "line 2: 'größe' is not text in UTF-8"),
        ("a,b\n1,2\n3,\n".encode("utf-16"), "line 3, column 'b': the cell is empty"),
        ('a,b,y\n1,2,x\n3,4,"x\n5,6,y\n', r"line 3: it is not csv \(unexpected end of data\)"),
        ('a,b,y\n\n"1\n",2,x\n3,4u,y\n', "line 5, column 'b': '4u' is not a number"),
        ("a,b,y\n1,nan,0\n3,,1\n", "column 'b' has no value in any line"),
        ("a,b,y\n9007199254740993,2,0\n3,4,1\n", "line 2, column 'a': '9007199254740993' has more digits"),
        ("a,y,z\n1,0.5,2\n3,,4\n", "line 3, column 'y': the target is missing"),
    ],
)
def test_what_is_no_csv_of_numbers_is_refused_with_its_line(tmp_path: Path, text: str | bytes, says: str) -> None:
    with pytest.raises(DataError, match=says):
        load_text(tmp_path, text, target=["y", "z"] if "z" in str(text) else None)


@pytest.mark.fault("W5")
def test_byte_strings_are_text(tmp_path: Path) -> None:
    assert load_npz(tmp_path, X=INPUTS, y=NAMES[NUMBERED].astype("S")).names == tuple(NAMES)
    assert load_npz(tmp_path, X=INPUTS, y=NUMBERED, class_names=NAMES.astype("S")).names == tuple(NAMES)
    with pytest.raises(DataError, match="y holds strings that are not UTF-8"):
        load_npz(tmp_path, X=INPUTS, y=np.array([b"a\xff", b"b"] * 30))


@pytest.mark.fault("W5")
@pytest.mark.parametrize("y", [NUMBERED.astype(np.uint8), NUMBERED / 1.0, NAMES[NUMBERED]])
def test_one_column_of_classes_is_a_vector_of_them(tmp_path: Path, y: Any) -> None:
    whole = load_npz(tmp_path, X=INPUTS, y=y[:, None])
    parts = load_npz(tmp_path, X=INPUTS[:40], y=y[:40, None], X_dev=INPUTS[40:], y_dev=y[40:])
    for dataset in (whole, parts):
        assert (dataset.kind, dataset.y.tolist(), len(dataset.names)) == ("classes", NUMBERED.tolist(), 3)


@pytest.mark.fault("W5")
@pytest.mark.parametrize("dtype", [bool, np.uint8, np.float64])
def test_one_hot_targets_are_classes_unless_the_loss_says_labels(tmp_path: Path, dtype: type) -> None:
    one_hot = np.eye(3)[NUMBERED].astype(dtype)
    dataset = load_npz(tmp_path, X=INPUTS, y=one_hot, class_names=NAMES)
    assert (dataset.kind, dataset.y.tolist(), dataset.names) == ("classes", NUMBERED.tolist(), tuple(NAMES))
    assert load("npz:t.npz", [tmp_path], loss="softmax").kind == "classes"
    assert load("npz:t.npz", [tmp_path], loss="logistic").kind == "labels"
    two = one_hot.copy()
    two[0] = True
    assert load_npz(tmp_path, X=INPUTS, y=two).kind == "labels"


@pytest.mark.fault("W5")
@pytest.mark.parametrize(
    ("arrays", "says"),
    [
        ({"X_dev": INPUTS}, "has an array X_dev and no y_dev"),
        ({"y_test": NUMBERED}, "has an array y_test and no X_test"),
        ({"X_val": INPUTS, "y_val": NUMBERED}, "'X_val', which is not read; call it X_dev"),
        ({"x_test": INPUTS}, "'x_test', which is not read; leave it out"),
        ({"weights": np.ones(60)}, "'weights', which is not read"),
        ({"X_dev": INPUTS, "y_dev": NUMBERED[:50]}, "a target for each row of X_dev"),
        ({"X": INPUTS[:50], "X_dev": INPUTS, "y_dev": NUMBERED[:50]}, "a target for each row of X;"),
        ({"X_dev": INPUTS, "y_dev": NAMES[NUMBERED]}, "some of y, y_dev and y_test hold strings"),
        ({"class_names": np.array(["a", "b", "a"])}, r"class_names\[0\] and \[2\] are both 'a'"),
        ({"class_names": np.array(["a", "", "b"])}, r"class_names\[1\] is empty"),
        ({"class_names": np.array("a")}, "class_names must be a list of names"),
        ({"class_names": np.array([2, 1, 0])}, "positions in class_names or the names themselves"),
        ({"y": NAMES[NUMBERED], "class_names": NAMES[:2]}, r"y\[2\] is 'virginica', which is not in class_names"),
        ({"y": INPUTS, "class_names": NAMES}, "class_names has 3 names; y has 2 columns"),
        ({"synthetic": np.array([3, 7])}, "true or false for each of the 60 rows"),
        ({"synthetic": np.arange(60)}, "true or false for each of the 60 rows"),
        ({"y": np.arange(60) + 100}, "60 different integers in 60 examples"),
        ({"y": NAMES[np.stack([NUMBERED, NUMBERED], axis=1)]}, "strings in 2 columns"),
        ({"y": np.array(["1", "1.0", "2"])[NUMBERED]}, r"y\[1\]: '1.0' is the number '1' \(y\[0\]\)"),
        (
            {"class_names": np.array(["ab", "AB", "b"])},
            "class_names has 'AB', which differs from 'ab' only in capitals",
        ),
        ({"y": np.eye(3)[NUMBERED] * 255}, "all numbers of y are 0 or 255"),
        ({"y": np.eye(3)[NUMBERED] * 2 - 1}, "all numbers of y are -1 or 1"),
        ({"y": np.where(np.eye(3)[NUMBERED] == 1, 1, np.nan)}, "all targets are the same"),
    ],
)
def test_arrays_that_are_not_what_they_seem_are_refused(tmp_path: Path, arrays: dict[str, Any], says: str) -> None:
    with pytest.raises(DataError, match=says):
        load_npz(tmp_path, **({"X": INPUTS, "y": NUMBERED} | arrays))


@pytest.mark.fault("W5")
@pytest.mark.filterwarnings("error")
def test_small_floats_are_class_numbers_without_a_warning(tmp_path: Path) -> None:
    assert load_npz(tmp_path, X=INPUTS, y=NUMBERED.astype(np.float16)).names == ("0", "1", "2")


@pytest.mark.fault("W5")
def test_rows_that_are_all_made_up_are_refused_with_a_sentence(tmp_path: Path) -> None:
    load_npz(tmp_path, X=INPUTS, y=NUMBERED, synthetic=np.ones(60, bool))
    with pytest.raises(DataError, match=r"npz:t\.npz: all rows of X are synthetic"):
        prepare(TrainConfig("npz:t.npz"), [tmp_path])


@pytest.mark.fault("W5")
def test_a_class_that_train_does_not_have_is_warned_of(tmp_path: Path) -> None:
    load_npz(tmp_path, X=INPUTS, y=NUMBERED, X_dev=INPUTS, y_dev=NUMBERED + 2)
    said = prepare(TrainConfig("npz:t.npz"), [tmp_path]).warnings
    assert "The training part has no example of the class '3', the dev part has." in said


@pytest.mark.fault("W5")
def test_strings_are_found_in_the_class_names(tmp_path: Path) -> None:
    backwards = NAMES[::-1]
    dataset = load_npz(tmp_path, X=INPUTS, y=NAMES[NUMBERED], class_names=backwards)
    assert [dataset.names[label] for label in dataset.y] == NAMES[NUMBERED].tolist()


@pytest.mark.fault("W5")
@pytest.mark.parametrize(
    ("arrays", "says"),
    [
        ({"y": np.array(with_one(SPECIES, "?"))}, r"y\[10\]: '\?' stands for a missing value"),
        ({"y": np.array(with_one(SPECIES, "Virginica"))}, r"y\[10\]: 'Virginica' differs"),
        ({"X_dev": INPUTS}, "'X_dev', which is not read"),
        ({"class_names": np.array(["a", "b", "a"])}, "must differ"),
        ({"X": np.array([[2**53 + 1, 1]] * 60)}, r"X\[0, 0\] is 9007199254740993"),
    ],
)
def test_portions_of_a_stream_follow_the_same_rules(tmp_path: Path, arrays: dict[str, Any], says: str) -> None:
    np.savez(tmp_path / "p.npz", **({"X": INPUTS, "y": NUMBERED} | arrays))
    path = tmp_path / "p.npz"
    with pytest.raises(UnreadableFile, match=says):
        read_portion(path, path.stat(), None, "auto", tmp_path)


@pytest.mark.fault("W5")
@pytest.mark.parametrize("y", [NUMBERED[:, None], np.eye(3)[NUMBERED], NAMES[NUMBERED].astype("S")[:, None]])
def test_a_portion_of_one_column_or_of_one_hot_rows_has_classes(tmp_path: Path, y: Any) -> None:
    np.savez(tmp_path / "p.npz", X=INPUTS, y=y)
    path = tmp_path / "p.npz"
    portion, form = read_portion(path, path.stat(), None, "auto", tmp_path)
    again, _ = read_portion(path, path.stat(), form, "auto", tmp_path)
    assert (form.kind, len(form.names)) == ("classes", 3)
    assert portion.Y.argmax(axis=1).tolist() == again.Y.argmax(axis=1).tolist() == NUMBERED.tolist()


@pytest.mark.fault("W6")
@pytest.mark.parametrize("dtype", [np.int64, np.uint64])
def test_integers_that_floats_cannot_tell_apart_are_refused(dtype: type) -> None:
    X = (2**60 + np.arange(120).reshape(60, 2)).astype(dtype)
    with pytest.raises(DataError, match=r"X\[0, 1\] is 1152921504606846977; whole numbers are exact up to 2\^53"):
        checked("large", X, NUMBERED)
    with pytest.raises(DataError, match=r"y\[1\] is 1152921504606846979"):
        checked("large", INPUTS, X[:, 0] + np.arange(60, dtype=dtype) % 2, loss="squared")
    assert np.ptp(checked("large", (X - X[0, 0]) * 2**40, NUMBERED).X) == 119 * 2**40
