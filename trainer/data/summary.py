"""What a data set was read as: so that a person sees at once whether it was read as it was meant."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from trainer.data.datasets import Dataset
from trainer.data.encoding import Encoding
from trainer.layers.parameters import Array

MOST_NAMED: Final = 100
"""So many classes and columns are named; all of them are counted."""

LONGEST: Final = 100


def summary(dataset: Dataset, rows: Mapping[str, Array], encoding: Encoding | None = None) -> dict[str, Any]:
    """Plain JSON. dataset: its X as the network gets it. rows: of each part, their numbers in the data set."""
    X = dataset.X[rows["train"]]
    constant = np.flatnonzero(X.min(axis=0) == X.max(axis=0)).tolist()
    return {
        "dataset": dataset.name,
        "kind": dataset.kind,
        "rows": len(dataset.X),
        "columns": len(dataset.columns) or dataset.X.shape[1],
        "inputs": dataset.X.shape[1],
        "parts": {name: len(part) for name, part in rows.items() if len(part)},
        **_targets(dataset),
        "dropped": named(dataset.dropped),
        "constant": named([dataset.inputs[place] if dataset.inputs else str(place) for place in constant]),
        "constant_count": len(constant),
        "encoded": [] if encoding is None else _columns(encoding, dataset.missing_inputs),
        "written": None if encoding is None else dataclasses.asdict(encoding.dialect),
        "notes": list(dataset.notes[:MOST_NAMED]),
    }


def _columns(encoding: Encoding, missing: Sequence[int]) -> list[dict[str, Any]]:
    """What the first columns of a csv file become."""
    columns = list(zip(encoding.columns, missing, strict=True))[:MOST_NAMED]
    return [
        {
            "column": named([column.name])[0],
            "kind": column.kind,
            "inputs": len(column.inputs()),
            "missing": lacking,
            "fill": named([column.fill])[0] if isinstance(column.fill, str) else column.fill,
            "categories": named(column.categories),
            "other": column.other,
        }
        for column, lacking in columns
    ]


def _targets(dataset: Dataset) -> dict[str, Any]:
    if dataset.kind == "classes":
        counts = np.bincount(dataset.y, minlength=len(dataset.names)).tolist()
    elif dataset.kind == "labels":
        counts = np.nansum(dataset.y, axis=0).astype(int).tolist()
    else:
        counts = []
    return {
        "targets": named(dataset.names),
        "target_count": len(dataset.names),
        "examples": counts[:MOST_NAMED],
        "missing": int(np.isnan(dataset.y).sum()) if dataset.kind == "labels" else 0,
    }


def stream_summary(name: str, kind: str, columns: int, names: Sequence[str]) -> dict[str, Any]:
    """Of a stream, whose portions come one by one: the form that its first portion gave it."""
    return {
        "dataset": name,
        "kind": kind,
        "rows": None,
        "columns": columns,
        "inputs": columns,
        "parts": {},
        "targets": named(names),
        "target_count": len(names),
        "examples": [],
        "missing": 0,
        "dropped": [],
        "constant": [],
        "constant_count": 0,
        "encoded": [],
        "written": None,
        "notes": [],
    }


def named(names: Sequence[str]) -> list[str]:
    """The first names, as text that any program can store."""
    return [name.replace("\0", "").encode(errors="replace").decode()[:LONGEST] for name in names[:MOST_NAMED]]
