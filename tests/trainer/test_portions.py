"""Files that lie in a stream's folder, and what is said of those that are no portions."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trainer.streams import files
from trainer.streams.files import UnreadableFile
from trainer.streams.portions import Form, Portion, read_portion

THREE = Form(3, "classes", ("0", "1", "2"), indexed=False)
NAMED = Form(3, "classes", ("cat", "dog"), indexed=True)
NUMBERS = Form(3, "values", ("y0",), indexed=False)
LABELS = Form(3, "labels", ("y0", "y1"), indexed=False)
X = np.arange(12.0).reshape(4, 3)
Y = np.array([0, 1, 2, 0])


def read_at(path: Path, form: Form | None = THREE, loss: str = "auto", root: Path | None = None) -> Portion:
    return read_portion(path, path.stat(), form, loss, root or path.parent)[0]


def written(folder: Path, **arrays: Any) -> Path:
    np.savez(folder / "p.npz", **({"X": X, "y": Y} | arrays))
    return folder / "p.npz"


@pytest.mark.parametrize(
    ("form", "arrays", "says"),
    [
        (THREE, {"y": np.array([0, None, 1, 2], dtype=object)}, "y holds Python objects"),
        (THREE, {"X": np.array([[1, "a", None]] * 4, dtype=object)}, "X holds Python objects"),
        (THREE, {"X": X.astype(complex)}, "X must hold numbers; it has dtype complex128"),
        (THREE, {"X": X[:, 0]}, "X must have a row for each example"),
        (THREE, {"X": X[:, :0]}, "has no examples"),
        (THREE, {"X": np.where(X == 7, np.inf, X)}, "a float32 can hold"),
        (THREE, {"X": np.where(X == 7, -1e39, X)}, "a float32 can hold"),
        (THREE, {"y": np.array([0, 1, np.nan, 2])}, "whole numbers or strings"),
        (THREE, {"y": np.array([0, 1, np.inf, 2])}, "a float32 can hold"),
        (THREE, {"y": np.array([0, 1, 1e30, 2])}, "whole numbers or strings"),
        (THREE, {"y": np.array([0, 1, 0.5, 2])}, "whole numbers or strings"),
        (THREE, {"y": Y[:3]}, "a target for each of X's 4 rows; its shape is (3,)"),
        (THREE, {"y": np.stack([Y, Y], axis=1)}, "one class for each example"),
        (THREE, {"y": np.empty((4, 0))}, "its shape is (4, 0)"),
        (THREE, {"y": np.empty((0, 5))}, "its shape is (0, 5)"),
        (THREE, {"y": np.array(1)}, "its shape is ()"),
        (THREE, {"y": np.array([0, 1, 2, 3])}, "no class '3'"),
        (THREE, {"class_names": np.array(["0", "1"])}, "class_names are not those"),
        (THREE, {"class_names": np.array("0")}, "class_names must be a list of names"),
        (THREE, {"class_names": np.array(["0", "1", "1"])}, "must differ"),
        (NAMED, {"y": np.array([0, 1, 2, 0], dtype=np.uint64)}, "numbers 0 to 1"),
        (NUMBERS, {"y": np.array([0.5, np.nan, 1, 2])}, "targets must be finite"),
        (NUMBERS, {"y": np.array([0.5, 1e300, 1, 2])}, "a float32 can hold"),
        (NUMBERS, {"y": np.array(["a", "b", "c", "d"])}, "targets y must be numbers"),
        (LABELS, {"y": np.array([[0, 1], [1, 1], [0, 2], [1, 0]])}, "labels must be 0 and 1"),
        (LABELS, {"y": np.ones((4, 3))}, "y has 3 columns, the portions before it 2"),
        (None, {"y": np.array(["cat", "dog", "cow", "cat"]), "class_names": np.array(["cat", "dog"])}, "y[2] is 'cow'"),
        (
            None,
            {"y": np.random.default_rng(0).random((4, 2)), "class_names": np.array(["a"])},
            "has 1 names; y has 2 columns",
        ),
    ],
)
def test_arrays_that_are_no_portion_are_refused_with_a_sentence(
    tmp_path: Path, form: Form | None, arrays: dict[str, Any], says: str
) -> None:
    with pytest.raises(UnreadableFile) as refused:
        read_at(written(tmp_path, **arrays), form)
    assert says in str(refused.value)
    assert "p.npz" in str(refused.value)


def test_the_first_portion_may_name_classes_that_only_come_later_also_by_strings(tmp_path: Path) -> None:
    names, y = np.array(["cat", "cow", "dog"]), np.array(["cat", "dog", "cat", "dog"])
    path = written(tmp_path, y=y, class_names=names)
    portion, form = read_portion(path, path.stat(), None, "auto", tmp_path)
    assert form.names == ("cat", "cow", "dog")
    assert portion.Y.argmax(axis=1).tolist() == [0, 2, 0, 2]
    later = written(tmp_path, y=np.array([b"cow", b"dog", b"cow", b"cat"]))
    assert read_at(later, form).Y.argmax(axis=1).tolist() == [1, 2, 1, 0]


def test_the_same_examples_are_known_again_in_another_dtype_and_shape(tmp_path: Path) -> None:
    first = read_at(written(tmp_path))
    again = written(tmp_path, X=X.astype(np.float32).reshape(4, 3, 1), y=Y.astype(np.uint8).reshape(4, 1))
    assert read_at(again).sha256 == first.sha256
    assert read_at(written(tmp_path, y=Y[::-1])).sha256 != first.sha256


def test_a_small_file_that_unpacks_to_a_huge_array_is_refused_unread(tmp_path: Path) -> None:
    header = str({"descr": "|u1", "fortran_order": False, "shape": (1 << 20, 1 << 10)}).ljust(118).encode()
    with zipfile.ZipFile(tmp_path / "p.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("X.npy", b"\x93NUMPY\x01\x00\x76\x00" + header)
    with pytest.raises(UnreadableFile, match="more than a portion may have"):
        read_at(tmp_path / "p.npz")


def test_a_file_that_is_too_large_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MOST_BYTES", 500)
    with pytest.raises(UnreadableFile, match=r"p\.npz has \d+ bytes, more than"):
        read_at(written(tmp_path))


@pytest.mark.parametrize("content", [b"no zip", b"PK\x03\x04", b"\x80\x04}\x94.", b"\x93NUMPY\x01\x00"])
def test_what_is_no_npz_file_is_torn(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "p.npz").write_bytes(content)
    with pytest.raises(UnreadableFile, match="is torn, or not an npz file") as refused:
        read_at(tmp_path / "p.npz")
    assert refused.value.key == "torn", "a file that still grows is told once"


def test_what_is_no_file_or_leads_out_of_the_data_folder_is_not_opened(tmp_path: Path) -> None:
    folder = tmp_path / "data" / "s"
    folder.mkdir(parents=True)
    os.mkfifo(folder / "pipe.npz")  # to open it would wait for ever
    (folder / "folder.npz").mkdir()
    (folder / "out.npz").symlink_to(written(tmp_path))
    (folder / "in.npz").symlink_to(written(tmp_path / "data"))
    for name, says in (("pipe", "is not a file"), ("folder", "is not a file"), ("out", "leads out of")):
        with pytest.raises(UnreadableFile, match=says):
            read_at(folder / f"{name}.npz", root=tmp_path / "data")
    assert len(read_at(folder / "in.npz", root=tmp_path / "data")) == 4
