"""Programs of users that do not want to end, or take too much: they are ended with all that came of them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sturgeon.temporary import LOCK, machine
from tests.processes import WorkerProcess, wait_until
from tests.running import RunningServer
from tests.worker.own_programs import OwnProgram
from tests.worker.processes import trial_processes
from worker.child.protocol import DesiredRun, Finished, Progress
from worker.own.guard import marked
from worker.own.left_over import PREFIX, end_left_over, run_folder
from worker.own.output import KeptOutput, Lines

StartWorker = Callable[..., WorkerProcess]

CLINGS = """
    import os, signal, subprocess, sys, time

    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)

    def daemon():
        if os.fork():
            return
        os.setsid()
        if os.fork():
            os._exit(0)
        time.sleep(600)

    for _ in range(2):
        daemon()
    if os.fork() == 0:
        time.sleep(600)
    subprocess.Popen(["sleep", "600"], start_new_session=True)
    os.environ.clear()
    subprocess.Popen(["/bin/sleep", "600"], env={"TEST_MARK": sys.argv[1]}, start_new_session=True)
    print('STURGEON {"loss": 1}', flush=True)
    time.sleep(600)
"""
"""It ignores signals, and has six processes, in sessions of their own and of parents that have ended."""


class Marked:
    """All processes with a word in their environment."""

    def __init__(self) -> None:
        self.word = uuid.uuid4().hex

    @property
    def env(self) -> dict[str, str]:
        return {"TEST_MARK": self.word}

    def left(self) -> list[int]:
        return list(marked(f"TEST_MARK={self.word}"))


@pytest.fixture
def mark() -> Iterator[Marked]:
    one = Marked()
    yield one
    for pid in one.left():
        os.kill(pid, signal.SIGKILL)


@pytest.fixture
def program(tmp_path: Path) -> OwnProgram:
    return OwnProgram(tmp_path)


def test_a_program_that_clings_is_ended_after_its_grace_with_all_that_came_of_it(
    program: OwnProgram, mark: Marked
) -> None:
    messages = program.messages(CLINGS, mark.word, env=mark.env, limits={"grace_s": 0.5})
    processes: list[int] = []

    def stop() -> None:
        processes.extend(mark.left())
        program.desired = DesiredRun(version=1, stop=True)

    began = time.monotonic()
    last = program.after(Progress, stop, messages)

    assert len(processes) >= 7  # with the guard
    assert mark.left() == []
    assert time.monotonic() - began > 0.5
    assert last == Finished("complete", 1, {"loss": 1.0})


def test_what_a_program_leaves_behind_when_it_ends_is_ended_too(program: OwnProgram, mark: Marked) -> None:
    last = program.last(CLINGS.replace("time.sleep(600)\n", "sys.exit(0)\n"), mark.word, env=mark.env)

    assert last.state == "complete"
    assert mark.left() == []


def test_a_program_that_hangs_is_ended_at_its_limit_of_time(program: OwnProgram, mark: Marked) -> None:
    last = program.last(CLINGS, mark.word, env=mark.env, limits={"seconds": 0.5, "grace_s": 0.2})

    assert last.state == "failed"
    assert last.error.startswith("The program took longer than its limit of 0.5 s.")
    assert mark.left() == []


def test_a_program_that_has_stopped_itself_is_ended_too(program: OwnProgram, mark: Marked) -> None:
    script = "import os, signal; os.kill(os.getpid(), signal.SIGSTOP)"

    last = program.last(script, env=mark.env, limits={"seconds": 0.3, "grace_s": 0.1})

    assert last.error == "The program took longer than its limit of 0.3 s."
    assert mark.left() == []


def test_a_program_that_stops_its_guard_is_ended_without_it(
    program: OwnProgram, mark: Marked, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.own.program.END_WITHIN_S", 0.3)
    script = "import os, signal, time; os.kill(os.getppid(), signal.SIGSTOP); time.sleep(600)"

    last = program.last(script, env=mark.env, limits={"seconds": 0.3, "grace_s": 0.1})

    assert last.error == "The program took longer than its limit of 0.3 s."
    assert mark.left() == []


def test_a_program_that_closes_its_output_is_heard_by_its_file(program: OwnProgram) -> None:
    script = """
        import os, sys
        from sturgeon.trial_process import trial
        os.close(1)
        os.close(2)
        for _ in range(2):
            trial().report(loss=1)
        os._exit(0)
    """

    assert program.last(script) == Finished("complete", 2, {"loss": 1.0})


def test_a_program_whose_children_fill_its_memory_is_ended(program: OwnProgram, mark: Marked) -> None:
    script = """
        import os, time
        for _ in range(2):
            if os.fork() == 0:
                mine = bytearray(os.urandom(1000) * 60_000)
                time.sleep(600)
        time.sleep(600)
    """

    last = program.last(script, env=mark.env, limits={"memory_gb": 0.1})

    assert last.state == "failed"
    assert "more than its limit of 0.1 GB" in last.error
    assert mark.left() == []


def test_memory_that_processes_share_counts_once(program: OwnProgram) -> None:
    script = """
        import os, time
        mine = bytearray(os.urandom(1000) * 60_000)
        for _ in range(3):
            if os.fork() == 0:
                time.sleep(600)
        time.sleep(1.2)
        print('STURGEON {"loss": 1}')
    """

    assert program.last(script, limits={"memory_gb": 0.15}).state == "complete"


@pytest.mark.parametrize("who", ["guard", "program"])
def test_whoever_is_killed_nothing_is_left_and_the_reason_is_told(program: OwnProgram, mark: Marked, who: str) -> None:
    messages = program.messages(CLINGS, mark.word, env=mark.env)

    def kill() -> None:
        wait_until(lambda: len(mark.left()) >= 7, "it had all its processes")
        lines = {pid: Path(f"/proc/{pid}/cmdline").read_bytes() for pid in mark.left()}
        guards = [pid for pid, line in lines.items() if b"guard.py" in line]
        programs = [pid for pid, line in lines.items() if b"train.py" in line and pid not in guards]
        os.kill(min(guards if who == "guard" else programs), signal.SIGKILL)

    last = program.after(Progress, kill, messages)

    assert last.state == "failed"
    assert "killed by SIGKILL" in last.error
    assert mark.left() == []


@pytest.mark.parametrize(
    "write",
    [
        "for _ in range(300): sys.stdout.write('x' * 999_999 + chr(10))",
        "for _ in range(300): sys.stdout.write('x' * 1_000_000)",
        "for _ in range(300): sys.stdout.buffer.write(bytes(range(256)) * 4000)",
        "for _ in range(60): sys.stderr.write('STURGEON ' * 100_000)",
        "for _ in range(60): sys.stdout.write(('x' * 99 + chr(10)) * 10_000)",
    ],
)
def test_whatever_a_program_prints_the_log_stays_small_and_the_report_is_heard(program: OwnProgram, write: str) -> None:
    script = f"""
        import sys
        print("first")
        {write}
        sys.stdout.flush()
        print()
        print('STURGEON {{"loss": 1}}')
        print("last")
    """

    last = program.last(script, limits={"log_mb": 0.1})

    assert last == Finished("complete", 1, {"loss": 1.0})
    text = program.log
    assert len(text.encode()) < 350_000  # a byte that is no text takes three
    assert "\0" not in text
    assert text.startswith("first\n")
    if "stderr" not in write:  # of two streams nobody knows which was first
        assert text.endswith('STURGEON {"loss": 1}\nlast\n')
    assert "bytes are left out here" in text


def test_a_pattern_that_would_search_for_ever_fails_the_trial_instead(program: OwnProgram) -> None:
    script = "import time; print('a' * 40 + '!', flush=True); time.sleep(600)"

    began = time.monotonic()
    last = program.last(script, metrics={"lines": {"loss": "((?:a+)+)$"}}, limits={"grace_s": 0.1})
    assert time.monotonic() - began < 20

    assert last.state == "failed"
    assert "metrics.lines (loss) took over 1 s" in last.error


@pytest.mark.fault("W5")
@pytest.mark.parametrize(
    ("printed", "meant"),
    [
        ("0,25", 0.25),
        ("1,234.5", 1234.5),
        ("-12,345,678", -12345678.0),
        ("1,5e-3", 0.0015),
        ("0,512", 0.512),
        ("7,25", 7.25),
    ],
)
def test_a_comma_in_a_printed_number_is_read_as_it_is_meant(program: OwnProgram, printed: str, meant: float) -> None:
    last = program.last(f"print('loss={printed} ok')", metrics={"lines": {"loss": r"loss=(\S+)"}})

    assert (last.state, last.metrics["loss"]) == ("complete", meant)


@pytest.mark.fault("W5")
@pytest.mark.parametrize("end", ["\\n", ""])
def test_a_comma_that_may_mean_two_numbers_fails_the_trial(program: OwnProgram, end: str) -> None:
    last = program.last(f"print('loss=1,234', end='{end}')", metrics={"lines": {"loss": r"loss=(\S+)"}})

    assert last.state == "failed"
    assert "metrics.lines.loss found 1,234, which may be 1.234 or 1234" in last.error


def test_of_the_output_the_first_quarter_and_the_last_three_quarters_are_kept() -> None:
    kept = KeptOutput(40)
    for number in range(1000):
        kept.add(f"{number:03d} ".encode())

    first, note, last = kept.text().split("\n")
    assert (first, last) == ("000 001 00", "2 993 994 995 996 997 998 999 "[-30:])
    assert note == "[sturgeon] 3960 bytes are left out here"


def test_of_a_line_that_is_written_over_the_last_state_is_kept() -> None:
    kept = KeptOutput(1000)
    kept.add(b"10 %\r50 %\r100 %\r\nnext\r\nand\0so")

    assert kept.text() == "100 %\nnext\nand\N{REPLACEMENT CHARACTER}so"


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_lines_are_the_same_however_the_output_is_cut(size: int) -> None:
    text = b"one\ntwo\r\n\nSTURGEON {}\n" + b"y" * 70_000 + b"\nSTURGEON 2\nrest"

    def cut(lines: Lines) -> list[str]:
        found = [line for place in range(0, len(text), size) for line in lines.added(text[place : place + size])]
        return [line for line in [*found, *lines.rest()] if line]

    assert cut(Lines()) == ["one", "two", "STURGEON {}", "STURGEON 2", "rest"]
    assert cut(Lines(b"STURGEON ")) == ["STURGEON {}", "STURGEON 2"]


RUNS = """
import sys, time
from pathlib import Path
from tests.worker.own_programs import OwnProgram
program = OwnProgram(Path.cwd())
for _ in program.messages(Path("clings.py").read_text(), sys.argv[1], env={"TEST_MARK": sys.argv[1]}):
    print("reported", flush=True)
