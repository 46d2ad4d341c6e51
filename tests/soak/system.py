"""What a soak runs: a database, two servers on it, four workers and the clients. All of it ends with this process."""

from __future__ import annotations

import os
import random
import shutil
import sys
import time
from collections import Counter
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Final

import httpx

from server.store import schema
from tests.faults.network_cut import Cable
from tests.postgres import Postgres
from tests.processes import STURGEON, Process, ServerProcess, WorkerProcess, wait_until
from tests.soak.faults import CLIENTS, SERVERS, WORKERS
from tests.soak.private_disk import PrivateDisk
from tests.soak.studies import ASKED, OWN_CODE, run_by_workers, write_portion

ROOT: Final = Path(__file__).parents[2]
LEASE_S: Final = 4
DISK_MB: Final = 800
CLIENT_PATIENCE_S: Final = 5
STOPS_WITHIN_S: Final = 90.0
"""After SIGTERM; a worker drains, and gives back what it has."""
ENVIRONMENT: Final = {
    "PYTHONPATH": str(ROOT),
    "STURGEON_LEASE_S": str(LEASE_S),
    "STURGEON_REAP_EVERY_S": "1",
    "STURGEON_LONGEST_WAIT_S": "4",
    "STURGEON_CLIENT_PATIENCE_S": str(CLIENT_PATIENCE_S),
    "PYTHONDONTWRITEBYTECODE": "1",
    "OF_A_SOAK": "1",
}
"""Of all processes. With the last one they are started as people start them, and not forked from one that has imported
more (tests/zygote.py): their memory is measured."""
WORKERS_NICE: Final = 5
"""So that four that train do not take a small machine's processors from two servers."""


class Member:
    """A process that runs unless a fault has stopped it; as systemd does, `look` starts one again that has ended."""

    def __init__(self, process: Process, nice: int = 0) -> None:
        self.process, self._nice = process, nice
        self.is_wanted, self.stands_still = False, False
        self.stuck = 0
        """How often it did not end when it was told to, and was killed."""
        self.ends: Counter[int] = Counter()
        """How often it ended although no fault had stopped it, by its exit status."""

    def start(self) -> None:
        self.is_wanted = True
        if self.process.alive:
            return
        self.process.start()
        os.setpriority(os.PRIO_PROCESS, self.process.pid, os.getpriority(os.PRIO_PROCESS, 0) + self._nice)

    def kill(self) -> None:
        self.is_wanted = self.stands_still = False
        self.process.kill()

    def stop(self) -> None:
        self.unpause()
        self.is_wanted = False
        try:
            self.process.stop(STOPS_WITHIN_S)
        except AssertionError:
            self.stuck += 1
            self.process.kill()

    def pause(self) -> None:
        if self.process.alive:
            self.stands_still = True
            self.process.pause()

    def unpause(self) -> None:
        if self.stands_still and self.process.alive:
            self.process.unpause()
        self.stands_still = False

    def look(self) -> None:
        if self.is_wanted and not self.process.alive:
            self.ends[self.process.wait()] += 1
            self.start()


