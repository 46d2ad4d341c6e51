"""Fresh environments with the wheel, for each Python that is found here."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
VERSIONS: Final = ("3.11", "3.12", "3.13")


def interpreters() -> dict[str, Path]:
    """Version -> the Python of this machine that can make an environment: one on the PATH, or one of pyenv's."""
    found = {}
    for version in VERSIONS:
        named = shutil.which(f"python{version}")
        built = sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/python"))
        for python in [*([Path(named)] if named else []), *built]:
            asked = f"import sys, venv; sys.exit(sys.version_info[:2] != {tuple(map(int, version.split('.')))})"
            if subprocess.run([python, "-c", asked], capture_output=True, check=False).returncode == 0:
                found[version] = python
                break
    return found


def build_wheel(folder: Path) -> Path:
    """The wheel of the tree, built from a copy of what git would keep, so that nothing is left in the tree."""
    source = folder / "source"
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
    for name in filter(None, names):
        if (ROOT / name).exists():  # it may be deleted, and not yet committed
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, source / name)
    _pip("wheel", "--no-deps", "--no-build-isolation", "-w", str(folder), str(source))
    return next(folder.glob("*.whl"))


class Environment:
    """A virtual environment; `install` adds the wheel with an extra."""

    def __init__(self, folder: Path, python: Path) -> None:
        subprocess.run([python, "-m", "venv", "--without-pip", folder], check=True)
        self.folder = folder
        self.python = folder / "bin" / "python"
        self.sturgeon = folder / "bin" / "sturgeon"

    def install(self, wheel: Path, extra: str = "") -> None:
        """With the versions that the other tests have; those of the extras that they do not use as they come."""
        wanted = f"{wheel}[{extra}]" if extra else str(wheel)
        _pip("--python", str(self.python), "install", "-c", str(ROOT / "requirements.txt"), wanted)

    @property
    def packages(self) -> Path:
        return next(self.folder.glob("lib/python*/site-packages"))

    def megabytes(self) -> float:
        """What the packages take on the disk, their bytecode included."""
        return sum(file.stat().st_size for file in self.packages.rglob("*") if file.is_file()) / 1e6

    def run(self, *command: str | Path, cwd: Path, timeout: float = 120.0) -> subprocess.CompletedProcess[str]:
        """Run a command of the environment in a folder, whatever settings of Sturgeon are in force outside."""
        env = {name: value for name, value in os.environ.items() if not name.startswith(("STURGEON_", "PYTHON"))}
        env["PATH"] = os.pathsep.join([str(self.folder / "bin"), env["PATH"]])
        return subprocess.run(
            list(map(str, command)), cwd=cwd, env=env, capture_output=True, text=True, timeout=timeout, check=False
        )


def _pip(*arguments: str) -> None:
    quiet = ("-qq", "--disable-pip-version-check")
    subprocess.run([sys.executable, "-m", "pip", *quiet, *arguments], check=True)
