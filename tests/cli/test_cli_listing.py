"""The listing, which stands for commands that are not imported, and the help that is drawn from it."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
import typer
from typer.main import get_command

from sturgeon.cli import listing
from sturgeon.cli.app import app
from sturgeon.cli.lazily import Listed
from tests.cli.command import Command

if TYPE_CHECKING:
    from pathlib import Path

IMPORTED_BY_HELP = """
import sys
from sturgeon.cli.app import run
assert run(["--help"]) == 0
print(*sorted(sys.modules), file=sys.stderr)
"""


def listed(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for name, one in getattr(command, "commands", {}).items():
        yield from listed(one, (*path, name))
    if isinstance(command, Listed):
        yield path


def at(path: tuple[str, ...]) -> Any:
    command: Any = get_command(app)
    for name in path:
        command = command.commands[name]
    return command


PATHS = list(listed(get_command(app)))


def first_paragraph(command: Any) -> str:
    return " ".join((command.short_help or command.help).split("\n\n")[0].split())


def test_each_line_of_the_listing_is_what_its_command_says() -> None:
    lines = {path: (at(path).name, at(path).help, at(path).hidden) for path in PATHS}
    real = {path: at(path).loaded() for path in PATHS}

    assert lines == {path: (one.name, first_paragraph(one), one.hidden) for path, one in real.items()}


def test_each_command_of_a_listed_module_is_in_the_listing() -> None:
    from importlib import import_module

    for commands in (listing.ROOT, *(below for _, below in listing.GROUPS.values())):
        for where, helps in commands.items():
            module, _, attribute = where.partition(":")
            registered = getattr(import_module(f"sturgeon.cli.{module}"), attribute or "commands").registered_commands
            group = typer.Typer()
            group.registered_commands.extend(registered)
            group.callback()(lambda: None)
            assert list(get_command(group).commands) == list(helps), where  # type: ignore[attr-defined]


def test_help_imports_no_command_and_no_message(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", IMPORTED_BY_HELP],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    imported = set(done.stderr.split())

    assert "task-fields" in done.stdout
    assert "typer.rich_utils" in imported
    assert not {"pydantic", "httpx", "yaml", "markdown_it", "pygments", "rich.markdown"} & imported
    ours = {name for name in imported if name.startswith("sturgeon.cli.")}
    assert not ours & {f"sturgeon.cli.{where.partition(':')[0]}" for where in listing.STUDY}


def words(page: str) -> list[str]:
    """What stands between blanks, frames and the bars between choices."""
    return [word for word in re.split(r"[\s│╭╮╰╯─|]+", page) if word]


@pytest.mark.parametrize("columns", [40, 60, 79])
def test_help_in_a_narrow_window_cuts_no_word(sturgeon: Command, monkeypatch: pytest.MonkeyPatch, columns: int) -> None:
    for path in [(), ("study",), ("study", "trials"), ("study", "export"), ("panda", "set"), ("tune",), ("worker",)]:
        monkeypatch.setenv("COLUMNS", "400")
        whole = set(words(sturgeon(*path, "--help").out))
        monkeypatch.setenv("COLUMNS", str(columns))
        page = sturgeon(*path, "--help").out

        assert max(map(len, page.splitlines())) <= columns
        missing = {word for word in whole - set(words(page)) if word.isalpha()}
        assert missing <= {"bool", "Arguments", "Options", "Commands", "range", "int"}, (path, missing)
        assert "…" not in page


def test_help_in_a_narrow_window_lists_options_arguments_and_commands(
    sturgeon: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "60")

    page = sturgeon("study", "trials", "--help").out
    assert "  --state <queued|running|paused|complete|pruned|diverged|\n  failed|cancelled>\n      Only trials" in page
    assert "Arguments:\n  STUDY <str>\n      The study's name. [required]\n" in page
    assert "Commands:\n  study\n      Create, watch and steer studies.\n" in sturgeon("--help").out
    assert "embedded-server" not in sturgeon("--help").out


@pytest.mark.parametrize("columns", ["0", "00", ""])
def test_a_window_of_no_columns_is_none(sturgeon: Command, monkeypatch: pytest.MonkeyPatch, columns: str) -> None:
    """Some programs start others in a terminal without a size, and export that."""
    monkeypatch.setenv("COLUMNS", columns)

    assert "Create a study from a YAML or JSON file." in sturgeon("study", "--help").out


def test_the_name_of_each_argument_fits_into_its_column() -> None:
    """In a window of 80 characters, typer cuts longer ones."""
    named = [one.metavar or one.name.upper() for path in PATHS for one in arguments(at(path).loaded())]

    assert "STUDY" in named
    assert [word for name in named for word in name.split() if len(word) > 17] == []


def arguments(command: Any) -> list[Any]:
    return [one for one in command.params if one.param_type_name == "argument"]
