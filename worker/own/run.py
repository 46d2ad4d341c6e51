"""A user's program on its way through a trial: started, heard, steered, kept within limits, and told of at its end."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple, Protocol

from sturgeon.checkout import code_version
from sturgeon.folder_keeping import FolderKeeper
from sturgeon.messages import CheckpointRule
from sturgeon.messages.tasks import below_the_folder
from sturgeon.packed_folder import Damaged
from sturgeon.placeholders import filled
from sturgeon.values import Json
from worker.child.looks import Looks
from worker.child.protocol import (
    ChildMessage,
    DesiredRun,
    FindingsMessage,
    Finished,
    Job,
    LastWord,
    LeaveStack,
    LogMessage,
    Paused,
    PlacedMessage,
    Progress,
    SavedCheckpoint,
    Unable,
)
from worker.child.versions import data_version
from worker.own import environment
from worker.own.allowed import NotHere, folder
from worker.own.arguments import values_for
from worker.own.curve import Curve
from worker.own.endings import Output, finished, pruned
from worker.own.left_over import run_folder
from worker.own.limits import Limits
from worker.own.output import KeptOutput
from worker.own.program import Program, Stream
from worker.own.said import Failed, HasAsked, HasRead, Misread, PatternFailed, Reported, Result, Said, Saved
from worker.own.sources import Sources
from worker.own.steering import Steering

LONGEST_REASON: Final = 1000
TICK_S: Final = 0.05
LOG_EVERY_S: Final = 5.0
REPORT_AFTER_S: Final = 0.5
"""So long further parts of a step's report are waited for."""
LEFT: Final = Finished("failed", error="Nobody waits for this trial any more.")


class Start(NamedTuple):
    """What a program is started with. place: the folder of the run."""

    params: Mapping[str, object]
    cwd: Path
    place: Path
    environment: Mapping[str, str]


class Command(Protocol):
    """What gives the arguments of a program.

    Raises: NotHere.
    """

    def __call__(self, start: Start) -> list[str]: ...


def run_alone(
    jobs: Sequence[Job], command_of: Callable[[Job], Command], desired: Callable[[int], DesiredRun]
) -> Iterator[PlacedMessage]:
    """Runs the program of the one trial in `jobs`; several leave their stack, since each has a process of its own."""
    if len(jobs) > 1:
        yield from ((place, LeaveStack("It runs a program of its own.")) for place in range(len(jobs)))
        return
    yield from ((0, message) for message in run_program(jobs[0], command_of(jobs[0]), lambda: desired(0)))


def run_program(job: Job, command: Command, desired: Callable[[], DesiredRun]) -> Iterator[ChildMessage]:
    """Runs the program of a trial; yields what the trial has to say, at last its last word."""
    try:
        with run_folder() as place:
            yield from _OwnRun(job, command, desired, place).messages()
    except NotHere as error:
        yield Unable(str(error)[:LONGEST_REASON])
    except (Misread, Damaged) as error:
        sentence = str(error)
        yield Finished("failed", error=sentence[:1].upper() + sentence[1:].rstrip(".") + ".", retry=False)
    except OSError as error:
        yield Unable(f"The files of a run cannot be written on this worker: {error}"[:LONGEST_REASON])


def _reports_file(named: str, job: Job) -> str:
    """Empty where a parameter in its name is not active. Raises: Misread."""
    path = "".join(filled([named], values_for(job, {}) | dict(job.params)))
    try:
        return below_the_folder(path) if path else ""
    except ValueError:
        raise Misread(f"metrics.file {named} is {path[:200]} in this trial, which leads out of its folder") from None


