"""The help of every command, in windows of several widths: no line is too long, and no word is cut."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
import typer
from typer.main import get_command

from sturgeon.cli.app import app
from sturgeon.cli.lazily import Listed

if TYPE_CHECKING:
    from tests.cli.conftest import Command

BETWEEN_WORDS = re.compile(r"[\s|│,]+")
AROUND_WORDS = "[]()`;:."


def every_command(command: Any, *names: str) -> Iterator[tuple[tuple[str, ...], Any]]:
    command = command.loaded() if isinstance(command, Listed) else command
    if names != ("report",):  # argparse writes its help: a shell calls it for each step
        yield names, command
    for name, below in getattr(command, "commands", {}).items():
        yield from every_command(below, *names, name)


def words(text: str) -> set[str]:
    return {word for part in BETWEEN_WORDS.split(text) if len(word := part.strip(AROUND_WORDS)) > 1}


def words_of_help(command: Any, context: typer.Context) -> set[str]:
    records = [parameter.get_help_record(context) or () for parameter in command.get_params(context)]
    below = [one for one in getattr(command, "commands", {}).values() if not one.hidden]
    texts = [text for record in records for text in record]
    texts += [text for one in below for text in (one.name, one.help)]
    return set().union(words(command.help or ""), *map(words, texts))


@pytest.mark.parametrize("width", [60, 80, 100, 120])
def test_no_word_of_any_help_page_is_cut(sturgeon: Command, monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    cut, too_long, seen = {}, {}, 0
    for names, command in every_command(get_command(app)):
        context = typer.Context(command, info_name=" ".join(["sturgeon", *names]))
        page = sturgeon(*names, "--help").out
        seen += 1
        if missing := words_of_help(command, context) - words(page):
            cut[names] = missing
        if long := [line for line in page.splitlines() if len(line) > width]:
            too_long[names] = long

    assert seen > 80
    assert (cut, too_long) == ({}, {})


def test_a_list_of_choices_goes_on_between_two_of_them(sturgeon: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    page = sturgeon("study", "trials", "--help").out
    choices = [line[24:51].strip() for line in page.splitlines() if "queued" in line or "|" in line[24:51]]
    assert "".join(choices).startswith("<queued|running|paused|complete|pruned|diverged|")
    assert all(re.fullmatch(r"<?(\w+[|>])+", line) for line in choices[:3])
