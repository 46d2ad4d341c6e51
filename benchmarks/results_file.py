"""The figures in benchmarks/results, which git tracks: a benchmark replaces them only if it is told to --write."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any, Final

RESULTS: Final = Path(__file__).parent / "results"


def add_write_option(parser: argparse.ArgumentParser, name: str) -> None:
    parser.add_argument("--write", action="store_true", help=f"keep the figures in benchmarks/results/{name}.json")


def stored_results(name: str) -> dict[str, Any]:
    """The stored figures of a benchmark; none where it was never told to keep them."""
    file = RESULTS / f"{name}.json"
    found: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {}
    return found


def write_between(document: Path, begin: str, end: str, text: str) -> None:
    """Replace what stands between two marks of a document. Raises: ValueError (it does not have them)."""
    before, found, rest = document.read_text(encoding="utf-8").partition(begin)
    _, ended, after = rest.partition(end)
    if not (found and ended):
        raise ValueError(f"{document} has no place between {begin} and {end}")
    document.write_text(f"{before}{begin}\n{text}\n{end}{after}", encoding="utf-8")


def write_results(name: str, figures: dict[str, Any], indent: int = 1, sort_keys: bool = False) -> None:
    """Replace the stored figures of the benchmark."""
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(figures, indent=indent, sort_keys=sort_keys) + "\n")
