"""What `sturgeon tune` shall do: a study, made of a file or of options, and checked before anything starts."""

from __future__ import annotations

import difflib
import hashlib
import json
import re
import shlex
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sturgeon.cli.inputs import WrongInput
from sturgeon.cli.short_spaces import parameter_of, space_of
from sturgeon.placeholders import as_text, names_in

if TYPE_CHECKING:
    from sturgeon.values import Json

TRIALS: Final = 50
NUMBER: Final = r"([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?|nan|-?inf)"
TRIAL_PLACEHOLDERS: Final = ("trial.number", "trial.seed", "checkpoint", "params_file")
REPORTS_BY_ITSELF: Final = re.compile(
    rb"^\s*(?:import|from)\s+sturgeon\b|\bsturgeon\s+report\b|STURGEON_REPORTS|STURGEON[\"' ]", re.MULTILINE
)
"""What the source of a program has that reports by one of the ways of docs/own-code.md."""
LARGEST_SOURCE: Final = 1_000_000
SCRIPTS: Final = (".py", ".sh", ".R", ".jl", ".pl", ".rb", ".js", ".lua", ".m")
"""How the name of a script ends that stands right behind the program that runs it."""


@dataclass(frozen=True)
class Plan:
    """A study and how to run it here. study: the fields of a StudyRequest; workers: None if nothing was said."""

    study: Json
    workers: int | None = None

    @property
    def name(self) -> str:
        return str(self.study["name"])

    @property
    def argv(self) -> list[str]:
        """The command of the study's task; empty if it has another one."""
        return list((self.study.get("task") or {}).get("argv", ()))

    @property
    def folder(self) -> Path:
        """Where the command runs."""
        return Path((self.study.get("task") or {}).get("cwd") or ".")

    @property
    def module(self) -> str | None:
        """The module of the study's Python function, if it has one."""
        call = (self.study.get("task") or {}).get("call")
        return None if call is None else str(call).partition(":")[0]


@dataclass(frozen=True)
class Options:
    """What the command line said beside the space and the command; None or empty where it said nothing."""

    minimize: str | None = None
    maximize: str | None = None
    trials: int | None = None
    workers: int | None = None
    name: str | None = None
    seed: int | None = None
    epochs: int | None = None
    timeout: float | None = None
    read: tuple[str, ...] = ()
    metrics_file: str | None = None


def plan_of_options(space: Sequence[str], command: Sequence[str], options: Options) -> Plan:
    """The plan of `--space .. -- COMMAND`. Raises: WrongInput."""
    if not space:
        raise WrongInput('Name what to search: --space "lr=log:1e-5..1e-1"; repeat it for more, or name a FILE.')
    if not command:
        raise WrongInput("Write the command behind --, like: -- python train.py --lr {lr}")
    study: Json = {"space": space_of(space), "task": {"kind": "command", "argv": list(command)}}
    return _plan(study, options, Path(_script_of(command)).stem)


def plan_of_file(content: Mapping[str, Any], stem: str, options: Options) -> Plan:
    """The plan of a file: the fields of a study, and short forms of some (docs/python.md). Raises: WrongInput."""
    study = dict(content)
    if not isinstance(study.get("space"), dict):
        raise WrongInput("The file needs a space: names with ranges.")
    _check_kinds(study)
    study["space"] = {
        name: parameter_of(name, form) if isinstance(form, str) else form for name, form in study["space"].items()
    }
    if (command := study.pop("command", None)) is not None:
        if "task" in study:
            raise WrongInput("Write a command or a task, not both.")
        study["task"] = {"kind": "command", "argv": _argv_of(command)}
    if not study.get("task"):
        raise WrongInput("The file needs a command, or a task: what is to be run?")
    said = {field: study.pop(field, None) for field in ("minimize", "maximize", "trials", "workers")}
    if options.minimize or options.maximize:
        said |= {"minimize": None, "maximize": None}
    given = {name: value for name, value in asdict(options).items() if value not in (None, ())}
    merged = replace(Options(**said, name=study.get("name")), **given)
    return _plan(study, merged, stem)


