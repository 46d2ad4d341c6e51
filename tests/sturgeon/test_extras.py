"""Without an extra, whatever needs it says in one sentence which `pip install` brings it."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Final

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from sturgeon.errors import MissingExtra
from sturgeon.extras import MODULES, ON_TOP_OF, explained, has, require

ROOT: Final = Path(__file__).parents[2]

COMMANDS: Final = {
    "serve": ["serve"],
    "worker": ["worker"],
    "migrate": ["migrate"],
    "backup": ["backup", "copy.db"],
    "restore": ["restore", "model.npz"],
    "demo": ["demo"],
    "predict": ["predict", "model.npz", "model.npz"],
    "panda replay": ["panda", "replay", "bowl", "0"],
}
"""Every command that does more than ask a server."""

BARE: Final = """
import json, sys
from pathlib import Path
for name in {absent!r}:
    sys.modules[name] = None  # as if it were not installed
Path("model.npz").touch()
from sturgeon.cli import session
session.Session.client = lambda *_, **__: __import__("contextlib").nullcontext()
from sturgeon.cli.app import run
import contextlib, io
said = {{}}
for name, arguments in {commands!r}.items():
    with contextlib.redirect_stderr(io.StringIO()) as err:
        said[name] = [run(arguments), err.getvalue()]
print(json.dumps(said))
"""


@pytest.mark.parametrize(
    ("absent", "extra", "commands"),
    [
        (["local", "trainer"], "local", {"serve", "worker", "migrate", "backup", "restore"}),
        (["local", "trainer"], "trainer", {"demo", "predict", "panda replay"}),
        (["trainer"], "trainer", {"demo", "predict", "panda replay"}),
    ],
)
def test_a_command_without_its_extra_names_it(
    absent: list[str], extra: str, commands: set[str], tmp_path: Path
) -> None:
    modules = [module for one in absent for module in MODULES[one]]  # type: ignore[index]
    script = BARE.format(absent=modules, commands={name: COMMANDS[name] for name in commands})

    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=100, check=True
    )

    for name, (code, err) in json.loads(done.stdout).items():
        assert code == 1, (name, err)
        assert err.endswith(f'This brings it: pip install "sturgeon[{extra}]"\n'), (name, err)
        assert err.count("\n") == 1, (name, err)


def test_python_without_the_extras_has_the_client_only(tmp_path: Path) -> None:
    script = f"""
import sys
for name in {[name for modules in MODULES.values() for name in modules]!r}:
    sys.modules[name] = None
import importlib
import sturgeon, sturgeon.messages, sturgeon.threads
print(sturgeon.Client.__name__)
for module in ("sturgeon.search.coarse_to_fine", "sturgeon.integrations.optuna", "server.app", "worker.daemon"):
    try:
        importlib.import_module(module)
    except ImportError as error:
        print(str(error).rpartition(" pip install ")[2])
"""
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=100, check=True
    )

    assert done.stdout.split() == [
        "Client",
        '"sturgeon[local]"',
        '"sturgeon[optuna]"',
        '"sturgeon[local]"',
        '"sturgeon[local]"',
    ]


def test_the_modules_of_the_extras_are_those_of_the_package() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    distributions = packages_distributions()
    for extra, modules in MODULES.items():
        needs = [need for text in project["optional-dependencies"][extra] if not (need := Requirement(text)).marker]
        below = ON_TOP_OF.get(extra)
        assert [need.extras for need in needs if need.name == "sturgeon"] == ([{below}] if below else [])
        asked = {canonicalize_name(need.name) for need in needs} - {"sturgeon"}
        known = {module: distributions[module][0] for module in modules if module in distributions}
        assert {canonicalize_name(name) for name in known.values()} <= asked
        assert len(modules) == len(asked), extra


def test_an_extra_is_there_when_all_its_modules_are(monkeypatch: pytest.MonkeyPatch) -> None:
    assert has("trainer")
    require("trainer", "The test")

    monkeypatch.setitem(sys.modules, "fastapi", None)

    assert not has("trainer")
    with pytest.raises(MissingExtra, match=r'^The test needs .*\(fastapi\)\. .*pip install "sturgeon\[trainer\]"$'):
        require("trainer", "The test")
    require("local", "The test", ("numpy",))  # no more is asked for


def test_a_module_that_no_extra_brings_is_not_explained_away() -> None:
    assert explained(ModuleNotFoundError("", name="server.gone"), "This command") is None
    missing = explained(ModuleNotFoundError("", name="numba.core"), "This command")
    assert missing is not None
    assert missing.message.endswith('pip install "sturgeon[trainer]"')