class System:
    """All processes of a soak on one kind of database, in a folder of its own. Use it as a context."""

    def __init__(self, kind: str, seed: int, folder: Path) -> None:
        self.folder, self.seed = folder, seed
        self._end = ExitStack()
        self.postgres: Postgres | None = None
        self.disk = self._private_disk()
        self.ahead = folder / "ahead"
        self.ahead.write_text("0")
        self.checkpoints = folder / "disk" / "checkpoints"
        self.checkpoints.mkdir()
        self.incoming = folder / "data" / "incoming"
        self.incoming.mkdir(parents=True)
        self.portions = 0
        (folder / "own.py").write_text(OWN_CODE)
        self.chance = random.Random(f"{seed} files")
        try:
            self.database_url = self._database(kind)
            self.servers, self.cables = self._make_servers()
            self.workers = self._make_workers()
            self.clients = self._make_clients()
        except BaseException:
            self._end.close()
            raise

    def __enter__(self) -> System:
        return self

    def __exit__(self, *_: object) -> None:
        self._end.close()

    @property
    def members(self) -> list[Member]:
        return [*self.servers, *self.workers, *self.clients]

    @property
    def histories(self) -> list[Path]:
        return sorted(self.folder.glob("*.history"))

    def start(self) -> None:
        """Start all, and make the studies."""
        for server in self.servers:
            server.start()
        for server in self.servers:
            wait_until(lambda one=server: self.is_ready(one), "the servers were ready")  # type: ignore[misc]
        for _ in range(3):
            self.add_portion()
        with httpx.Client(base_url=self._url(0), timeout=60, trust_env=False, verify=False) as http:
            for study in (*ASKED, *run_by_workers()):
                answer = http.post("/v1/studies", json=study, headers={"X-Requested-With": "soak"})
                assert answer.status_code == 201, answer.text
            for one in (*self.workers, *self.clients):
                one.start()
            wait_until(lambda: len(http.get("/v1/workers").json()["items"]) == WORKERS, "the workers asked for work")

    def failpoint(self, number: int) -> Path:
        """The file that says at which commit a server dies."""
        return self.folder / f"failpoint{number}"

    def add_portion(self) -> None:
        write_portion(self.incoming, self.portions)
        self.portions += 1

    def look(self) -> None:
        """Start again what has ended by itself."""
        for one in self.members:
            one.look()

    def stop_clients(self) -> None:
        for one in self.clients:
            one.stop()

    def stop(self) -> None:
        """End all as a person would, and so that nothing is written any more."""
        for one in (*self.workers, *self.servers):
            one.stop()

    def is_ready(self, server: Member) -> bool:
        """Whether a server takes requests."""
        with suppress(httpx.TransportError):
            url = f"{self._url(self.servers.index(server))}/readyz"
            return httpx.get(url, trust_env=False, verify=False, timeout=5).is_success
        return False

    def _url(self, number: int) -> str:
        process = self.servers[number].process
        assert isinstance(process, ServerProcess)
        return process.url

    def _private_disk(self) -> PrivateDisk | None:
        folder = self.folder / "disk"
        folder.mkdir()
        with suppress(OSError):
            disk = PrivateDisk(folder, DISK_MB)
            self._end.callback(disk.unmount)
            return disk
        return None

    def _database(self, kind: str) -> str:
        if kind == "sqlite":
            url = f"sqlite:///{self.folder / 'disk' / 'sturgeon.db'}"
        else:
            self.postgres = Postgres(durable=True)
            self._end.callback(self.postgres.remove)
            self.postgres.start()
            url = self.postgres.create_database("sturgeon")
        schema.migrate(url)
        return url

    def _make_servers(self) -> tuple[list[Member], list[Cable]]:
        members, cables = [], []
        env = ENVIRONMENT | {"STURGEON_DATABASE_URL": self.database_url, "AHEAD": str(self.ahead)}
        env |= {"STURGEON_CHECKPOINTS": str(self.checkpoints)}
        for number in range(SERVERS):
            program = (sys.executable, "-m", "tests.soak.server")
            process = _Server(self.folder, (), env | {"FAILPOINT": str(self.failpoint(number))}, program)
            members.append(self._member(process))
            cables.append(Cable(process.port))
            self._end.callback(cables[-1].close)
        return members, cables

    def _make_workers(self) -> list[Member]:
        python = ("--allow-command", sys.executable)
        options = [(), ("--slots", "2", "--stack", "2"), python, ("--data", str(self.incoming.parent))]
        assert len(options) == WORKERS
        found = []
        for number, own in enumerate(options):
            url = self.cables[number % SERVERS].url
            spool = ("--spool", str(self.folder / f"spool{number}"), "--drain-s", "2")
            process = WorkerProcess(url, f"w{number}", self.folder, (*spool, *own), ENVIRONMENT, (STURGEON,))
            found.append(self._member(process, WORKERS_NICE))
        return found

    def _make_clients(self) -> list[Member]:
        urls = [cable.url for cable in self.cables]
        return [self._member(_ClientProcess(self.folder, f"c{number}", self.seed, urls)) for number in range(CLIENTS)]

    def _member(self, process: Process, nice: int = 0) -> Member:
        member = Member(process, nice)
        self._end.callback(member.kill)
        return member


class _Server(ServerProcess):
    """Its start does not wait until it is ready: there may be no database."""

    def start(self) -> None:
        Process.start(self)


class _ClientProcess(Process):
    """Each start is of another seed: it does not do the same once more."""

    def __init__(self, folder: Path, name: str, seed: int, urls: list[str]) -> None:
        self._own = [sys.executable, "-m", "tests.soak.client", name]
        self._file, self._urls, self._next = folder / f"{name}.history", urls, seed * 1000
        super().__init__(self._own, folder, ENVIRONMENT, f"client-{name}")

    def start(self) -> None:
        self._next += 1
        self.command = [*self._own, str(self._next), str(self._file), *self._urls]
        super().start()


def free_space(folder: Path) -> int:
    return shutil.disk_usage(folder).free


def now() -> float:
    """Seconds since 1970; no fault touches this clock."""
    return time.time()
