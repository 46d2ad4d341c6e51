"""Programs of users, run for a trial without a server: a test says what is desired, and hears what the trial says."""

from __future__ import annotations

import os
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from sturgeon.messages import Resume
from worker.child.protocol import ChildMessage, DesiredRun, Job, LogMessage, OwnCodeRules, Progress
from worker.tasks import command, python


def rules(folder: Path, **others: Any) -> OwnCodeRules:
    """What a worker in this folder allows: everything."""
    given: dict[str, Any] = {"commands": ("*",), "modules": ("*",), "environment": {"PATH": os.environ["PATH"]}}
    return OwnCodeRules(**given | {"folder": folder} | others)


def job(folder: Path, task: dict[str, Any], params: dict[str, Any] | None = None, **others: Any) -> Job:
    whole = {"metric": "loss", "direction": "minimize", "reduce": "last"} | task
    return Job(whole, {"lr": 0.1} if params is None else params, 7, study="s", number=3, own=rules(folder), **others)


class OwnProgram:
    """A script in a folder, as the command of a trial. `desired` may be set at any time, by any thread."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.desired = DesiredRun()
        self.said: list[ChildMessage] = []

    def script(self, text: str, name: str = "train.py") -> Path:
        path = self.folder / name
        path.write_text(textwrap.dedent(text))
        return path

    def messages(self, text: str, *arguments: str, **task: Any) -> Iterator[ChildMessage]:
        """What the trial of a Python script says, while it says it."""
        others = {name: task.pop(name) for name in ("params", "resume", "start", "gpus") if name in task}
        argv = [sys.executable, self.script(text).name, *arguments]
        yield from self.run(job(self.folder, {"kind": "command", "argv": argv} | task, **others))

    def run(self, one: Job) -> Iterator[ChildMessage]:
        kind: Any = {"command": command, "python": python}[one.task["kind"]]
        for place, message in kind.run([one], lambda _place: self.desired):
            assert place == 0
            self.said.append(message)
            yield message

    def last(self, text: str, *arguments: str, **task: Any) -> Any:
        """The trial's last word."""
        *_, last = self.messages(text, *arguments, **task)
        return last

    @property
    def log(self) -> str:
        return next((one.text for one in reversed(self.said) if isinstance(one, LogMessage)), "")

    @property
    def curve(self) -> list[tuple[int, dict[str, float]]]:
        return [(one.step, dict(one.metrics)) for one in self.said if isinstance(one, Progress)]

    def after(self, kind: type[ChildMessage], do: Callable[[], None], messages: Iterator[ChildMessage]) -> Any:
        """Do something when the first message of this kind has come; the last word."""
        last: Any = None
        done = False
        for last in messages:
            if isinstance(last, kind) and not done:
                done = True
                do()
        return last


def going_on(number: int, step: int, version: int = 0, leg: int = 0) -> Resume:
    return Resume(number=number, step=step, sha256="0" * 64, version=version, leg=leg, timeline=[])
