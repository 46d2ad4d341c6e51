"""Runs the tests in several processes, which are forked from one that has imported and collected them.

Importing and collecting takes longer than a thousand tests. Each process takes the next tests when it is done with its
own, so that a long one holds up no other.
"""

from __future__ import annotations

import os
import signal
import struct
import sys
import threading
import traceback
import types
from collections.abc import Iterator, Sequence
from multiprocessing.connection import Connection, Pipe, wait
from typing import Any, Final, NoReturn

import pytest

NUMBER: Final = struct.Struct("i")
MOST_NUMBERS: Final = 65_536 // NUMBER.size
"""So many the pipe of a queue takes before anybody reads from it."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--processes", type=int, default=1, help="Run the tests in so many processes.")


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> bool | None:
    if session.config.option.processes < 2 or session.config.option.collectonly or session.testsfailed:
        return None  # pytest's own loop
    _Run(session).finish()
    return True


class _Run:
    """The processes, seen from the one that collected the tests and tells of their outcomes."""

    def __init__(self, session: pytest.Session) -> None:
        assert threading.active_count() == 1, "a thread does not come along in a fork"
        self._session = session
        self._queue = _Queue(_kept_together(session.items))
        session.config._tmp_path_factory.getbasetemp()  # type: ignore[attr-defined]  all processes' folders are in it
        sys.stdout.flush()
        sys.stderr.flush()
        self._pids: dict[Connection, int] = {}
        self._running: dict[Connection, str] = {}
        for number in range(session.config.option.processes):
            ours, theirs = Pipe(duplex=False)
            with theirs:
                if (pid := os.fork()) == 0:
                    _run(session, self._queue, theirs, number)
            self._pids[ours] = pid

    def finish(self) -> None:
        """Raises: Session.Failed (as many failed as `--maxfail` allows), pytest.exit.Exception (a process ended)."""
        terminal = self._session.config.pluginmanager.getplugin("terminalreporter")
        terminal.showfspath = False  # the tests of several files are told one after the other
        try:
            while self._pids:
                for told in wait([*self._pids]):
                    assert isinstance(told, Connection)
                    self._take(told)
        finally:
            for pid in self._pids.values():
                os.kill(pid, signal.SIGTERM)
                os.waitpid(pid, 0)
        if self._session.shouldfail:
            raise self._session.Failed(self._session.shouldfail)

    def _take(self, told: Connection) -> None:
        hook = self._session.config.hook
        try:
            data: dict[str, Any] | str | None = told.recv()
        except EOFError:
            pytest.exit(
                f"The process that ran {self._running.get(told)} ended in its middle.", pytest.ExitCode.TESTS_FAILED
            )
        if data is None:
            os.waitpid(self._pids.pop(told), 0)
            return
        if isinstance(data, str):
            self._running[told] = data
            return
        hook.pytest_runtest_logreport(
            report=hook.pytest_report_from_serializable(config=self._session.config, data=data)
        )
        if self._session.shouldfail:
            self._queue.end()


class _Queue:
    """What is still to be done: the numbers of tests, which stand in a pipe that all processes read from."""

    def __init__(self, groups: Sequence[Sequence[int]]) -> None:
        self._groups = groups
        assert len(groups) <= MOST_NUMBERS
        self._next, numbers = os.pipe()
        os.write(numbers, b"".join(NUMBER.pack(number) for number in range(len(groups))))
        os.close(numbers)

    def __iter__(self) -> Iterator[int]:
        while number := os.read(self._next, NUMBER.size):
            yield from self._groups[NUMBER.unpack(number)[0]]

    def end(self) -> None:
        """Nothing more is to be done."""
        while os.read(self._next, 65_536):
            pass


def _kept_together(items: Sequence[pytest.Item]) -> list[list[int]]:
    """The numbers of the tests that one process has, in the order of their first: of all with one `one_process`."""
    groups: dict[object, list[int]] = {}
    for number, item in enumerate(items):
        mark = item.get_closest_marker("one_process")
        groups.setdefault(mark.args[0] if mark else number, []).append(number)
    return list(groups.values())


class _Teller:
    """Takes the place of the terminal in a process: what it would print goes to the process that was forked from."""

    def __init__(self, config: pytest.Config, told: Connection) -> None:
        self._config, self._told = config, told

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self._told.send(nodeid)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._told.send(self._config.hook.pytest_report_to_serializable(config=self._config, report=report))


def _run(session: pytest.Session, queue: _Queue, told: Connection, number: int) -> NoReturn:
    """Be one of the processes."""
    code = 1
    try:
        _begin(session, told, number)
        try:
            _run_tests(session, iter(queue))
        finally:
            session._setupstate.teardown_exact(None)  # what a stop in the middle has left
        told.send(None)
        code = 0
    except KeyboardInterrupt:
        pass
    except BaseException:
        traceback.print_exc()
    finally:  # whatever comes, a second Ctrl-C too: what follows in this stack is the other process's
        try:
            sys.stdout.flush()
            sys.stderr.flush()
        finally:
            os._exit(code)


def _run_tests(session: pytest.Session, tests: Iterator[int]) -> None:
    this = next(tests, None)
    while this is not None and not (session.shouldfail or session.shouldstop):
        following = next(tests, None)
        item, after = session.items[this], None if following is None else session.items[following]
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=after)
        this = following


def _begin(session: pytest.Session, told: Connection, number: int) -> None:
    config = session.config
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.modules["__main__"] = types.ModuleType("__main__")  # processes that a test starts would import pytest's
    config.pluginmanager.unregister(name="terminalreporter")
    config.pluginmanager.register(_Teller(config, told))
    capture = config.pluginmanager.getplugin("capturemanager")
    capture.stop_global_capturing()  # its files are shared with the other processes
    capture.start_global_capturing()
    capture.suspend_global_capture()
    folders = config._tmp_path_factory  # type: ignore[attr-defined]
    folders._basetemp = folders.getbasetemp() / f"process{number}"
    folders._basetemp.mkdir()