_TEXT, _MAPPING = (str, "text"), (dict, "a mapping")
_KINDS: Final[Mapping[str, tuple[type | tuple[type, ...], str]]] = {
    "command": ((str, list), "text, or a list"),
    "name": _TEXT,
    "metric": _TEXT,
    "minimize": _TEXT,
    "maximize": _TEXT,
    "trials": (int, "a whole number"),
    "workers": (int, "a whole number"),
    "budget": _MAPPING,
    "search": _MAPPING,
    "task": _MAPPING,
    "task.argv": (list, "a list"),
    "task.metrics": _MAPPING,
    "task.metrics.lines": _MAPPING,
    "task.limits": _MAPPING,
}
"""What a plan is made of, before the server looks at the whole."""


def _check_kinds(study: Json) -> None:
    for path, (kind, word) in _KINDS.items():
        value: Any = study
        for name in path.split("."):
            value = value.get(name) if isinstance(value, dict) else None
        if value is not None and (isinstance(value, bool) or not isinstance(value, kind)):
            raise WrongInput(f"{path} is {word}, not {as_text(value)[:60]}.")
    for name, least in (("trials", 1), ("workers", 0)):
        if study.get(name) is not None and study[name] < least:
            raise WrongInput(f"{name} is at least {least}, not {study[name]}.")
    for argument in (study.get("task") or {}).get("argv") or ():
        if not isinstance(argument, str):
            raise WrongInput(f"task.argv is a list of text; put {as_text(argument)[:60]} in quotes.")


def _argv_of(command: str | list[Any]) -> list[str]:
    """The arguments; a number in a list is its text. Raises: WrongInput."""
    try:
        argv = shlex.split(command) if isinstance(command, str) else [as_text(part) for part in command]
    except ValueError as error:
        raise WrongInput(f"The command cannot be cut into words: {str(error).lower()}.") from None
    if not argv or not argv[0].strip():
        raise WrongInput("The command is empty; write the program and its arguments.")
    return argv


def _plan(study: Json, options: Options, stem: str) -> Plan:
    if options.minimize and options.maximize:
        raise WrongInput("Give --minimize or --maximize, not both: a study has one metric.")
    if metric := options.minimize or options.maximize:
        study |= {"metric": metric, "direction": "minimize" if options.minimize else "maximize"}
    if not study.get("metric"):
        raise WrongInput("Name the metric that the command reports or prints: --minimize dev_loss")
    budget = study.get("budget") or {}
    study["budget"] = budget | {"max_trials": options.trials or budget.get("max_trials") or TRIALS}
    if options.seed is not None:
        study["search"] = (study.get("search") or {}) | {"seed": options.seed}
    task = study["task"]
    if task.get("kind") == "command":
        check_command(task.get("argv") or [], study["space"])
        study["task"] = _with_metrics(task, str(study["metric"]), options)
    study["name"] = _checked(options.name) if options.name else f"{_plain(stem)}-{_mark_of(study)}"
    return Plan(study, options.workers)


def check_command(argv: Sequence[str], space: Iterable[str]) -> None:
    """Check that each placeholder is a parameter, before anything starts. Raises: WrongInput."""
    known = [*space, *TRIAL_PLACEHOLDERS]
    for argument in argv:
        try:
            names = names_in(argument)
        except ValueError as error:
            raise WrongInput(f"The command: {error}.") from None
        for name in names:
            if name not in known:
                close = difflib.get_close_matches(name, known, 1)
                hint = f" Is it {{{close[0]}}}?" if close else ""
                raise WrongInput(
                    f"The command has {{{name}}}, which is no parameter; the parameters are {', '.join(space)}.{hint}"
                )


