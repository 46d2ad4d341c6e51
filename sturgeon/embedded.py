"""The embedded server: one for each folder `.sturgeon`, shared by all processes that meet there.

Three locks of the system say all that has to be known, so that nothing that was killed leaves a false word behind:

- `users.lock` is held, shared, by each process that uses the server. The server ends when it can lock it alone.
- `start.lock` is held by the one process that looks whether a server runs, and starts it.
- `server.lock` is held by the server as long as it lives.

`server.json` has the address of the last server that ran, and `token` (mode 600) its token.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from sturgeon.errors import SturgeonError
from sturgeon.extras import require
from sturgeon.servers import read_token

if sys.platform != "win32":
    import fcntl

USERS, START, SERVER = "users.lock", "start.lock", "server.lock"
ADDRESS, TOKEN, LOG = "server.json", "token", "server.log"
STARTS_WITHIN_S: Final = 120.0  # a busy machine needs more than 30
ENDS_WITHIN_S: Final = 15.0
LOOKS_EVERY_S: Final = 0.05
IDLE_S: Final = 10.0
"""How long a server waits for the next user when the last one has gone."""


@dataclass(frozen=True)
class EmbeddedServer:
    """A running server: its address, its token, and the folder that it keeps its data in."""

    url: str
    token: str = field(repr=False)
    folder: Path


@dataclass
class _Use:
    """How often this process uses a folder, and the file whose lock says so."""

    file: int
    times: int = 1


_uses: dict[Path, _Use] = {}
_changing = threading.Lock()


def server(folder: Path, idle_s: float = IDLE_S) -> EmbeddedServer:
    """The server of this folder, started if there is none. It lives while a process uses it; `leave` ends this use.

    idle_s: of a server that is started, the seconds it waits for another user after the last one.
    Raises: SturgeonError (it cannot be started; the sentence quotes its log).
    """
    folder = _made(folder)
    _use(folder)
    try:
        with locked(folder / START):
            token = _token_of(folder)
            url = running(folder) or _started(folder, idle_s)
        return EmbeddedServer(url, token, folder)
    except BaseException:
        leave(folder)
        raise


def running(folder: Path) -> str | None:
    """The address of the folder's server; None if none runs. Waits for one that is just starting."""
    give_up = time.monotonic() + STARTS_WITHIN_S
    while is_locked(folder / SERVER):
        with contextlib.suppress(OSError, ValueError, KeyError):  # it is being written
            return str(json.loads((folder / ADDRESS).read_text(encoding="utf-8"))["url"])
        if time.monotonic() > give_up:
            raise SturgeonError(f"The server of {folder} did not start within {STARTS_WITHIN_S:.0f} s.")
        time.sleep(LOOKS_EVERY_S)
    return None


def revive(folder: Path) -> None:
    """Start the server again, at its old address, if it has ended though this process uses it: it was killed, or the
    memory ran out. All its users find it there.

    Raises: SturgeonError (it cannot be started; the sentence quotes its log).
    """
    folder = folder.resolve()
    if folder not in _uses or is_locked(folder / SERVER):
        return
    with locked(folder / START):
        if not is_locked(folder / SERVER):
            _started(folder, IDLE_S, port=_last_port(folder))


def sleep_and_revive(folder: Path) -> Callable[[float], None]:
    """How a client of the folder's server sleeps between two tries of a call."""

    def sleep(seconds: float) -> None:
        time.sleep(seconds)
        revive(folder)

    return sleep


def _last_port(folder: Path) -> int:
    """The port of the last server; 0, which is any, if that is not known."""
    with contextlib.suppress(OSError, ValueError, KeyError):
        return urlsplit(json.loads((folder / ADDRESS).read_text(encoding="utf-8"))["url"]).port or 0
    return 0


def leave(folder: Path, end: bool = False) -> None:
    """End this process's use of the folder's server. `end`: end the server at once if nobody else uses it."""
    folder = folder.resolve()
    with _changing:
        use = _uses.get(folder)
        if use is None:
            return
        use.times -= 1
        if use.times > 0:
            return
        del _uses[folder]
    try:
        if end and _locks(use.file, fcntl.LOCK_EX | fcntl.LOCK_NB):
            _end_server(folder)
    finally:
        os.close(use.file)


# --- locks, for the server too


