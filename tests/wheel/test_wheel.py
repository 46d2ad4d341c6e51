"""What people get from pip: the wheel in fresh environments, first alone, then with its extras."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

from sturgeon import __version__
from tests.wheel.environments import ROOT, Environment, build_wheel, interpreters

pytestmark = pytest.mark.wheel

CLIENT_MB: Final = 40
LOCAL_MB: Final = 350
HEAVY: Final = ("numpy", "scipy", "numba", "sklearn", "fastapi", "sqlalchemy")
"""What the client does without; the extra `local` has all but the third and the fourth."""

SCRIPT: Final = """
import sys

x = float(sys.argv[1])
print("STURGEON", {"loss": x * x}.__repr__().replace("'", '"'))
"""
SPACE: Final = ("--space", "x=-1.0..1.0", "--minimize", "loss", "--trials", "12")


SEARCH: Final = """
import sturgeon
with sturgeon.study("flat", {"x": sturgeon.linear(0, 1)}, minimize="loss", trials=4) as study:
    for trial in study:
        for step in range(2):
            trial.report(step, loss=1)
    trials, curves = study.dataframe(), study.curves()
    print(len(trials), trials["metrics.loss"].tolist(), len(curves))
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_wheel(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module", params=sorted(interpreters()))
def client(request: pytest.FixtureRequest, wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """An environment with the client alone."""
    made = Environment(tmp_path_factory.mktemp("client") / "venv", interpreters()[request.param])
    made.install(wheel)
    return made


@pytest.fixture(scope="module")
def local(client: Environment, wheel: Path) -> Environment:
    """The same with the extra `local`; the tests that ask for it come last."""
    client.install(wheel, "local")
    return client


@contextmanager
def folder_of_a_user(path: Path) -> Iterator[Path]:
    """A folder with files of the names of our packages."""
    for name in ("server", "worker", "trainer", "migrations"):
        (path / f"{name}.py").write_text("raise SystemExit('a file of the user was imported')\n")
    yield path


def test_the_client_alone_is_small_and_answers(client: Environment, tmp_path: Path) -> None:
    there = [name for name in HEAVY if (client.packages / name).exists()]
    assert not there
    assert client.megabytes() < CLIENT_MB
    with folder_of_a_user(tmp_path) as cwd:
        for command in ([client.sturgeon], [client.python, "-m", "sturgeon"], [client.python, "-m", "sturgeon.cli"]):
            done = client.run(*command, "--version", cwd=cwd)
            assert (done.stdout, done.stderr) == (f"sturgeon {__version__}\n", "")
    done = client.run(client.python, "-W", "error", "-c", "import sturgeon; print(sturgeon.Client)", cwd=tmp_path)
    assert (done.stdout, done.stderr) == ("<class 'sturgeon.client.client.Client'>\n", "")


def test_the_client_alone_names_the_extra_that_a_command_needs(client: Environment, tmp_path: Path) -> None:
    for command, extra in {"serve": "local", "worker": "local", "demo": "trainer"}.items():
        done = client.run(client.sturgeon, command, cwd=tmp_path)
        assert re.fullmatch(rf'sturgeon: .* pip install "sturgeon\[{extra}\]"\n', done.stderr)
        assert done.returncode == 1


def test_the_client_alone_says_what_tune_and_an_embedded_server_need(client: Environment, tmp_path: Path) -> None:
    tune = [client.sturgeon, "tune", "--space", "x=0..1.0", "--minimize", "loss", "--", "echo", "{x}"]
    python = [client.python, "-c", "import sturgeon; sturgeon.study('bowl')"]
    for command in (tune, python):
        done = client.run(*command, cwd=tmp_path)
        assert done.returncode == 1
        assert done.stderr.endswith('pip install "sturgeon[local]"\n')


def test_every_command_of_the_client_alone_has_help(client: Environment, tmp_path: Path) -> None:
    script = """
import sys
from typer.main import get_command
from sturgeon.cli.app import app, run

def leaves(command, path):
    for name, one in getattr(command, "commands", {}).items():
        yield from leaves(one, [*path, name])
    if not hasattr(command, "commands"):
        yield path

for path in leaves(get_command(app), []):
    try:
        code = run([*path, "--help"])
    except SystemExit as end:  # `report` does without typer
        code = end.code
    assert code == 0, path
print(sorted({"numpy", "server", "worker", "trainer"} & set(sys.modules)))
"""
    done = client.run(client.python, "-c", script, cwd=tmp_path)
    assert done.stderr == ""
    assert done.stdout.endswith("\n[]\n")


def test_a_server_has_the_script_of_its_pictures_without_what_made_it(local: Environment, tmp_path: Path) -> None:
    script = """
from starlette.testclient import TestClient
from server.app import create_app
from server.dashboard.assets import VEGA_URL
from server.settings import Settings
print(VEGA_URL, "vegaEmbed" in TestClient(create_app(Settings()), "http://localhost").get(VEGA_URL).text)
"""
    assert not list(local.packages.glob("vl_convert*"))

    done = local.run(local.python, "-W", "ignore", "-c", script, cwd=tmp_path)

    assert re.search(r"^/static/vega-1[.\w]+\.js True$", done.stdout, re.MULTILINE), done.stderr


def test_local_tunes_a_script_with_one_command(local: Environment, tmp_path: Path) -> None:
    assert not (local.packages / "numba").exists()
    assert not (local.packages / "sklearn").exists()
    assert local.megabytes() < LOCAL_MB
    with folder_of_a_user(tmp_path) as cwd:
        (cwd / "train.py").write_text(SCRIPT)
        done = local.run(local.sturgeon, "tune", *SPACE, "-o", "json", "--", "python", "train.py", "{x}", cwd=cwd)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["best"][0]["value"] < 0.1
    assert told["command"].startswith("python train.py ")


def test_local_tunes_a_script_in_one_command(local: Environment, tmp_path: Path) -> None:
    (tmp_path / "fit.py").write_text("import sys\nprint(f'loss={(float(sys.argv[1]) - 0.3) ** 2:.6f}')\n")
    options = ["--space", "x=0..1.0", "--minimize", "loss", "--trials", "8", "--seed", "1"]
    with folder_of_a_user(tmp_path) as cwd:
        done = local.run(local.sturgeon, "tune", *options, "--", local.python, "fit.py", "{x}", cwd=cwd)
        assert (done.returncode, done.stderr) == (0, "")
        best = done.stdout.split()[-1]
        assert abs(float(best) - 0.3) < 0.1
        listed = local.run(local.sturgeon, "study", "list", "-o", "json", cwd=cwd)
    assert '"state": "completed"' in listed.stdout


def test_local_with_pandas_gives_data_frames_without_a_server(local: Environment, wheel: Path, tmp_path: Path) -> None:
    local.install(wheel, "notebook")
    with folder_of_a_user(tmp_path) as cwd:
        (tmp_path / "search.py").write_text(SEARCH)
        done = local.run(local.python, "-W", "error", "search.py", cwd=cwd)
    assert (done.stdout, done.stderr) == ("4 [1.0, 1.0, 1.0, 1.0] 8\n", "")


def test_local_alone_names_the_extra_of_the_networks(local: Environment, tmp_path: Path) -> None:
    done = local.run(local.sturgeon, "demo", cwd=tmp_path)
    assert done.stderr.endswith('pip install "sturgeon[trainer]"\n')


def test_what_the_wheel_holds_is_code_and_nothing_else(wheel: Path) -> None:
    import zipfile

    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.partition("/")[0] for name in names if ".dist-info" not in name}
    assert tops == {"sturgeon", "server", "worker", "trainer", "migrations"}
    missing = [
        str(file.relative_to(ROOT))
        for top in tops
        for file in (ROOT / top).rglob("*.py")
        if str(file.relative_to(ROOT)).replace(os.sep, "/") not in names
    ]
    assert not missing