"""


def test_what_is_left_of_a_worker_that_was_killed_whole_is_ended_by_the_next(
    tmp_path: Path, mark: Marked, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    (tmp_path / "clings.py").write_text(textwrap.dedent(CLINGS).replace("os.environ.clear()", "pass"))
    env = os.environ | {"TMPDIR": str(tmp_path), "PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-c", RUNS, mark.word]
    with subprocess.Popen(command, cwd=tmp_path, env=env, stdout=subprocess.PIPE) as run:
        assert run.stdout is not None
        assert run.stdout.readline() == b"reported\n"
        guards = [pid for pid in mark.left() if b"guard.py" in Path(f"/proc/{pid}/cmdline").read_bytes()]
        os.kill(guards[0], signal.SIGSTOP)
        with monkeypatch.context() as other_installation:
            other_installation.setattr("worker.own.guard.__file__", "/elsewhere/worker/own/guard.py")
            assert end_left_over() == 0  # it is guarded
        run.kill()
        run.wait()
        os.kill(guards[0], signal.SIGKILL)
    wait_until(lambda: guards[0] not in mark.left(), "the guard was gone")

    assert end_left_over() >= 4
    wait_until(lambda: len(mark.left()) <= 1, "they had ended")  # one has nothing of the run in its environment
    assert list(tmp_path.glob("sturgeon-trial-*")) == []


def test_the_folder_of_a_killed_run_is_deleted_by_the_next_worker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    stranger, killed = tmp_path / f"{PREFIX}stranger", tmp_path / f"{PREFIX}killed00"
    for folder in (stranger, killed):
        folder.mkdir()
    (killed / LOCK).write_bytes(machine())
    (killed / "packed.tar").write_bytes(b"0" * 1000)

    with run_folder() as running:
        assert end_left_over() == 0
        assert sorted(tmp_path.iterdir()) == sorted([stranger, running])
    assert list(tmp_path.iterdir()) == [stranger]


@pytest.mark.parametrize("victim", ["worker", "child"])
def test_a_killed_worker_or_child_leaves_nothing_of_the_program(
    server: RunningServer, worker_process: StartWorker, tmp_path: Path, mark: Marked, victim: str
) -> None:
    OwnProgram(tmp_path).script(CLINGS)
    argv = ["python", "train.py", mark.word]
    space = {"lr": {"type": "float", "low": 0.1, "high": 1.0}}
    task = {"kind": "command", "argv": argv, "env": mark.env, "limits": {"grace_s": 1}}
    study = {"name": "mine", "metric": "loss", "space": space, "budget": {"max_trials": 1}, "task": task}
    server.client.create_study(study)
    worker = worker_process(server.url, "--allow-command", "python")
    worker.wait_until(lambda: len(mark.left()) >= 7, "the program had all its processes")

    if victim == "worker":
        worker.kill()
    else:
        [child] = trial_processes(worker)
        os.kill(child, signal.SIGKILL)

    wait_until(lambda: not mark.left(), "all of the program had ended")
    if victim == "child":
        worker.wait_until(lambda: server.client.trial("mine", 0).state == "failed", "the trial was told")
        assert "killed by SIGKILL" in (server.client.trial("mine", 0).error or "")
