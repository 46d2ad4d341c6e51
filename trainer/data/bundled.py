"""The small data sets that come with scikit-learn, read from its files.

Its own `load_digits` and the like give the same arrays, but to import them takes a second, most of it for
`scipy.stats`: too long for each worker that starts.
"""

from __future__ import annotations

import csv
import gzip
import importlib.util
from pathlib import Path
from typing import Final

import numpy as np

from trainer.layers.parameters import Array

FILES: Final = {"breast_cancer": "breast_cancer.csv", "iris": "iris.csv", "wine": "wine_data.csv"}

RawData = tuple[Array, Array, tuple[str, ...] | None]
"""X, y and the names of the classes, labels or values, as `datasets.checked` takes them."""


def load_bundled(name: str) -> RawData:
    """X `[m, n]` float64, y `[m]` and the names of the classes, if y are classes."""
    if name == "digits":
        with gzip.open(_folder() / "digits.csv.gz", "rt") as file:
            table = np.loadtxt(file, delimiter=",")
        return table[:, :-1], table[:, -1].astype(np.int64), tuple(str(digit) for digit in range(10))
    if name == "diabetes":
        X = np.loadtxt(_folder() / "diabetes_data_raw.csv.gz")
        spread = np.nanstd(X, axis=0)  # with the functions of scikit-learn, and in its order: the same bits
        return (
            (X - np.nanmean(X, axis=0)) / spread / len(X) ** 0.5,
            np.loadtxt(_folder() / "diabetes_target.csv.gz"),
            None,
        )
    with (_folder() / FILES[name]).open(newline="", encoding="utf-8") as file:
        (examples, features, *classes), *rows = csv.reader(file)
    table = np.array(rows, dtype=np.float64)
    assert table.shape == (int(examples), int(features) + 1), f"{FILES[name]} of scikit-learn is not as it was"
    return np.ascontiguousarray(table[:, :-1]), table[:, -1].astype(np.int64), tuple(classes)


def _folder() -> Path:
    found = importlib.util.find_spec("sklearn")
    assert found is not None, "scikit-learn is one of Sturgeon's requirements"
    assert found.origin is not None
    return Path(found.origin).parent / "datasets" / "data"
