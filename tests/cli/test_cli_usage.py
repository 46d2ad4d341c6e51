"""Help, options and errors: what holds without a server."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from sturgeon.cli import app
from tests.cli.command import Command
from tests.processes import DEADLINE_S

COMMANDS = [
    "serve",
    "worker",
    "migrate",
    "backup",
    "restore",
    "demo",
    "workers",
    "predict",
    "study create",
    "study list",
    "study show",
    "study watch",
    "study best",
    "study trials",
    "study pause",
    "study resume",
    "study stop",
    "study cancel",
    "trial show",
    "trial log",
    "trial curve",
    "trial ask",
    "trial tell",
    "trial enqueue",
    "trial release",
    "trial cancel",
    "trial requeue",
    "trial invalidate",
    "study space",
    "study revisions",
    "study delete",
    "study export",
]
NOBODY = "http://127.0.0.1:1"


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(sturgeon: Command, command: str) -> None:
    ran = sturgeon(*command.split(), "--help")
    assert ran.code == 0
    assert f"Usage: sturgeon {command}" in ran.out
    assert ran.err == ""


def test_help_documents_the_exit_codes(sturgeon: Command) -> None:
    page = " ".join(sturgeon("--help").out.split())
    assert "0 success; 1 refused by the server, not found, or failed; 2 the command, an option or an input file" in page
    assert "3 the server cannot be reached; 130 interrupted" in page


@pytest.mark.parametrize("group", [(), ("study",)])
def test_a_command_without_its_subcommand_shows_help_and_is_a_usage_error(
    sturgeon: Command, group: tuple[str, ...]
) -> None:
    ran = sturgeon(*group)
    assert (ran.code, ran.err) == (2, "")
    assert "Usage:" in ran.out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("studdy", "list"), "No such command 'studdy'. Did you mean 'study'?"),
        (("best", "bowl"), "No such command 'best'. Do you mean `sturgeon study best`?"),
        (("show", "bowl"), "Do you mean `sturgeon study show` or `sturgeon trial show`?"),
        (("study", "best", "bowl", "-k", "many"), "'--count' / '-k': write a whole number"),
        (("study", "show"), "Missing argument 'STUDY'."),
        (("study", "best", "bowl", "-k", "0"), "Invalid value for '--count' / '-k'"),
        (("study", "list", "-o", "xml"), "'xml' is not one of 'table', 'json'."),
        (("study", "create", "nowhere.json"), "There is no file nowhere.json."),
        (
            ("serve", "--port", "99999"),
            "--port (or STURGEON_PORT): it should be less than or equal to 65535.",
        ),
        (("study", "export", "bowl", "--model", "m.npz", "-O", "t.csv"), "--model writes only a model"),
    ],
)
def test_a_wrong_command_line_is_one_sentence_and_exit_code_2(
    sturgeon: Command, arguments: tuple[str, ...], sentence: str
) -> None:
    ran = sturgeon(*arguments)
    assert (ran.code, ran.out) == (2, "")
    assert sentence in ran.err
    assert len(ran.err.splitlines()) == 1


def test_an_unreachable_server_is_one_sentence_and_exit_code_3(sturgeon: Command) -> None:
    ran = sturgeon("study", "list", "--server", NOBODY)
    assert (ran.code, ran.out) == (3, "")
    assert ran.err.startswith(f"sturgeon: The server at {NOBODY} did not answer")
    assert len(ran.err.splitlines()) == 1


def test_the_server_may_be_named_before_the_command_after_it_or_in_the_environment(
    sturgeon: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STURGEON_SERVER", "http://127.0.0.1:2")
    assert "127.0.0.1:2 did not answer" in sturgeon("study", "list").err
    assert f"{NOBODY} did not answer" in sturgeon("--server", NOBODY, "study", "list").err
    assert f"{NOBODY} did not answer" in sturgeon("study", "list", "--server", NOBODY).err


def test_a_study_file_that_is_not_json_is_a_usage_error(sturgeon: Command, tmp_path: Path) -> None:
    file = tmp_path / "study.json"
    file.write_text('{"name": ')
    ran = sturgeon("study", "create", file)
    assert ran.code == 2
    assert f"{file} is not JSON: Expecting value: line 1 column 10" in ran.err
    assert "standard input is not a mapping" in sturgeon("study", "create", "-", stdin="[]").err


def test_a_token_file_that_cannot_be_read_or_is_empty_is_told(sturgeon: Command, tmp_path: Path) -> None:
    empty = tmp_path / "token"
    empty.write_text("\n")
    ran = sturgeon("--token-file", empty, "study", "list")
    assert (ran.code, ran.err) == (1, f"sturgeon: The token file {empty} is empty.\n")
    missing = sturgeon("study", "list", "--token-file", tmp_path / "none")
    assert (missing.code, missing.err) == (
        1,
        f"sturgeon: The token file {tmp_path / 'none'} cannot be read.\n",
    )


def test_two_tokens_in_the_environment_are_refused_since_one_would_be_ignored(
    sturgeon: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("STURGEON_TOKEN", "one")
    monkeypatch.setenv("STURGEON_TOKEN_FILE", str(tmp_path / "other"))
    assert "STURGEON_TOKEN or STURGEON_TOKEN_FILE, not both" in sturgeon("study", "list").err


def test_the_installed_script_answers_and_never_shows_a_traceback() -> None:
    script = Path(sys.executable).with_name("sturgeon")
    command = [str(script), "study", "show", "x", "--server", NOBODY]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE_S)
    assert ran.returncode == 3
    assert "Traceback" not in ran.stderr
    assert len(ran.stderr.splitlines()) == 1


def test_help_and_study_commands_import_neither_numpy_nor_fastapi() -> None:
    script = f"""
import sys
from sturgeon.cli.__main__ import main
for words in ["--help"], ["study", "list", "--server", {NOBODY!r}]:
    sys.argv = ["sturgeon", *words]
    try:
        main()
    except SystemExit as end:
        print(end.code)
heavy = {{"numpy", "fastapi", "sqlalchemy", "server", "worker", "trainer", "click"}} & set(sys.modules)
sys.exit(f"imported {{heavy}}" if heavy else 0)
"""
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=DEADLINE_S)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.splitlines()[-1] == "3"  # nobody answers there, as the client has found out


def test_the_shell_is_offered_commands_and_choices() -> None:
    script = Path(sys.executable).with_name("sturgeon")
    env = {"_STURGEON_COMPLETE": "complete_bash", "COMP_WORDS": "sturgeon study tr", "COMP_CWORD": "2"}
    ran = subprocess.run([str(script)], env=env, capture_output=True, text=True, timeout=DEADLINE_S)
    assert ran.stdout.split() == ["trials"]


def test_every_route_that_an_error_of_the_server_names_is_a_command_here(capsys: pytest.CaptureFixture[str]) -> None:
    files = (Path(app.__file__).parents[2] / "server" / "services").rglob("*.py")
    named = re.compile(r'(?:GET|POST|PUT|PATCH|DELETE) /v1/[^; "]*|[(, ]*\?\w+=true')
    raised = [line for file in files for line in file.read_text().splitlines() if re.search(r"NotFound\(|raise ", line)]
    routes = [line for line in raised if named.search(line)]

    for line in routes:
        app._complain(line, 1)
    said = capsys.readouterr().err

    assert len(routes) >= 4
    assert named.findall(said) == []