@contextlib.contextmanager
def locked(file: Path) -> Iterator[None]:
    """Hold a file's lock alone; waits for it."""
    opened = open_lock(file)
    try:
        fcntl.flock(opened, fcntl.LOCK_EX)
        yield
    finally:
        os.close(opened)


def open_lock(file: Path) -> int:
    """A descriptor for the lock; programs that this process starts do not get it."""
    return os.open(file, os.O_RDWR | os.O_CREAT, 0o600)


def is_locked(file: Path) -> bool:
    """Whether a process holds the file's lock alone."""
    opened = open_lock(file)
    try:
        return not _locks(opened, fcntl.LOCK_SH | fcntl.LOCK_NB)
    finally:
        os.close(opened)


def lock_alone(opened: int) -> bool:
    """Lock the file without waiting; whether nobody else holds its lock."""
    return _locks(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)


def unlock(opened: int) -> None:
    fcntl.flock(opened, fcntl.LOCK_UN)


def _locks(opened: int, how: int) -> bool:
    try:
        fcntl.flock(opened, how)
    except BlockingIOError:
        return False
    return True


# --- the folder


def _made(folder: Path) -> Path:
    """The folder, made if it is not there, and left out of the user's repository. Raises: SturgeonError."""
    if sys.platform == "win32":
        raise SturgeonError("An embedded server needs Linux or macOS; start `sturgeon serve`, and set STURGEON_SERVER.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        ignored = folder / ".gitignore"
        if not ignored.exists():
            ignored.write_text("*\n", encoding="utf-8")
    except OSError as error:
        raise SturgeonError(
            f"{folder} cannot be the folder of an embedded server: {error.strerror}. Name another, or set "
            "STURGEON_SERVER to use a server."
        ) from None
    return folder.resolve()


def _use(folder: Path) -> None:
    with _changing:
        if (use := _uses.get(folder)) is not None:
            use.times += 1
            return
        opened = open_lock(folder / USERS)
        fcntl.flock(opened, fcntl.LOCK_SH)  # waits for a server that is just ending
        _uses[folder] = _Use(opened)


def _token_of(folder: Path) -> str:
    """The folder's token, drawn once. Under `start.lock`."""
    file = folder / TOKEN
    if not file.exists():
        fresh = folder / f"{TOKEN}.new"
        fresh.unlink(missing_ok=True)
        opened = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(opened, "w", encoding="ascii") as text:
            text.write(secrets.token_urlsafe(32) + "\n")
        fresh.rename(file)
    return read_token(file)


# --- the server's process


def _started(folder: Path, idle_s: float, port: int = 0) -> str:
    """Start a server and wait for its address; port 0 is any. Under `start.lock`. Raises: SturgeonError."""
    require("local", "An embedded server (or name one that runs: STURGEON_SERVER)")
    (folder / ADDRESS).unlink(missing_ok=True)
    options = ["--idle-s", str(idle_s), "--port", str(port)]
    with (folder / LOG).open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "sturgeon.cli", "embedded-server", str(folder), *options],
            cwd=folder,
            env={name: value for name, value in os.environ.items() if not name.startswith("STURGEON_")},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,  # Ctrl-C is for one of its users, and it serves all of them
        )
    give_up = time.monotonic() + STARTS_WITHIN_S
    while process.poll() is None and time.monotonic() < give_up:
        if (folder / ADDRESS).exists() and (url := running(folder)):
            _reap(process)
            return url
        time.sleep(LOOKS_EVERY_S)
    process.kill()
    words = (folder / LOG).read_text(encoding="utf-8", errors="replace").strip().splitlines() or ["nothing"]
    raise SturgeonError(f"The embedded server did not start; {folder / LOG} ends with: {words[-1]}")


def _reap(process: subprocess.Popen[bytes]) -> None:
    """Wait for its end in a thread, so that a server that ends before this process leaves no zombie."""
    threading.Thread(target=process.wait, name="sturgeon embedded server", daemon=True).start()


def _end_server(folder: Path) -> None:
    """End the server, which nobody else uses, and wait until it has."""
    with contextlib.suppress(OSError, ValueError, KeyError):
        pid = int(json.loads((folder / ADDRESS).read_text(encoding="utf-8"))["pid"])
        if is_locked(folder / SERVER):
            os.kill(pid, signal.SIGTERM)
    give_up = time.monotonic() + ENDS_WITHIN_S
    while is_locked(folder / SERVER) and time.monotonic() < give_up:
        time.sleep(LOOKS_EVERY_S)