def check_program(argv: Sequence[str], folder: Path) -> None:
    """Check that the program can be run here, and that the script that it is to run is in `folder`. Raises:
    WrongInput."""
    program = argv[0]
    script = argv[1] if len(argv) > 1 else ""
    if script.endswith(SCRIPTS) and not names_in(script) and not (folder / script).exists():
        raise WrongInput(f"There is no file {script} here for {program} to run.")
    if shutil.which(program) is None and program not in ("python", "python3"):
        there = Path(program).exists()
        raise WrongInput(
            f"{program} is not executable: chmod +x it, or write the program that runs it, like: -- bash {program}"
            if there
            else f"There is no program {program} here."
        )


def without_placeholder(argv: Sequence[str], space: Mapping[str, Json]) -> list[str]:
    """The searched parameters that no argument names, where others are named: perhaps they were forgotten."""
    used = {name for argument in argv for name in names_in(argument)}
    if not used.intersection(space) or "params_file" in used:
        return []
    return [name for name, parameter in space.items() if name not in used and parameter.get("type") != "fixed"]


def _with_metrics(task: Json, metric: str, options: Options) -> Json:
    """The task with what the options say of its metrics and limits. Without a word of it, a program that does not know
    Sturgeon reports by the lines in which it prints the metric: `dev_loss=0.2`, `dev_loss: 0.2`."""
    metrics = dict(task.get("metrics") or {})
    lines = dict(metrics.get("lines") or {}) | dict(_read_option(text) for text in options.read)
    if options.metrics_file is not None:
        metrics["file"] = options.metrics_file
    if not lines and not metrics.get("file") and not _reports_by_itself(task["argv"]):
        lines[metric] = line_pattern(metric)
    limits = (task.get("limits") or {}) | ({} if options.timeout is None else {"seconds": options.timeout})
    added = {"metrics": metrics | ({"lines": lines} if lines else {}), "limits": limits, "epochs": options.epochs}
    return task | {name: value for name, value in added.items() if value}


def line_pattern(metric: str) -> str:
    """Finds the metric's number in a line that prints it: `dev_loss=0.2`, `"dev_loss": 0.2`, `dev_loss 0.2`."""
    return rf"(?<![\w.]){re.escape(metric)}[\"']?\s*[:=\s]\s*{NUMBER}"


def _read_option(text: str) -> tuple[str, str]:
    name, equals, pattern = text.partition("=")
    if not equals or not name.strip() or not pattern:
        raise WrongInput(f"--read {text!r}: write METRIC=PATTERN, like --read 'dev_loss=val loss: ([0-9.]+)'.")
    return name.strip(), pattern


def _reports_by_itself(argv: Sequence[str]) -> bool:
    """Whether a file of the command reports by itself; the lines that it prints are for people then."""
    for argument in argv:
        file = Path(argument)
        try:
            if file.is_file() and file.stat().st_size < LARGEST_SOURCE and REPORTS_BY_ITSELF.search(file.read_bytes()):
                return True
        except OSError:
            continue
    return False


def _script_of(command: Sequence[str]) -> str:
    """The first argument that is a file, for the study's name; else the program."""
    return next((argument for argument in command[1:] if Path(argument).is_file()), command[0])


def _checked(name: str) -> str:
    from sturgeon.messages import STUDY_NAME
    from sturgeon.messages.patterns import SENTENCES

    if not re.match(STUDY_NAME, name):
        raise WrongInput(f"The study's name {name!r}: {SENTENCES[STUDY_NAME]}.")
    return name


def _plain(stem: str) -> str:
    return re.sub(r"[^A-Za-z0-9._\-]+", "-", stem).strip("-._")[:60] or "study"


def _mark_of(study: Json) -> str:
    """Six digits that stand for what is searched: the same command goes on with its study, another begins its own."""
    about = {field: study.get(field) for field in ("space", "metric", "direction", "task", "search")}
    return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:6]
