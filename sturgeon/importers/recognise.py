"""Which tool a file belongs to, and the study that it describes."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from pathlib import Path
from typing import Final, Literal

from sturgeon.importers import katib, nni, optuna_spaces, ray_tune, wandb
from sturgeon.importers.calls import Unreadable, constants, parsed, value_of
from sturgeon.importers.drafts import CannotImport, Draft
from sturgeon.importers.objects import space_of
from sturgeon.values import Json

Tool = Literal["wandb", "nni", "katib", "ray", "optuna"]
NAMES: Final[dict[Tool, str]] = {
    "wandb": "a W&B sweep",
    "nni": "an NNI experiment or search space",
    "katib": "a Katib experiment",
    "ray": "a space of Ray Tune",
    "optuna": "a space of Optuna",
}
_OF_ANOTHER_KIND: Final = (AttributeError, TypeError, LookupError, ValueError, ArithmeticError, RecursionError)
_OBJECT: Final = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*")


def imported(source: str, read: Callable[[Path], Json], tool: Tool | None = None) -> tuple[Tool, Draft]:
    """The tool, and the study that a file describes: a YAML or JSON file, Python source, or `module:attribute`.

    read: reads a mapping from a file. tool: which one it is; None: what the file looks like.

    Raises: CannotImport (it looks like no tool's, or cannot be said by a study), and what `read` raises.
    """
    path = Path(source)
    if path.suffix == ".py":
        content = None
    elif source != "-" and not path.exists() and _OBJECT.fullmatch(source):
        content = space_of(source, Path.cwd())
    else:
        content = read(path)
    try:
        found, draft = _from_python(path, tool) if content is None else _from_mapping(content, path, read, tool)
        return found, draft.finished(path.stem if source != "-" else "imported")
    except _OF_ANOTHER_KIND as error:  # no tool's format has a schema: each field may be anything
        raise CannotImport(f"A field of it is not what the tool takes there: {error}.") from error


def _from_mapping(content: Json, path: Path, read: Callable[[Path], Json], tool: Tool | None) -> tuple[Tool, Draft]:
    tool = tool or _tool_of(content)
    if tool == "wandb":
        if not wandb.is_sweep(content):
            raise CannotImport("A sweep has parameters, and a method or a program.")
        return tool, wandb.read_sweep(content)
    if tool == "katib":
        return tool, katib.read_experiment(content)
    if tool == "nni":
        is_whole = nni.is_experiment(content)
        return tool, nni.read_experiment(content, path.parent, read) if is_whole else nni.read_space(content)
    if tool == "optuna":
        return tool, optuna_spaces.read_distributions(content)
    if tool == "ray":
        return tool, ray_tune.read_space(content)
    known = ", ".join(NAMES.values())
    raise CannotImport(f"{path} looks like none of these: {known}. Name its tool with --from.")


def _tool_of(content: Json) -> Tool | None:
    if wandb.is_sweep(content):
        return "wandb"
    if katib.is_experiment(content):
        return "katib"
    if nni.is_experiment(content) or nni.is_space(content):
        return "nni"
    if optuna_spaces.is_distributions(content):
        return "optuna"
    return "ray" if ray_tune.is_space(content) else None


def _from_python(path: Path, tool: Tool | None) -> tuple[Tool, Draft]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise CannotImport(f"{path} is not text in UTF-8.") from None
    if tool == "wandb" or (tool is None and "wandb" in text and (sweep := _sweep_in(path, text))):
        sweep = _sweep_in(path, text)
        if sweep is None:
            raise CannotImport(f"{path} has no dictionary of a sweep.")
        return "wandb", wandb.read_sweep(sweep)
    if tool == "optuna" or (tool is None and optuna_spaces.is_source(text)):
        return "optuna", optuna_spaces.read_source(str(path), text)
    if tool == "ray" or (tool is None and ray_tune.is_source(text)):
        return "ray", ray_tune.read_source(str(path), text)
    raise CannotImport(f"{path} has no calls of Optuna or Ray Tune, and no sweep of W&B.")


def _sweep_in(path: Path, text: str) -> Json | None:
    """A dictionary of constants that is a sweep."""
    tree = parsed(str(path), text)
    names = constants(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Dict):
            try:
                value = value_of(node, names)
            except Unreadable:
                continue
            if wandb.is_sweep(value):
                return dict(value)
    return None
