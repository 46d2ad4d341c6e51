"""Whether this worker may run what a task names, and where it is."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final

from worker.child.protocol import OwnCodeRules

PYTHON_NAMES: Final = ("python", "python3")


class NotHere(Exception):
    """This worker cannot run the task; one sentence says why. Another may."""


def program(argv: Sequence[str], rules: OwnCodeRules, cwd: Path, environment: Mapping[str, str]) -> list[str]:
    """The arguments with the program's path, if the worker's owner allows it. `python` is the interpreter that he has
    named, if he has.

    Raises: NotHere.
    """
    name = argv[0]
    path = _path_of(name, rules, cwd, environment)
    if not any(fnmatchcase(one, pattern) for one in _spoken(name, path, cwd, rules) for pattern in rules.commands):
        raise NotHere(
            f"This worker does not allow the command {name}: start it with --allow-command {_quoted(name)}, "
            "if whoever creates studies may run it."
        )
    if path is None:
        raise NotHere(f"There is no program {name} on this worker.")
    return [path, *argv[1:]]


def _spoken(name: str, path: str | None, cwd: Path, rules: OwnCodeRules) -> list[str]:
    """What the owner may have allowed the program as. "./train.sh" is another file in another folder, and ".." leads
    out of what a pattern names: then only its whole path says which it is."""
    spoken = [] if path is None else [str(Path(path).resolve())]
    if ".." in Path(name).parts:
        return spoken
    is_plain = "/" not in name or cwd == rules.folder
    return [*spoken, *([name] if is_plain else []), *([] if path is None else [path])]


def _path_of(name: str, rules: OwnCodeRules, cwd: Path, environment: Mapping[str, str]) -> str | None:
    if name in PYTHON_NAMES and rules.python is not None:
        return rules.python
    if "/" in name:
        return shutil.which(str(cwd / name))
    found = shutil.which(name, path=environment.get("PATH", ""))
    return sys.executable if found is None and name in PYTHON_NAMES else found


def interpreter(call: str, rules: OwnCodeRules) -> str:
    """The interpreter for a function, if the worker's owner allows its module. Raises: NotHere."""
    module = call.partition(":")[0]
    if not any(_is_of(module, pattern) for pattern in rules.modules):
        raise NotHere(
            f"This worker does not allow the module {module}: start it with --allow-python {module}, "
            "if whoever creates studies may run it."
        )
    path = rules.python or sys.executable
    if shutil.which(path) is None:
        raise NotHere(f"There is no interpreter {path} on this worker.")
    return path


def _is_of(module: str, pattern: str) -> bool:
    """`pkg.*` is pkg and all below it."""
    package = pattern.removesuffix(".*")
    return module == pattern or pattern == "*" or (package != pattern and (module + ".").startswith(package + "."))


def folder(named: str | None, rules: OwnCodeRules) -> Path:
    """The folder that the program runs in. Raises: NotHere."""
    cwd = rules.folder / (named or "")
    if not cwd.is_dir():
        raise NotHere(f"There is no folder {cwd} on this worker.")
    return cwd


def _quoted(name: str) -> str:
    return f"'{name}'" if any(sign in name for sign in " *?[]$'\"") else name