class _OwnRun:
    def __init__(self, job: Job, command: Command, desired: Callable[[], DesiredRun], place: Path) -> None:
        self._job, self._command, self._desired, self._place = job, command, desired, place
        task = job.task
        self._metric = str(task.get("metric", "loss"))
        direction = task.get("direction", "minimize")
        self._looks = Looks(job.looks)
        self._limits = Limits(task.get("limits") or {})
        self._log = KeptOutput(self._limits.log_bytes)
        self._curve = Curve(self._metric, direction, is_best_told=task.get("reduce") == "best")
        self._cwd = folder(task.get("cwd"), job.own)
        self._keeper: FolderKeeper | None = None
        if (rule := task.get("checkpoints")) is not None:
            checked = CheckpointRule.model_validate(rule)
            self._keeper = FolderKeeper(checked, direction, place / "checkpoint", place / "packed.tar", self._log)
        self._steering = Steering(job, self._limits, self._curve, self._keeper, place / "desired.json", self._log)
        (place / "reports.jsonl").touch(mode=0o600)
        metrics = dict(task.get("metrics") or {})
        if metrics.get("file") is not None:  # each trial may have its own
            metrics["file"] = _reports_file(metrics["file"], job)
        self._sources = Sources(metrics, place / "reports.jsonl", self._cwd, self._log)
        self._result: Result | Failed | None = None
        self._log_sent, self._log_at, self._heard_at = 0, time.monotonic(), 0.0

    def messages(self) -> Iterator[ChildMessage]:
        """One start of the program after the other, until there is a last word."""
        yield from self._steering.begun(self._job.desired)
        if versions := self._versions():
            yield FindingsMessage({"versions": versions})
        while True:
            program = self._started()
            try:
                yield from self._watch(program)
            finally:
                program.close()
            last = yield from self._ended(program)
            if last is not None:
                if self._curve.left_out:
                    self._log.note(f"{self._curve.left_out} reports were of steps that had been reported before")
                yield from self._log_message()
                yield last
                return

    def _versions(self) -> Json:
        """The commit of the code, and the fingerprint of the data that the task names. Raises: NotHere."""
        data = [self._cwd / path for path in self._job.task.get("data") or ()]
        missing = next((path for path in data if not path.exists()), None)
        if missing is not None:
            raise NotHere(f"There is no file or folder {missing} on this worker, which the task names as data.")
        found = {"code": code_version(self._cwd), "data": data_version(data)}
        return {what: version for what, version in found.items() if version is not None}

    def _started(self) -> Program:
        params = self._steering.params
        checkpoint = None if self._keeper is None else self._keeper.folder
        told = environment.of_trial(self._job, self._place, params, checkpoint)
        own = environment.threads_for(self._job.own.slots) | dict(self._job.own.environment)
        whole = own | dict(self._job.task.get("env") or {}) | told
        (self._place / "params.json").write_text(json.dumps(params), encoding="utf-8")
        argv = self._command(Start(params, self._cwd, self._place, whole))
        self._limits.begin()
        self._steering.started()
        self._result = None
        try:
            return Program(argv, self._cwd, whole, self._place, self._limits.nice)
        except OSError as error:
            raise NotHere(f"The program could not be started on this worker: {error.strerror}.") from error

    def _watch(self, program: Program) -> Iterator[ChildMessage]:
        while program.exit is None:
            yield from self._heard(program.read(TICK_S))
            yield from self._take(self._sources.files())
            yield from self._whole_reports()
            yield from self._steering.obey(self._desired())
            if self._keeper is not None and self._limits.ending is None:
                saved = self._keeper.due(self._curve, self._steering.version)
                yield from () if saved is None else (SavedCheckpoint(*saved),)
            self._limits.enforce(program)
            if time.monotonic() - self._log_at >= LOG_EVERY_S:
                yield from self._log_message()
        yield from self._heard(program.rest())
        yield from self._take_from(self._sources.rest)
        yield from self._progress(self._curve.flush())

    def _heard(self, output: Iterable[tuple[Stream, bytes]]) -> Iterator[ChildMessage]:
        for stream, data in output:
            self._log.add(data)
            yield from self._take_from(partial(self._sources.heard, stream, data))

    def _take_from(self, source: Callable[[], Iterable[Said]]) -> Iterator[ChildMessage]:
        try:
            said = source()
        except PatternFailed as error:
            self._limits.end("seconds", str(error))
            return
        yield from self._take(said)

    def _take(self, said: Iterable[Said]) -> Iterator[ChildMessage]:
        for one in said:
            match one:
                case Reported():
                    self._heard_at = time.monotonic()
                    yield from self._progress(self._curve.add(one))
                    if self._curve.diverged:
                        self._limits.end("diverged")
                case Saved():
                    if self._keeper is not None:
                        self._keeper.said_saved(one.step, one.state)
                case HasRead():
                    yield from self._steering.heard(one)
                case HasAsked():
                    self._steering.asks()
                case Result() | Failed():
                    self._result = one

    def _whole_reports(self) -> Iterator[ChildMessage]:
        if time.monotonic() - self._heard_at >= REPORT_AFTER_S:
            yield from self._progress(self._curve.flush())

    def _progress(self, reports: Iterable[Reported]) -> Iterator[Progress]:
        for one in reports:
            assert one.step is not None
            looked = self._looks.at(one.step if one.epoch is None else one.epoch)
            version, since_step = self._steering.version, self._steering.since_step
            yield Progress(one.step, one.epoch, one.metrics, version, since_step, looked=looked)

    def _log_message(self) -> Iterator[LogMessage]:
        self._log_at = time.monotonic()
        if self._log.size != self._log_sent:
            self._log_sent = self._log.size
            yield LogMessage(self._log.text())

    def _ended(self, program: Program) -> Generator[ChildMessage, None, LastWord | None]:
        """The last word on the trial, or None where the program starts again."""
        if program.cannot is not None:
            return Unable(f"The program could not be started on this worker: {program.cannot}.")
        if isinstance(self._result, Failed) and self._result.is_unable:
            return Unable(self._result.reason[:LONGEST_REASON])
        exit_code, ending = program.exit or 0, self._limits.ending
        why = None if ending is None else ending.why
        has_result = isinstance(self._result, Result) and bool(self._result.metrics)
        if why == "leave":
            return LEFT
        if why == "rollback":
            yield from self._steering.back()
            return None
        if ending is None or not ending.is_killed:
            was_asked = ending is not None and ending.is_asked
            yield from self._last_checkpoint(is_clean=exit_code == 0 or was_asked)
        if why == "restart" and not has_result:
            yield from self._steering.ended(self._begin_again())
            return None
        if ending is not None and why == "pause" and not has_result and (ending.is_asked or exit_code == 0):
            step = self._begin_again()
            yield from self._steering.ended(step)
            return Paused(step)
        yield from self._take_result()
        output = Output(self._log.last_lines(), self._sources.complaint)
        end = finished(exit_code, ending, self._result, self._curve, self._metric, output)
        if why == "stop":
            yield from self._steering.ended(self._curve.step)
            if end.state != "diverged" and self._steering.newest.pruned:
                return pruned(self._curve)
        return end

    def _begin_again(self) -> int:
        """The step that the next start goes on from."""
        return 0 if self._keeper is None else self._keeper.begin_again()

    def _last_checkpoint(self, *, is_clean: bool) -> Iterator[SavedCheckpoint]:
        if self._keeper is not None:
            saved = self._keeper.at_end(self._curve, self._steering.version, is_clean=is_clean)
            if saved is not None:
                yield SavedCheckpoint(*saved)

    def _take_result(self) -> Iterator[ChildMessage]:
        """What a function has returned is its last report."""
        if isinstance(self._result, Result) and self._result.metrics:
            yield from self._progress(self._curve.add(Reported(None, None, self._result.metrics)))
            yield from self._progress(self._curve.flush())
