"""Runs docker-compose.yml without Docker: commands, environment and health checks as local processes.

What Docker would do is done by name: `COPY` and `pip install` of the Dockerfile, names of services to
loopback ports, secrets to files, volumes to folders, conditions of `depends_on` to an order.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from tests.postgres import Postgres
from tests.processes import Process, free_port, wait_until

ROOT = Path(__file__).parents[2]


class LocalImage:
    """The project as the Dockerfile installs it: from the copied files alone, into a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.site = folder / "site"
        self._sources = folder / "app"
        self._sources.mkdir(parents=True)
        for step, arguments in dockerfile():
            if step == "COPY":
                self._copy(*arguments.split())
            elif step == "RUN" and "--no-deps" in arguments:
                self._install(arguments)
            elif step == "RUN" and arguments.startswith("cd / && python"):
                command = [sys.executable, *shlex.split(arguments)[4:]]
                self._take_over_compiled_loops()
                subprocess.run(command, cwd="/", env={**os.environ, "PYTHONPATH": str(self.site)}, check=True)

    def command(self, *arguments: str) -> list[str]:
        entry = next(arguments for step, arguments in dockerfile() if step == "ENTRYPOINT")
        [program] = yaml.safe_load(entry)
        return [sys.executable, str(self.site / "bin" / program), *arguments]

    def _take_over_compiled_loops(self) -> None:
        """What the checkout has compiled already, of the same text: to numba a file of another time is another one.
        That every loop is compiled is seen by tests/trainer/test_compile_loops.py."""
        for kept in (ROOT / "trainer").rglob("*.nb[ci]"):
            shutil.copy(kept, self.site / kept.relative_to(ROOT))
        for source in (ROOT / "trainer").rglob("*.py"):
            shutil.copystat(source, self.site / source.relative_to(ROOT))

    def _copy(self, *names: str) -> None:
        *sources, target = names
        for source in sources:
            if (ROOT / source).is_dir():
                shutil.copytree(ROOT / source, self._sources / target, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(ROOT / source, self._sources / target)

    def _install(self, arguments: str) -> None:
        pip = [sys.executable, "-m", *shlex.split(arguments), "--quiet", "--target", str(self.site)]
        done = subprocess.run(pip, cwd=self._sources, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr


class LocalCompose:
    """One `docker compose up` on loopback."""

    def __init__(self, folder: Path, image: LocalImage) -> None:
        self.folder = folder
        self.image = image
        self.description = compose_file()
        self.processes: list[Process] = []
        self.started: list[str] = []
        make_secrets(folder)
        self._names = {"server:8000": f"127.0.0.1:{self.port}", "8000": str(self.port)}
        self._names["/tmp/alive"] = str(folder / "alive")  # in a container each worker has its own

    def up(self, **scale: int) -> None:
        for name in self.description["services"]:
            self._start(name, scale)

    def down(self) -> None:
        for process in reversed(self.processes):
            process.stop()
        if "database" in self.started:
            self.database.remove()

    @property
    def door(self) -> str:
        """The address at which the host reaches the server."""
        [published] = self.description["services"]["server"]["ports"]
        return f"http://{self._local(published.rpartition(':')[0])}"

    def secret(self, name: str) -> Path:
        file: Path = self.folder / self.description["secrets"][name]["file"]
        return file

    @cached_property
    def port(self) -> int:
        return free_port()

    @cached_property
    def database(self) -> Postgres:
        """What the image postgres:18 makes of the service's environment."""
        told = self._environment("database")
        server = Postgres(user=told["POSTGRES_USER"], password=Path(told["POSTGRES_PASSWORD_FILE"]).read_text().strip())
        server.start()
        server.create_database(told["POSTGRES_DB"])
        self._names["database:5432"] = f"127.0.0.1:{server.port}"
        return server

    def _start(self, name: str, scale: dict[str, int]) -> None:
        """Start what it needs, then the service, and wait until its health check passes."""
        if name in self.started:
            return
        service = self.description["services"][name]
        for other, need in service.get("depends_on", {}).items():
            self._start(other, scale)
            if need["condition"] == "service_completed_successfully":
                [process] = [process for process in self.processes if process.log.stem == f"{other}-1"]
                assert process.wait() == 0, process.output
        self.started.append(name)
        if name == "database":
            assert self.database.port
        else:
            for number in range(1, scale.get(name, 1) + 1):
                self._run(name, f"{name}-{number}")
        self._wait_until_healthy(service)

    def _run(self, name: str, container: str) -> None:
        home = self.folder / container
        home.mkdir()
        arguments = [self._local(part) for part in self.description["services"][name]["command"]]
        environment = {**self._environment(name), "PYTHONPATH": str(self.image.site), "PYTHONSAFEPATH": "1"}
        process = Process(self.image.command(*arguments), home, environment, container)
        process.start()
        self.processes.append(process)

    def _environment(self, name: str) -> dict[str, str]:
        """Only secrets that the service was granted, and volumes that it mounts, have a place here."""
        service = self.description["services"][name]
        places = {f"/run/secrets/{secret}": str(self.secret(secret)) for secret in service.get("secrets", [])}
        for volume in service.get("volumes", []):
            source, target = volume.split(":")
            places[target] = str(self.folder / "volumes" / source)
        return {key: self._local(value, places) for key, value in service.get("environment", {}).items()}

    def _local(self, text: str, places: dict[str, str] | None = None) -> str:
        known = self._names | (places or {})
        longest_first = "|".join(re.escape(name) for name in sorted(known, key=len, reverse=True))
        return re.sub(longest_first, lambda found: known[found[0]], text)

    def _wait_until_healthy(self, service: dict[str, Any]) -> None:
        if "healthcheck" not in service:
            return
        _, program, *arguments = (self._local(part) for part in service["healthcheck"]["test"])
        programs = {"python": sys.executable, "pg_isready": str(self.database.binaries / "pg_isready")}
        check = [programs[program], *arguments]
        wait_until(lambda: self._check(check).returncode == 0, f"{program} found the service healthy")

    def _check(self, command: list[str]) -> subprocess.CompletedProcess[str]:
        environment = os.environ | {"PGPORT": str(self.database.port)}
        return subprocess.run(command, env=environment, capture_output=True, text=True)

    @property
    def output(self) -> str:
        return "\n".join(f"--- {process.log.stem}\n{process.output}" for process in self.processes)


def compose_file() -> dict[str, Any]:
    description: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    return description


def dockerfile() -> list[tuple[str, str]]:
    """Its steps: (instruction, arguments), with continued lines joined."""
    text = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [(line.split()[0], line.split(maxsplit=1)[1]) for line in lines]


def make_secrets(folder: Path) -> None:
    """`make secrets`, as if the folder were the checkout."""
    command = [
        "make",
        "--no-print-directory",
        "-f",
        str(ROOT / "Makefile"),
        "secrets",
        f"PYTHON={sys.executable}",
    ]
    subprocess.run(command, cwd=folder, check=True, capture_output=True, env=_outside_of_make())


def _outside_of_make() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
