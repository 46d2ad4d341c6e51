"""What a program of yours knows of its trial: parameters, reports, and whether it shall stop.

    import sturgeon

    trial = sturgeon.trial()
    for epoch in range(20):
        loss = train_an_epoch(lr=trial.params["lr"])
        trial.report(epoch=epoch, dev_loss=loss)
        if trial.should_stop:
            break

A worker starts the program with the files that this reads and writes; run by hand, `sturgeon.trial()` prints instead.
This file needs Python 3.9 and the standard library only: a copy of it works where Sturgeon is not installed.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import json
import math
import os
import sys
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

STOP = 10
"""The exit code of `sturgeon report --stopped` where the trial should stop or pause."""


class TrialProcess:
    """The trial that this process runs. Values are read from files, so they may change while it runs."""

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        self._environment = dict(os.environ if environment is None else environment)
        self._desired: dict[str, Any] = {}
        self._seen: Any = None
        self._read_version = -1
        self._has_asked = False
        self._look()

    @property
    def params(self) -> dict[str, Any]:
        """The parameters as they are now: people and policies may change those of a panda while it runs."""
        self._look()
        version = int(self._desired.get("version", 0))
        if version > self._read_version and self._environment.get("STURGEON_DESIRED"):
            self._read_version = version
            self._write({"sturgeon": "read", "version": version})
        return dict(self._desired.get("params", {}))

    @property
    def number(self) -> int:
        """The number of the trial in its study."""
        return int(self._environment.get("STURGEON_NUMBER", "0"))

    @property
    def seed(self) -> int:
        """A seed that is this trial's own."""
        return int(self._environment.get("STURGEON_SEED", "0"))

    @property
    def study(self) -> str:
        """The name of the study; empty when the program is run by hand."""
        return self._environment.get("STURGEON_STUDY", "")

    @property
    def has_worker(self) -> bool:
        """Whether a worker runs the program, and reads what it reports."""
        return bool(self._environment.get("STURGEON_REPORTS"))

    def report(self, step: int | None = None, *, epoch: float | None = None, **metrics: Any) -> None:
        """Report metrics of a step; without a step they are of the next one.

        Names that are no Python names are given as `trial.report(**{"val/loss": 0.2})`.
        """
        fields: dict[str, Any] = {} if step is None else {"step": int(step)}
        if epoch is not None:
            fields["epoch"] = float(epoch)
        numbers = {name: _number(name, value) for name, value in metrics.items() if value is not None}
        self._write({**fields, **numbers})

    @property
    def should_stop(self) -> bool:
        """Whether the trial shall end now: a better one has overtaken it, or a person wants so."""
        return self._asked("stop")

    @property
    def should_pause(self) -> bool:
        """Whether the program shall write its checkpoint and exit; it is started again later, perhaps elsewhere."""
        return self._asked("pause")

    @property
    def checkpoint(self) -> Path | None:
        """The folder for what the program goes on from; not empty when it shall go on. None without checkpoints."""
        given = self._environment.get("STURGEON_CHECKPOINT")
        return Path(given) if given else None

    def saved(self, step: int) -> None:
        """Say that the checkpoint folder is whole: from it, the run can go on after this step."""
        folder = self.checkpoint
        state = "" if folder is None else folder_state(folder)
        self._write({"sturgeon": "saved", "step": int(step), "state": state})

    def _asked(self, what: str) -> bool:
        if not self._has_asked and self._environment.get("STURGEON_DESIRED"):
            self._has_asked = True
            self._write({"sturgeon": "asked"})
        self._look()
        return bool(self._desired.get(what))

    def _write(self, fields: dict[str, Any]) -> None:
        file = self._environment.get("STURGEON_REPORTS")
        line = json.dumps(fields)
        if not file:
            sys.stdout.write(f"STURGEON {line}\n")
            sys.stdout.flush()
            return
        # One write of a whole line: several processes may report.
        handle = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(handle, line.encode() + b"\n")
        finally:
            os.close(handle)

    def _look(self) -> None:
        """Read what is desired, if it has changed."""
        file = self._environment.get("STURGEON_DESIRED")
        if not file:
            self._desired = self._desired or {"params": _params_by_hand(self._environment)}
            return
        try:
            about = os.stat(file)
            seen = about.st_ino, about.st_mtime_ns
            if seen == self._seen:
                return
            desired = json.loads(Path(file).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return  # the trial is over
        self._desired, self._seen = desired, seen


def _params_by_hand(environment: Mapping[str, str]) -> dict[str, Any]:
    """The parameters of a program that is run by hand: from `--params '{"lr": 0.1}'`, or from STURGEON_PARAMS."""
    given = environment.get("STURGEON_PARAMS", "{}")
    arguments = sys.argv[1:]
    for place, argument in enumerate(arguments):
        if argument == "--params" and place + 1 < len(arguments):
            given = arguments[place + 1]
        elif argument.startswith("--params="):
            given = argument[len("--params=") :]
    params = json.loads(given)
    if not isinstance(params, dict):
        raise ValueError("--params takes a JSON object, for example --params '{\"lr\": 0.1}'")
    return params


def _number(name: str, value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        raise TypeError(f"{name} has to be a number, not {value!r}") from None


def folder_state(folder: os.PathLike[str]) -> str:
    """A hash of the names, sizes and times of all that is in a folder: it changes when something in it does."""
    state = hashlib.sha256()
    for parent, folders, files in os.walk(folder):
        folders.sort()
        for name in sorted([*folders, *files]):
            path = os.path.join(parent, name)
            try:
                about = os.lstat(path)
            except OSError:
                continue
            size = 0 if name in folders else about.st_size
            time = 0 if name in folders else about.st_mtime_ns
            state.update(f"{os.path.relpath(path, folder)}\0{size}\0{time}\0{about.st_ino}\n".encode(errors="replace"))
    return state.hexdigest()


_current: TrialProcess | None = None


def trial() -> TrialProcess:
    """The trial that this process runs; by hand, one that prints what it is told."""
    global _current
    if _current is None:
        _current = TrialProcess()
    return _current


def _call(target: str, metric: str) -> int:
    """Call MODULE:FUNCTION for the trial; the exit code."""
    own = os.path.dirname(os.path.abspath(__file__))
    # The first place to import from was the folder of this file; a script's is its own folder.
    sys.path[0] = os.getcwd()
    # In a script that imports sturgeon, `sturgeon.trial()` is this very trial.
    sys.modules.setdefault("sturgeon.trial_process", sys.modules["__main__"])
    run = _objective(own)
    name, _, function = target.partition(":")
    current = trial()
    try:
        called: Any = importlib.import_module(name)
        for part in function.split("."):
            called = getattr(called, part)
            if isinstance(called, type(sys)):  # the worker's owner has allowed this module, not those that it imports
                return _unable(current, target, f"{part} is another module")
    except (ModuleNotFoundError, AttributeError) as error:
        missing = getattr(error, "name", None)
        if isinstance(error, AttributeError) and missing != function.rpartition(".")[2]:
            return _failed(current, error)
        if isinstance(error, ModuleNotFoundError) and missing is None:
            return _failed(current, error)
        return _unable(current, target, str(error))
    except Exception as error:
        return _failed(current, error)
    try:
        metrics = run(called, current, metric)
    except Exception as error:
        return _failed(current, error)
    current._write({"sturgeon": "result", "metrics": {name: _number(name, value) for name, value in metrics.items()}})
    return 0


def _unable(current: TrialProcess, target: str, why: str) -> int:
    current._write({"sturgeon": "unable", "reason": f"{target} cannot be called here: {why}"})
    return 1


def _failed(current: TrialProcess, error: Exception) -> int:
    traceback.print_exc()
    own = os.path.dirname(os.path.abspath(__file__))
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if os.path.dirname(frame.filename) != own and not frame.filename.startswith("<")
    ]
    where = f" ({os.path.basename(frames[-1].filename)}, line {frames[-1].lineno})" if frames else ""
    current._write({"sturgeon": "failed", "error": f"{type(error).__name__}: {error}{where}"[:2000]})
    return 1


def _objective(folder: str) -> Callable[..., dict[str, Any]]:
    """`run` of objective.py, which lies beside this file; by its path, since a user may have a file of that name."""
    spec = importlib.util.spec_from_file_location("sturgeon.objective", os.path.join(folder, "objective.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules.setdefault("sturgeon.objective", module)
    spec.loader.exec_module(module)
    run: Callable[..., dict[str, Any]] = module.run
    return run


def report_command(arguments: list[str] | None = None) -> int:
    """`sturgeon report`: the exit code."""
    import argparse

    parser = argparse.ArgumentParser(
        prog="sturgeon report",
        description="Report metrics of the trial that a worker runs; to be called by its program, for example a shell "
        "script. Run by hand, it prints them.",
    )
    parser.add_argument("metrics", nargs="*", metavar="NAME=NUMBER", help="a metric, as dev_loss=0.2")
    parser.add_argument("--step", type=int, help="the step that they are of; by default the next one")
    parser.add_argument("--epoch", type=float, help="the epoch that they are of")
    parser.add_argument("--saved", type=int, metavar="STEP", help="the checkpoint folder is whole at this step")
    parser.add_argument("--stopped", action="store_true", help=f"exit with {STOP} if the trial should stop or pause")
    parser.add_argument("-o", "--output", choices=["table", "json"], help="json: print what was reported as JSON")
    given = parser.parse_args(arguments)
    metrics = {}
    for one in given.metrics:
        name, equals, number = one.rpartition("=")
        try:
            metrics[name] = float(number)
        except ValueError:
            equals = ""
        if not (name and equals):
            parser.error(f"{one!r} is no metric: write NAME=NUMBER, for example dev_loss=0.2")
    current = trial()
    as_json = given.output == "json"
    if not as_json or current.has_worker:  # by hand, what is printed is the JSON alone
        if metrics:
            current.report(given.step, epoch=given.epoch, **metrics)
        if given.saved is not None:
            current.saved(given.saved)
    stop = (current.should_stop or current.should_pause) if given.stopped else None
    if as_json:
        finite = {name: number if math.isfinite(number) else None for name, number in metrics.items()}
        told = {"step": given.step, "epoch": given.epoch, "metrics": finite, "saved": given.saved, "stop": stop}
        sys.stdout.write(json.dumps(told) + "\n")
    return STOP if stop else 0


if __name__ == "__main__":
    sys.exit(report_command(sys.argv[2:]) if sys.argv[1] == "report" else _call(sys.argv[2], sys.argv[3]))
