"""ARCHITECTURE.md is a map: what it names is there, and no folder of code is missing."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MAP = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
PACKAGES = ("sturgeon", "server", "worker", "trainer")
FILE = re.compile(r"[\w./-]+\.(?:py|md|toml)\b")


def section(title: str) -> str:
    """The text below a heading of the second level."""
    return MAP.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def cells(title: str) -> list[list[str]]:
    """The rows of the tables in a section, without their headings."""
    lines = re.findall(r"^\| (.*) \|$", section(title), re.MULTILINE)
    return [line.split(" | ") for line in lines if not line.startswith(("folder |", "where is", "word |", "to add"))]


def folders() -> list[tuple[str, list[str]]]:
    """Each folder of the map, with a slash at its end, and the files that its row names."""
    return [(row[0].strip("`"), FILE.findall(row[1])) for row in cells("The folders")]


def definitions(file: str) -> set[str]:
    """The functions, classes and constants of a module, at its top."""
    names: set[str] = set()
    for node in ast.parse((ROOT / file).read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names.add(node.target.id)
        elif isinstance(node, ast.Assign):
            names.update(target.id for target in node.targets if isinstance(target, ast.Name))
    return names


def test_each_file_that_the_map_names_exists() -> None:
    in_folders = [f"{folder}{file}" for folder, files in folders() for file in files]
    elsewhere = [file for file in FILE.findall(MAP) if "/" in file or not file.endswith(".py")]

    assert len(in_folders) > 150
    assert len(elsewhere) > 50
    assert [file for file in in_folders + elsewhere if not (ROOT / file).is_file()] == []


def test_outside_of_the_table_of_folders_files_are_named_with_their_path() -> None:
    text = MAP.replace(section("The folders"), "")

    assert [file for file in FILE.findall(text) if file.endswith(".py") and "/" not in file] == []


def test_each_folder_with_code_is_in_the_map() -> None:
    modules = [path for package in PACKAGES for path in (ROOT / package).rglob("*.py") if path.read_text().strip()]
    with_code = {f"{path.parent.relative_to(ROOT).as_posix()}/" for path in modules}

    assert len(with_code) > 20
    assert with_code - {folder for folder, _ in folders()} == set()


def test_each_module_of_a_service_or_of_the_worker_is_in_its_row() -> None:
    rows = {folder: set(files) for folder, files in folders()}
    mapped = [folder for folder in rows if folder.startswith(("server/services/", "worker/", "trainer/"))]

    assert len(mapped) > 10
    for folder in mapped:
        modules = {path.name for path in (ROOT / folder).glob("*.py")} - {"__init__.py"}
        assert modules == rows[folder], folder


def test_the_map_answers_twenty_questions() -> None:
    assert len(cells("Which file to open")) == 20


@pytest.mark.parametrize(("question", "file", "name"), cells("Which file to open"))
def test_each_answer_of_the_map_defines_what_it_says(question: str, file: str, name: str) -> None:
    assert name.strip("`") in definitions(file.strip("`")), question


def test_the_glossary_has_25_words_each_once() -> None:
    words = [word for word, _ in cells("The words")]

    assert len(words) == len(set(words)) == 25


def test_the_layers_in_the_map_are_those_that_the_build_checks() -> None:
    """Each contract of layers is written out once, highest first."""
    config = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    written = re.sub(r"[`\s]+", " ", section("What imports what"))
    contracts = re.findall(r'type = "layers"\ncontainers = .*\nlayers = \[([^\]]*)\]', config)

    assert len(contracts) == 4
    for contract in contracts:
        layers = re.findall(r'"([^"]+)"', contract)
        assert " > ".join(layers) in written


# --- no test waits for a fixed time ---

SLEEPS = ("sleep", "wait_for_timeout")
LEAST_DEADLINE_S = 30
TAKE_TIME = {
    "tests/worker/paced.py": "a task that takes its time, as a training does",
    "tests/worker/test_steered_soon.py": "the rest between two looks of a loop that is the worker's",
}


def test_no_test_waits_for_a_fixed_time() -> None:
    """One that looks again and again, in a loop that ends when something has come, may rest between two looks. Scripts
    that tests run stand in texts, and are no tests: most of those that sleep do so until they are killed."""
    files = {path.relative_to(ROOT).as_posix(): path for path in sorted((ROOT / "tests").rglob("*.py"))}
    assert len(files) > 250
    found = {name: fixed_waits(path.read_text(encoding="utf-8")) for name, path in files.items()}
    assert {name: calls for name, calls in found.items() if calls and name not in TAKE_TIME} == {}


@pytest.mark.parametrize(
    "code",
    [
        "time.sleep(1)",
        "async def test(): await asyncio.sleep(PAUSE_S)",
        "threading.Event().wait(5)",
        "event.wait(timeout=5)",
        "page.wait_for_timeout(150)",
        "for _ in range(9): tell(lambda: time.sleep(1))",
        "with slow(): sleep(0.1)",
    ],
)
def test_a_fixed_wait_is_known_by_its_form(code: str) -> None:
    assert len(fixed_waits(code)) == 1


def fixed_waits(code: str) -> list[str]:
    """Calls outside of loops that wait for a time which is written down; `.wait(limit)` is one where nobody looks
    whether it ended by the limit, unless that is a deadline, which a test never reaches but when it fails."""
    tree = ast.parse(code)
    parents = {child: parent for parent in ast.walk(tree) for child in ast.iter_child_nodes(parent)}
    return [
        f"{call.lineno}: {ast.unparse(call)}"
        for call in ast.walk(tree)
        if isinstance(call, ast.Call) and _waits(call, parents) and not _in_a_loop(call, parents)
    ]


def _waits(call: ast.Call, parents: dict[ast.AST, ast.AST]) -> bool:
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    if name != "wait":
        return name in SLEEPS
    limits = [*call.args, *(one.value for one in call.keywords)]
    return bool(limits) and isinstance(parents[call], ast.Expr) and not any(map(_is_deadline, limits))


def _is_deadline(limit: ast.expr) -> bool:
    if isinstance(limit, ast.Name):
        return limit.id in ("DEADLINE_S", "LONGEST_S", "WAIT_S")
    return isinstance(limit, ast.Constant) and isinstance(limit.value, int) and limit.value >= LEAST_DEADLINE_S


def _in_a_loop(call: ast.AST, parents: dict[ast.AST, ast.AST]) -> bool:
    while (call := parents.get(call, call)) in parents and not isinstance(
        call, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
    ):
        if isinstance(call, ast.While | ast.For | ast.AsyncFor):
            return True
    return False
