"""A stand-in is to its test what the program itself would be."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.processes import DEADLINE_S, clean_environment, wait_until
from tests.stand_ins import stand_ins

SHOWS = """
import os, sys
import beside
print(sys.argv[1:], os.environ["MARK"], os.getcwd(), beside.name, sys.stdin.read(), "colorsys" in sys.modules)
print("told", file=sys.stderr)
sys.exit(int(sys.argv[1]))
"""
WAITS = """
import os, signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))
print(os.getpid(), signal.getsignal(signal.SIGINT) == signal.SIG_IGN, flush=True)
signal.pause()
signal.signal(signal.SIGQUIT, signal.SIG_DFL)
"""


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Stands for this Python with a module imported that no test imports by itself."""
    folder = tmp_path_factory.mktemp("stand-ins")
    (folder / "fixed.py").write_text("import sys; print(sys.argv[1:])")
    programs = {"python": None, "fixed": folder / "fixed.py"}
    with stand_ins(folder, Path(sys.executable), ["colorsys"], {}, programs) as bin:
        yield bin / "python"


def started(python: Path, folder: Path, script: str, *arguments: str, **options: Any) -> subprocess.Popen[str]:
    (folder / "script.py").write_text(script)
    command = [python, "script.py", *arguments]
    return subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True, **options)


def test_a_stand_in_has_the_arguments_files_folder_environment_and_exit_code(python: Path, tmp_path: Path) -> None:
    (tmp_path / "beside.py").write_text("name = 'beside'")
    env = clean_environment() | {"MARK": "mark"}
    with started(python, tmp_path, SHOWS, "3", "-x", env=env, stdin=-1, stderr=-1) as script:
        out, err = script.communicate("given", timeout=DEADLINE_S)
    assert script.returncode == 3
    assert out == f"['3', '-x'] mark {tmp_path} beside given True\n"
    assert err == "told\n"


def test_an_exception_is_told_as_python_tells_it(python: Path, tmp_path: Path) -> None:
    with started(python, tmp_path, "1 / 0", stderr=-1) as script:
        _, err = script.communicate(timeout=DEADLINE_S)
    assert script.returncode == 1
    assert err.endswith("ZeroDivisionError: division by zero\n")


@pytest.mark.parametrize(("how", "code"), [(signal.SIGTERM, 7), (signal.SIGHUP, -signal.SIGHUP), (signal.SIGKILL, -9)])
def test_a_signal_ends_the_program_and_its_stand_in(python: Path, tmp_path: Path, how: int, code: int) -> None:
    with started(python, tmp_path, WAITS) as script:
        assert script.stdout is not None
        pid, ignores = script.stdout.readline().split()
        assert int(pid) != script.pid
        script.send_signal(how)
        assert script.wait(timeout=DEADLINE_S) == code
        wait_until(lambda: not Path(f"/proc/{pid}").exists(), "the program had ended")
    assert ignores == str(signal.getsignal(signal.SIGINT) == signal.SIG_IGN), "as this process does"


def test_a_signal_that_is_ignored_stays_ignored(python: Path, tmp_path: Path) -> None:
    ignore = "trap '' INT; exec \"$0\" script.py"
    (tmp_path / "script.py").write_text(WAITS.replace("signal.pause()", ""))
    done = subprocess.run(["sh", "-c", ignore, python], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.split()[1] == "True"


def test_what_is_no_script_is_left_to_python_and_a_fixed_one_takes_all(python: Path) -> None:
    printed = [
        subprocess.run(command, capture_output=True, text=True, check=True).stdout
        for command in ([python, "-c", "print(1)"], [python.with_name("fixed"), "-P", os.devnull])
    ]
    assert printed == ["1\n", "['-P', '/dev/null']\n"]


def test_a_program_has_no_files_of_others_and_none_closes_its_own(python: Path, tmp_path: Path) -> None:
    looks = """
import gc, os
print(sorted(os.listdir("/proc/self/fd"))[:4])
files = [open(__file__) for _ in range(50)]
gc.collect()
print(sum(len(file.read()) > 0 for file in files))
"""
    with started(python, tmp_path, WAITS) as first:
        assert first.stdout is not None
        first.stdout.readline()
        with started(python, tmp_path, looks) as second:
            assert second.communicate(timeout=DEADLINE_S)[0] == "['0', '1', '2', '3']\n50\n"
        first.send_signal(signal.SIGKILL)
