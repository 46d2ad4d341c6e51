"""The server that `sturgeon tune` uses: the one that was named, or the embedded one of `./.sturgeon`."""

from __future__ import annotations

import contextlib
import glob
import os
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sturgeon import embedded, servers
from sturgeon.cli.session import Session
from sturgeon.cli.tune_plans import Plan
from sturgeon.extras import require

if TYPE_CHECKING:
    from sturgeon.client import Client

FOLDER: Final = Path(".sturgeon")


@dataclass(frozen=True)
class Host:
    """A server, and how workers of it are started here.

    environment: what they need to reach it. passed: the variables that their programs
    see, besides those that every worker passes on. is_embedded: it is started again if it ends.
    """

    url: str
    token: str | None = field(repr=False)
    folder: Path
    passed: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)
    is_embedded: bool = False

    def client(self, patience_s: float) -> Client:
        from sturgeon.client import Client

        sleep = embedded.sleep_and_revive(self.folder) if self.is_embedded else time.sleep
        return Client(self.url, self.token, patience_s=patience_s, sleep=sleep)

    def worker_arguments(self, plan: Plan, name: str, slots: int) -> list[str]:
        """The arguments of a worker for this study alone, which may run nothing but its command or its module."""
        require("local", "A worker here (or use --workers 0)")
        arguments = ["worker", "--slots", str(slots), "--study", plan.name, "--drain-s", "0"]
        arguments += ["--name", name, "--spool", str(self.folder / "spool")]
        if plan.argv:
            arguments += ["--allow-command", glob.escape(plan.argv[0])]
        if plan.module is not None:
            arguments += ["--allow-python", plan.module]
        return arguments + [part for name in self.passed for part in ("--pass-env", name)]


def remove_old_logs(folder: Path) -> None:
    """Delete the logs of workers whose `sturgeon tune` has ended; each has a log of its own."""
    for log in folder.glob("tune-*-*.log"):
        pid = log.name.split("-")[1]
        if pid.isdigit() and not _is_running(int(pid)):
            log.unlink(missing_ok=True)


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def worker_name() -> str:
    """A name that no other worker of the server has."""
    return f"tune-{os.getpid()}-{secrets.token_hex(3)}"


def default_workers(session: Session) -> int:
    """How many trials run here at a time unless the command line says: a server that was named has its own workers."""
    return 0 if session.server or servers.named_server() else 1


@contextlib.contextmanager
def host_of(session: Session) -> Iterator[Host]:
    """The server that was named, or the embedded one, which ends with this command unless others use it, too.

    Raises: ServerUnreachable (the one that was named does not answer).
    """
    named = session.server or servers.named_server()
    folder = FOLDER.absolute()
    if named is not None:
        token = session.token()
        with session.client() as client:
            client.ready()  # a wrong address fails soon, without the patience of a long search
        folder.mkdir(exist_ok=True)
        yield Host(named, token, folder, environment=_told(named, token))
        return
    running = embedded.server(folder)
    try:
        # The command is the user's own, and so is this machine: it sees what it would see without us.
        passed = tuple(name for name in os.environ if not name.startswith("STURGEON_"))
        yield Host(running.url, running.token, running.folder, passed, _told(running.url, running.token), True)
    finally:
        embedded.leave(folder, end=True)


def _told(url: str, token: str | None) -> dict[str, str]:
    return {"STURGEON_SERVER": url} | ({} if token is None else {"STURGEON_TOKEN": token})
