"""Several processes on this machine that run one objective; all of them end with this one."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import pickle
import signal
import sys
import threading
import traceback
import warnings
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection as Pipe
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from types import FrameType
from typing import Any, Final, Literal, NoReturn, Protocol

from sturgeon.errors import SturgeonError
from sturgeon.objective import name_of
from sturgeon.tuning.running import Caught, run_trial
from sturgeon.tuning.trial import StudyTrial

ENDS_WITHIN_S: Final = 10.0
"""How long a process may take to give its trial back; then it is killed, and the lease runs out."""

StartMethod = Literal["fork", "spawn"]
Objective = Callable[..., object]


class Source(Protocol):
    """A study that gives trials; other processes get a copy of it."""

    @property
    def metric(self) -> str: ...

    def ask(self) -> StudyTrial | None: ...

    def release_all(self) -> None: ...


class ObjectiveFailed(SturgeonError):
    """The objective raised an exception in another process."""


def optimize(
    study: Source,
    objective: Objective,
    workers: int,
    trials: int | None,
    catch: Caught,
    start_method: StartMethod | None,
) -> None:
    """Run trials of the study in `workers` processes until it has no more, or `trials` were run.

    Raises: SturgeonError (the objective cannot be given to other processes), what the objective raises, and
    ObjectiveFailed in its place where it cannot be brought here.
    """
    method = start_method or start_method_for(objective)
    context: Any = multiprocessing.get_context(method)
    left = None if trials is None else context.Value("q", trials)
    running: list[tuple[BaseProcess, Pipe]] = []
    try:
        for number in range(workers):
            here, there = context.Pipe(duplex=False)
            process = context.Process(
                target=_work, args=(study, objective, left, catch, there), name=f"sturgeon-{number}"
            )
            with _may_fork():
                process.start()
            there.close()
            running.append((process, here))
        _wait(running)
    finally:
        _end([process for process, _ in running])


def start_method_for(objective: Objective) -> StartMethod:
    """How processes get the objective: afresh by its name if it is in a module, else by a copy of this process.

    Raises: SturgeonError (neither is possible; it says what to write instead).
    """
    if is_importable(objective):
        return "spawn"
    name = name_of(objective)
    if "fork" not in multiprocessing.get_all_start_methods() or sys.platform == "darwin":
        raise SturgeonError(
            f"{name} cannot be given to other processes on this system: move it to the top of a module of its own "
            "and import it from there, or use workers=1."
        )
    torch: Any = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        raise SturgeonError(
            f"{name} is part of the script, and this process has used the GPU, which a forked process cannot: move "
            "the function to a module of its own, or use workers=1."
        )
    return "fork"


def is_importable(objective: Objective) -> bool:
    """Whether other processes find it by its name in a module."""
    module = getattr(objective, "__module__", None)
    if module in (None, "__main__"):
        return False
    try:
        pickle.dumps(objective)
    except (pickle.PicklingError, AttributeError, TypeError):
        return False
    return True


@contextlib.contextmanager
def _may_fork() -> Iterator[None]:
    """Python warns of forks where threads run. The locks that matter are not held: our threads take theirs only for
    moments in which no process is started, and the child uses no connection of its parent."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*multi-threaded.*", category=DeprecationWarning)
        yield


def _wait(running: list[tuple[BaseProcess, Pipe]]) -> None:
    """Wait until all have ended. Raises: what one of them raised."""
    waiting: dict[object, tuple[BaseProcess, Pipe]] = {process.sentinel: (process, pipe) for process, pipe in running}
    while waiting:
        for sentinel in wait([process.sentinel for process, _ in waiting.values()]):
            process, pipe = waiting.pop(sentinel)
            process.join()
            if pipe.poll():
                with contextlib.suppress(EOFError):
                    _raise(pipe.recv())
            if process.exitcode:
                raise ObjectiveFailed(
                    f"A process of this search ended by itself with exit code {process.exitcode}"
                    f"{_signal_name(process.exitcode)}; its trial is run again when its lease has run out."
                )


def _signal_name(code: int) -> str:
    if code >= 0:
        return ""
    with contextlib.suppress(ValueError):
        return f" ({signal.Signals(-code).name})"
    return ""


def _raise(failure: tuple[bytes | None, str]) -> NoReturn:
    pickled, text = failure
    error: BaseException | None = None
    if pickled is not None:
        with contextlib.suppress(Exception):  # an exception of the user's that cannot be made again
            error = pickle.loads(pickled)
    cause = ObjectiveFailed(f"The objective failed in another process:\n\n{text}")
    if isinstance(error, Exception):
        raise error from cause
    raise cause


def _end(processes: list[BaseProcess]) -> None:
    """Ask those that still run to give their trials back, and kill the ones that do not."""
    try:
        for process in processes:
            if process.is_alive():
                process.terminate()
        for process in processes:
            process.join(ENDS_WITHIN_S)
    finally:  # also when Ctrl-C comes a second time
        for process in processes:
            if process.is_alive():
                process.kill()
                process.join()


# --- in the other process


def _work(study: Source, objective: Objective, left: Any, catch: Caught, pipe: Pipe) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the parent, which ends us
    signal.signal(signal.SIGTERM, _interrupt)
    threading.Thread(target=_end_with_parent, name="sturgeon parent", daemon=True).start()
    try:
        while _may_run(left) and (trial := study.ask()) is not None:
            run_trial(objective, trial, study.metric, catch)
    except Exception as error:
        pipe.send((_pickled(error), traceback.format_exc()))
    except KeyboardInterrupt:
        study.release_all()  # it may have come between the ask and the run
    finally:
        pipe.close()


def _may_run(left: Any) -> bool:
    """Take one of the trials that are left to run."""
    if left is None:
        return True
    with left.get_lock():
        left.value -= 1
        return bool(left.value >= 0)


def _pickled(error: Exception) -> bytes | None:
    try:
        return pickle.dumps(error)
    except Exception:  # the objective's own exceptions may hold anything
        return None


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:  # noqa: ARG001 - a handler's shape
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise KeyboardInterrupt


def _end_with_parent() -> None:
    """End when the parent has ended, however it did: give the trial back, or leave it to its lease."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os.kill(os.getpid(), signal.SIGTERM)
    threading.Event().wait(ENDS_WITHIN_S)
    os._exit(1)
