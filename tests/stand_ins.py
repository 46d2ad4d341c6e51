"""Programs that stand for ones which a Python has forked from itself: see tests/forking_python.py.

To import PyTorch takes seconds of the processor, the command line half a second, and the documents and examples start
dozens of such programs. A stand-in starts in a hundredth of a second, passes signals on, and ends as its program does.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests.processes import clean_environment, die_with_parent, wait_until

STAND_IN: Final = """#!{python} -IS
import json, os, signal, socket, sys

arguments, fixed, safe = sys.argv[1:], {arguments!r}, False
if not fixed and arguments[:1] == ["-P"]:
    arguments, safe = arguments[1:], True
if not fixed and not (arguments and arguments[0].endswith(".py")):
    os.execv({real!r}, [{real!r}, *sys.argv[1:]])
passed_on = {{signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2}}
ignored = [number for number in passed_on if signal.getsignal(number) == signal.SIG_IGN]
order = {{"argv": [*fixed, *arguments], "folder": os.getcwd(), "env": dict(os.environ), "safe": safe}}
order["ignored"] = ignored
with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as forking:
    forking.connect({socket!r})
    signal.pthread_sigmask(signal.SIG_BLOCK, passed_on)
    socket.send_fds(forking, [json.dumps(order).encode()], [0, 1, 2])
    pid = int(forking.recv(100))
    for number in passed_on.difference(ignored):
        signal.signal(number, lambda number, _frame: os.kill(pid, number))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, passed_on)
    code = int(forking.recv(100) or -signal.SIGKILL)
if code < 0:
    if -code != signal.SIGKILL:
        signal.signal(-code, signal.SIG_DFL)
    os.kill(os.getpid(), -code)
os._exit(code)
"""
"""The program of a stand-in. fixed: the script that it runs always; a Python takes one from its arguments, and what
has none is left to the real Python."""


@contextmanager
def stand_ins(
    folder: Path, python: Path, modules: list[str], env: Mapping[str, str], programs: Mapping[str, Path | None]
) -> Iterator[Path]:
    """A folder with stand-ins for programs of this Python, which has imported the modules: by name, the script that it
    runs, or None for the Python itself."""
    socket, bin = folder / "forking", folder / "bin"
    bin.mkdir()
    for name, script in programs.items():
        arguments = [str(script)] if script else []
        text = STAND_IN.format(python=sys.executable, real=str(python), socket=str(socket), arguments=arguments)
        (bin / name).write_text(text)
        (bin / name).chmod(0o755)
    command = [str(python), "-P", str(Path(__file__).with_name("forking_python.py")), str(socket), *modules]
    forking = subprocess.Popen(
        command,
        env=clean_environment() | env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        preexec_fn=die_with_parent(signal.SIGKILL),
    )
    try:
        wait_until(_listens(forking, socket), "the modules were imported")
        yield bin
    finally:
        forking.kill()
        forking.wait()


def _listens(forking: subprocess.Popen[bytes], socket: Path) -> Callable[[], bool]:
    def listens() -> bool:
        assert forking.poll() is None, "the process that forks programs has ended"
        return socket.exists()

    return listens
