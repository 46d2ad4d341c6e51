"""Empty variables and options, copied addresses and wrong tokens are told in a sentence, or understood."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from server.settings import Settings
from sturgeon.cli.operate import settings_from
from tests.cli.command import Command
from tests.processes import DEADLINE_S, STURGEON, clean_environment
from tests.running import RunningServer

pytestmark = pytest.mark.fault("N")


@pytest.mark.parametrize("name", list(Settings.model_fields))
def test_an_empty_variable_counts_as_not_set(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"STURGEON_{name.upper()}", "")
    assert getattr(settings_from(), name) == Settings.model_fields[name].default


@pytest.mark.usefixtures("server")
@pytest.mark.parametrize("name", ["STURGEON_TOKEN", "STURGEON_TOKEN_FILE"])
def test_a_client_with_an_empty_token_variable_sends_none(
    sturgeon: Command, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, "")
    assert sturgeon("study", "list").code == 0


@pytest.mark.parametrize(
    "arguments",
    [
        ("study", "list", "--server", ""),
        ("study", "list", "--token-file", ""),
        ("study", "list", "--token-file="),
        ("--token-file", "", "study", "list"),
        ("serve", "--checkpoints", ""),
        ("serve", "--host", ""),
        ("serve", "--database-url", ""),
        ("migrate", "--database-url", " "),
        ("backup", ""),
        ("restore", ""),
        ("worker", "--data", ""),
        ("worker", "--name", ""),
        ("demo", "--keep", ""),
        ("panda", "start", ""),
        ("panda", "replay", "s", "0", "--data", ""),
        ("predict", "", "rows.csv"),
        ("study", "create", ""),
        ("study", "space", "s", ""),
        ("study", "export", "s", "--out", ""),
        ("study", "export", "s", "--model", ""),
        ("study", "show", ""),
        ("trial", "show", "", "0"),
        ("drain", ""),
        ("webhook", "add", "http://example.org", "--study", ""),
    ],
    ids=" ".join,
)
def test_an_empty_value_is_refused_rather_than_read_as_this_folder(
    sturgeon: Command, arguments: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ran = sturgeon(*arguments)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.endswith(": it is empty; is a variable not set?\n")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("study", "create", "FOLDER"), "FOLDER is a folder; write the name of a file in it."),
        (("predict", "FOLDER", "FILE"), "FOLDER is a folder; write the name of a file in it."),
        (("study", "export", "s", "--out", "FOLDER"), "FOLDER is a folder; write the name of a file."),
        (("study", "export", "s", "--model", "FOLDER"), "FOLDER is a folder; write the name of a file."),
        (("worker", "--data", "FILE"), "FILE is a file, not a folder."),
        (("worker", "--data", "FOLDER/none"), "There is no folder FOLDER/none."),
        (("demo", "--keep", "FILE"), "FILE is a file: --keep needs a new folder."),
    ],
)
def test_a_folder_where_a_file_is_wanted_is_told_and_the_other_way_round(
    sturgeon: Command, arguments: tuple[str, ...], sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("FOLDER").mkdir()
    Path("FILE").touch()
    ran = sturgeon(*arguments)
    assert (ran.code, ran.err) == (2, f"sturgeon: {sentence}\n")


@pytest.mark.parametrize("end", ["", "/", "/v1", "/v1/", "/docs", "/v1//", " "])
def test_an_address_may_be_copied_from_curl_or_a_browser(sturgeon: Command, server: RunningServer, end: str) -> None:
    assert sturgeon("study", "list", "--server", server.url + end, "-o", "json").json == []


@pytest.mark.usefixtures("secured")
def test_a_wrong_token_is_told_apart_from_a_missing_one_and_how_to_give_it(
    sturgeon: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    hint = "Name its file with --token-file or STURGEON_TOKEN_FILE, or set STURGEON_TOKEN."
    missing = sturgeon("study", "list")
    assert missing.err == f"sturgeon: This server needs its token: send `Authorization: Bearer TOKEN`. {hint}\n"
    monkeypatch.setenv("STURGEON_TOKEN", "simsim")
    wrong = sturgeon("study", "list")
    sentence = "The token in the Authorization header is not one of this server, was revoked or has expired."
    assert wrong.err == f"sturgeon: {sentence} {hint}\n"
    assert "simsim" not in wrong.err


@pytest.mark.parametrize(
    ("arguments", "end"),
    [
        (("migrate",), (0, "")),
        (("worker", "--slots", "1000", "--stack", "2"), (2, "sturgeon: --slots times --stack must be at most 1000")),
        (("predict", "rows.csv", "rows.csv"), (2, "sturgeon: rows.csv is no model")),
    ],
    ids=["server", "worker", "trainer"],
)
@pytest.mark.parametrize("kind", ["file", "folder"])
def test_a_users_own_file_of_the_name_of_our_package_is_not_taken_for_it(
    tmp_path: Path, arguments: tuple[str, ...], end: tuple[int, str], kind: str
) -> None:
    """As with PYTHONPATH=. in a folder that has a server.py."""
    for name in ("server", "worker", "trainer", "migrations"):
        (tmp_path / name).mkdir(exist_ok=True)
        file = tmp_path / f"{name}.py" if kind == "file" else tmp_path / name / "__init__.py"
        file.write_text("raise SystemExit('not ours')")
    (tmp_path / "rows.csv").write_text("1,2\n")
    ran = subprocess.run(
        [str(STURGEON), *arguments],
        cwd=tmp_path,
        env=clean_environment() | {"PYTHONPATH": "."},
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )
    assert (ran.returncode, ran.stderr[: len(end[1])]) == end


def test_a_file_where_checkpoints_should_go_stops_the_server_before_it_listens(
    sturgeon: Command, tmp_path: Path
) -> None:
    file = tmp_path / "file"
    file.touch()
    for folder, reason in ((file, "it is a file"), (file / "below", "Not a directory")):
        ran = sturgeon("serve", "--port", "0", "--database-url", f"sqlite:///{tmp_path}/a.db", "--checkpoints", folder)
        assert (ran.code, ran.err) == (1, f"sturgeon: {folder} cannot be the folder for checkpoints: {reason}.\n")
