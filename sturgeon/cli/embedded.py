"""`sturgeon embedded-server`: the process behind `sturgeon.embedded`; not for people to type."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated

import typer

from sturgeon import embedded
from sturgeon.cli.garbage import collect_as_usual
from sturgeon.errors import SturgeonError

commands = typer.Typer()
LOOKS_PER_IDLE_TIME = 10
ATTEMPTS = 2
"""One more than a trial needs whose worker was killed: what fails on this machine will fail on it again."""


@commands.command(hidden=True)
def embedded_server(
    folder: Annotated[Path, typer.Argument(metavar="DIR")],
    idle_s: Annotated[float, typer.Option("--idle-s", metavar="SECONDS")] = embedded.IDLE_S,
    port: Annotated[int, typer.Option("--port")] = 0,
) -> None:
    """Serve the studies of a folder until nobody uses it any more."""
    from server.serving import serve
    from server.settings import Settings
    from sturgeon.threads import supervised

    os.chdir(folder)
    here = Path()
    alive = embedded.open_lock(here / embedded.SERVER)
    if not any(_tries(lambda: embedded.lock_alone(alive))):
        raise SturgeonError(f"Another server serves {folder}.")
    settings = Settings(
        database_url="sqlite:///sturgeon.db",
        checkpoints=Path("checkpoints"),
        port=port,
        max_attempts=ATTEMPTS,
        token_file=Path(embedded.TOKEN),
    )

    def listening(url: str) -> None:
        fresh = here / f"{embedded.ADDRESS}.new"
        fresh.write_text(json.dumps({"url": url, "pid": os.getpid()}) + "\n", encoding="utf-8")
        fresh.rename(here / embedded.ADDRESS)
        supervised("embedded server", lambda: _end_when_unused(here, idle_s), lambda _: _end())

    collect_as_usual()
    serve(settings, listening)


def _tries(attempt: Callable[[], bool]) -> Iterator[bool]:
    """Whether an attempt succeeds, a few times: who looks whether a lock is held holds it for a moment."""
    for _ in range(20):
        yield attempt()
        time.sleep(embedded.LOOKS_EVERY_S)


def _end_when_unused(folder: Path, idle_s: float) -> None:
    """Wait until nobody has used the server for `idle_s` seconds, and end it. A process that comes then waits for the
    lock, which is held to the very end, and starts another server."""
    users = embedded.open_lock(folder / embedded.USERS)
    unused_since: float | None = None
    while True:
        if not embedded.lock_alone(users):
            unused_since = None
        elif unused_since is None:
            unused_since = time.monotonic()
        elif time.monotonic() - unused_since >= idle_s:
            return _end()
        if unused_since is not None:
            embedded.unlock(users)
        time.sleep(idle_s / LOOKS_PER_IDLE_TIME)


def _end() -> None:
    os.kill(os.getpid(), signal.SIGTERM)
