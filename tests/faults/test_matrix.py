"""docs/reliability.md names a test for each fault, and these tests are there."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
DOCUMENT = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
FOUND = [f"L{number}" for number in range(1, 12)]


class Row(NamedTuple):
    """A fault, and the tests that its row names, as file and function."""

    fault: str
    tests: list[tuple[str, str]]


def rows_of(heading: str) -> list[Row]:
    """The rows of the table below this heading."""
    section = re.split(r"^#+ ", DOCUMENT.partition(f" {heading}\n")[2], maxsplit=1, flags=re.MULTILINE)[0]
    lines = [line.strip("|").split(" | ") for line in section.splitlines() if line.startswith("| ")]
    return [Row(cells[0].strip(), re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", cells[2])) for cells in lines[1:]]


@cache
def module(file: str) -> ast.Module:
    return ast.parse((ROOT / file).read_text(encoding="utf-8"))


def marks(file: str, name: str) -> Iterator[str]:
    """The names of faults that a test, or its whole file, is marked with."""
    function = next(node for node in module(file).body if isinstance(node, ast.FunctionDef) and node.name == name)
    of_file = [node.value for node in module(file).body if isinstance(node, ast.Assign) and _is_mark(node)]
    for expression in (*function.decorator_list, *of_file):
        yield from re.findall(r"mark\.fault\('(\w+)'", ast.unparse(expression))


def _is_mark(node: ast.Assign) -> bool:
    return ast.unparse(node.targets[0]) == "pytestmark"


def test_each_fault_of_the_matrix_has_a_test_that_is_there() -> None:
    matrix, found = rows_of("The fault matrix"), rows_of("Faults that were found")
    assert len(matrix) >= 22
    assert [row.fault.split()[0] for row in found] == FOUND

    for row in (*matrix, *found):
        assert row.tests, f"no test for: {row.fault}"
        for file, name in row.tests:
            functions = [node.name for node in module(file).body if isinstance(node, ast.FunctionDef)]
            assert name in functions, f"{file} has no {name}, which is to be the test of: {row.fault}"


def test_each_fault_that_was_found_is_in_the_mark_of_one_of_its_tests() -> None:
    for row in rows_of("Faults that were found"):
        name = row.fault.split()[0]
        assert any(name in marks(*test) for test in row.tests), f"`make test-faults` would not run {name}"
